"""What a test is run with between two ends, and why it cannot be run there, as far as that is known beforehand."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netmesh_common.units import format_rate
from netmesh_controller.mesh.ask import Ask
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Node, Parameters, Reason

DEFAULT_UDP_BITS_PER_SECOND = 100_000_000
# iperf3 took 7 to 40 ms beyond its omitted and measured seconds on an idle machine, qperf 4 to 7 ms; the calls that
# start and end them come on top.
TOOL_OVERHEAD_SECONDS = 0.05
# Before its udp_lat qperf measures TCP's latency, against which a lost datagram shows.
QPERF_REFERENCE_SECONDS = 1
# What every IPv6 link must carry (RFC 8200 section 5); for nodes that do not know their MTU.
_LEAST_MTU_BYTES = 1280
# IP header without options, and UDP's 8 bytes.
_HEADER_BYTES = {4: 28, 6: 48}
_LARGEST_UDP_PAYLOAD_BYTES = 65_507


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


def end_of(node: Node, role: str) -> End:
    """The end that the node's agent of that role is. What the agent says of itself goes before the node's facts."""
    agent = node.agent(role)
    if agent is None:
        return End(node.name, role, None)
    facts = {**node.facts, **agent.facts}
    facts.setdefault("addresses", [agent.address])
    return End(node.name, role, facts)


def offered_bits_per_second(test: str, ask: Ask) -> int | None:
    """The rate of all streams together that a test sends at; None is as much as goes through."""
    kind = TESTS[test]
    if kind.kind != "bandwidth" or ask.rate == "unlimited":
        return None
    if ask.rate is None and kind.protocol == "udp":
        return DEFAULT_UDP_BITS_PER_SECOND
    return ask.rate


def parameters(test: str, ask: Ask, mtu_bytes: int, *, bidirectional: bool) -> Parameters:
    """What a cell of the test is measured with, where the smaller MTU of both ends is `mtu_bytes`."""
    kind, instrument = TESTS[test], ask.instrument(test)
    bandwidth = kind.kind == "bandwidth"
    message_bytes = None
    if instrument == "qperf" and test == "udp-bandwidth":
        # Its default of 32 KiB is sent in fragments.
        message_bytes = min(mtu_bytes - _HEADER_BYTES[ask.family], _LARGEST_UDP_PAYLOAD_BYTES)
    direction = None
    if bandwidth:
        direction = "bidirectional" if bidirectional else "forward"
    return Parameters(
        instrument=instrument,
        family=ask.family,
        streams=ask.streams if bandwidth else None,
        message_bytes=message_bytes,
        direction=direction,
        offered_bits_per_second=offered_bits_per_second(test, ask),
        congestion_control=ask.congestion if kind.protocol == "tcp" else None,
    )


def seconds(test: str, ask: Ask) -> float:
    """How long a measurement of the test is expected to take its nodes."""
    instrument = ask.instrument(test)
    extra = ask.omit if instrument == "iperf3" else 0
    if instrument == "qperf" and test == "udp-latency":
        extra = QPERF_REFERENCE_SECONDS
    return extra + ask.duration + TOOL_OVERHEAD_SECONDS


def refused_everywhere(test: str, ask: Ask) -> Reason | None:
    """Why no two ends can run the test as it was asked for, or None."""
    kind, instrument = TESTS[test], ask.instrument(test)
    if instrument != "qperf":
        return None
    if ask.streams > 1 and kind.kind == "bandwidth":
        return _not_supported(f"qperf runs one stream, not {ask.streams}")
    if ask.congestion is not None and kind.protocol == "tcp":
        return _not_supported(f"qperf cannot choose the congestion control, and {ask.congestion} was asked for")
    if offered_bits_per_second(test, ask) is not None:
        return Reason(
            code="rate_not_supported",
            message=f"qperf cannot limit its rate to {format_rate(offered_bits_per_second(test, ask) or 0)}; "
            "it runs this test with --rate unlimited only",
        )
    return None


def refused_by(end: End, test: str, ask: Ask) -> Reason | None:
    """Why this end cannot take part in the test, as source or as target, or None."""
    if end.facts is None:
        return Reason(code="agent_away", message=f"{end.node} has no {end.role} agent that answers")
    kind, instrument = TESTS[test], ask.instrument(test)
    tools = end.facts.get("tools")
    if tools is not None and instrument not in tools:
        return Reason(code="tool_missing", message=f"{end.node} has no {instrument}")
    allowed = end.facts.get("congestion_controls_allowed")
    if ask.congestion is not None and kind.protocol == "tcp" and allowed and ask.congestion not in allowed:
        return _not_supported(f"{end.node} allows no congestion control {ask.congestion}, only {', '.join(allowed)}")
    if ask.family not in _families(end.facts["addresses"]):
        return _not_supported(f"{end.node} has no IPv{ask.family} address")
    return _beyond_limits(end.node, end.facts.get("limits") or {}, test, ask)


def _beyond_limits(node: str, limits: Mapping[str, int | None], test: str, ask: Ask) -> Reason | None:
    kind = TESTS[test]
    asked_seconds = ask.duration + (ask.omit if ask.instrument(test) == "iperf3" else 0)
    most = limits.get("seconds")
    if most is not None and asked_seconds > most:
        return _not_supported(f"{node} allows tests of {most} s, not of {asked_seconds} s (its limit of seconds)")
    if kind.kind != "bandwidth":
        return None
    most = limits.get("streams")
    if most is not None and ask.streams > most:
        return _not_supported(f"{node} allows {most} streams, not {ask.streams} (its limit of streams)")
    most, offered = limits.get("bits_per_second"), offered_bits_per_second(test, ask)
    if most is not None and (offered is None or offered > most):
        asked = "as much as goes through" if offered is None else format_rate(offered)
        return _not_supported(f"{node} allows {format_rate(most)}, not {asked} (its limit of bits a second)")
    return None


def _families(addresses: list[str]) -> set[int]:
    # An address that is not understood may be of any family: the test will tell.
    families: set[int] = set()
    for address in addresses:
        try:
            families.add(ipaddress.ip_address(address).version)
        except ValueError:
            return {4, 6}
    return families or {4, 6}


def _not_supported(message: str) -> Reason:
    return Reason(code="not_supported", message=message)
