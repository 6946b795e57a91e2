"""What a test is run with between two ends, and how long that takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from netmesh_controller.mesh.ask import Ask, sends_at_a_rate, takes_messages, takes_mss
from netmesh_controller.mesh.catalogue import TESTS, TestKind
from netmesh_controller.mesh.document import Node, Parameters
from netmesh_controller.mesh.instruments import INSTRUMENTS, STAMP, Instrument

DEFAULT_UDP_BITS_PER_SECOND = 100_000_000
DEFAULT_CONNECTS_PER_SECOND = 100
DEFAULT_MESSAGES_PER_SECOND = 1000
# Before its udp_lat qperf measures TCP's latency, against which a lost datagram shows.
QPERF_REFERENCE_SECONDS = 1
# A search of the path's MTU ends when it knows: well below a second where too large packets are refused, and up to
# 0.6 s for each size where they vanish.
PATH_MTU_SECONDS = 1
# The test that loads a path while its latency is measured, and how long it runs before: what slow start takes.
LOAD_TEST = "tcp-bandwidth"
LOAD_LEAD_SECONDS = 1
_LOAD_TAIL_SECONDS = 1
# What every IPv6 link must carry (RFC 8200 section 5); for nodes that do not know their MTU.
_LEAST_MTU_BYTES = 1280
# IP header without options, and UDP's 8 bytes.
_HEADER_BYTES = {4: 28, 6: 48}
_LARGEST_UDP_PAYLOAD_BYTES = 65_507

Family = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cell: an agent of that role on that node. `facts` is None where the node has no such agent."""

    node: str
    role: str
    facts: Mapping[str, Any] | None = field(hash=False)

    @property
    def mtu_bytes(self) -> int:
        """The MTU of the end's traffic device, or the least that every network carries where it is not known."""
        return (self.facts or {}).get("mtu_bytes") or _LEAST_MTU_BYTES


@dataclass(frozen=True, slots=True)
class Case:
    """One point of what is asked for: a test by an instrument, at one place of every axis. None: the axis does not
    apply, or the default. `load` names the test that runs on the same pair meanwhile.
    """

    test: str
    instrument: str
    family: Family
    streams: int | None = None
    message_bytes: int | None = None
    mss_bytes: int | None = None
    load: str | None = None

    @property
    def kind(self) -> TestKind:
        """The catalogue's entry of the test."""
        return TESTS[self.test]

    @property
    def tool(self) -> Instrument:
        """What the instrument takes."""
        return INSTRUMENTS[self.instrument]


@dataclass(frozen=True, slots=True)
class Load:
    """What runs on a pair while its latency is measured, in the same direction: no cell of its own.

    It is started `lead_seconds` before the latency test and told to run for `duration_seconds`, which outlasts it.
    """

    test: str
    parameters: Parameters
    duration_seconds: int
    lead_seconds: int


def cases(test: str, ask: Ask) -> tuple[Case, ...]:
    """All that the test is run with: the product of what was asked for on every axis that applies to it."""
    kind = TESTS[test]
    axes = product(
        ask.instruments(test),
        ask.families,
        ask.streams if kind.kind == "bandwidth" else (None,),
        (ask.message_sizes if takes_messages(kind) else None) or (None,),
        (ask.mss if takes_mss(kind) else None) or (None,),
        (None, LOAD_TEST) if ask.under_load and kind.kind == "latency" else (None,),
    )
    return tuple(Case(test, *axis) for axis in axes)


def default_message_bytes(instrument: str) -> int:
    """What an instrument sends where no size was asked for: STAMP's packets carry their TLVs, others a byte."""
    return 72 if instrument == STAMP else 1


def load_case(case: Case, ask: Ask) -> Case:
    """The test that loads the path of a latency test: by the default instrument, which can hold a rate."""
    return Case(LOAD_TEST, TESTS[LOAD_TEST].default_instrument, case.family, streams=ask.streams[0])


def end_of(node: Node, role: str) -> End:
    """The end that the node's agent of that role is. What the agent says of itself goes before the node's facts."""
    agent = node.agent(role)
    if agent is None:
        return End(node.name, role, None)
    facts = {**node.facts, **agent.facts}
    facts.setdefault("addresses", [agent.address])
    return End(node.name, role, facts)


def offered_bits_per_second(kind: TestKind, ask: Ask) -> int | None:
    """The rate of all streams together that a test sends at; None is as much as goes through."""
    if kind.kind != "bandwidth":
        return None
    rate = ask.rate
    if rate is None and kind.protocol == "udp":
        rate = DEFAULT_UDP_BITS_PER_SECOND
    if rate is None or rate == "unlimited":
        return ask.max_rate
    return rate if ask.max_rate is None else min(rate, ask.max_rate)


def offered_per_second(case: Case, ask: Ask) -> int | None:
    """Messages or connects a second; None where the instrument has no such rate."""
    if not sends_at_a_rate(case.kind, case.instrument):
        return None
    default = DEFAULT_CONNECTS_PER_SECOND if case.kind.kind == "connect" else DEFAULT_MESSAGES_PER_SECOND
    return ask.message_rate or default


def parameters(case: Case, ask: Ask, mtu_bytes: int, *, bidirectional: bool) -> Parameters:
    """What a cell is measured with, where the smaller MTU of both ends is `mtu_bytes`."""
    kind = case.kind
    message_bytes = case.message_bytes
    if message_bytes is None and case.instrument == "qperf" and case.test == "udp-bandwidth":
        # Its default of 32 KiB is sent in fragments.
        message_bytes = min(mtu_bytes - _HEADER_BYTES[case.family], _LARGEST_UDP_PAYLOAD_BYTES)
    direction: Literal["forward", "bidirectional"] | None = None
    if kind.kind == "bandwidth":
        direction = "bidirectional" if bidirectional else "forward"
    return Parameters(
        instrument=case.instrument,
        family=case.family,
        streams=case.streams,
        message_bytes=message_bytes,
        mss_bytes=case.mss_bytes,
        direction=direction,
        load=case.load,
        offered_bits_per_second=offered_bits_per_second(kind, ask),
        offered_per_second=offered_per_second(case, ask),
        congestion_control=ask.congestion if has_congestion(kind) else None,
    )


def told_seconds(test: str, instrument: str, ask: Ask) -> tuple[int, int]:
    """What a program is told: its duration and its warm-up, whole seconds."""
    if TESTS[test].kind == "mtu":
        return PATH_MTU_SECONDS, 0
    return ask.duration, ask.omit if INSTRUMENTS[instrument].omits else 0


def load_for(case: Case, ask: Ask) -> Load | None:
    """What runs beside a measurement of the case, if it is one under load."""
    if case.load is None:
        return None
    loading = load_case(case, ask)
    outlasts = math.ceil(LOAD_LEAD_SECONDS + _seconds_alone(case, ask)) + _LOAD_TAIL_SECONDS
    return Load(case.load, parameters(loading, ask, 0, bidirectional=False), outlasts, LOAD_LEAD_SECONDS)


def seconds(case: Case, ask: Ask) -> float:
    """How long a measurement of the case is expected to take its nodes."""
    load = load_for(case, ask)
    if load is None:
        return _seconds_alone(case, ask)
    return load.duration_seconds + INSTRUMENTS[load.parameters.instrument].overhead_seconds


def _seconds_alone(case: Case, ask: Ask) -> float:
    duration, omit = told_seconds(case.test, case.instrument, ask)
    reference = QPERF_REFERENCE_SECONDS if case.instrument == "qperf" and case.test == "udp-latency" else 0
    return reference + omit + duration + case.tool.overhead_seconds


def has_congestion(kind: TestKind) -> bool:
    """Whether a congestion control has a part in a test's figures."""
    return kind.protocol == "tcp" and kind.kind in ("bandwidth", "latency", "transactions")
