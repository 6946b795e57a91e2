"""What an agent says, before it is believed: bounded in size, of parts that fit together, of figures that are numbers.

An agent has a certificate and is let in, but it may be broken or in somebody else's hands. What it says wrong costs its
own cells, with a reason, and nothing else.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from netmesh.v1 import agent_pb2
from netmesh_common.hostfigures import FIGURES, MODES
from netmesh_controller.clients.samples import MOST_FIGURE

# What a stream may say at once, and each second: some 20 times what an agent with 128 cores does. A message also costs
# what it is kept in and what it takes to look at it, however little it says.
BURST_BYTES = 4 * 2**20
BYTES_PER_SECOND = 512 * 1024
MESSAGE_COST = 1024
# Windows that were kept while nobody listened come at once.
REPORTS_BURST_BYTES = 64 * 2**20
REPORT_COST = 32 * 1024
_MOST_CHARACTERS = 1000
# Those of 10 s, five times as often as is asked for at most.
MOST_SAMPLES = 1000
_DEVICE_COUNTERS = tuple(name for name in agent_pb2.DeviceColumns.DESCRIPTOR.fields_by_name if name != "name")
_SUMMARY = tuple(name for name in agent_pb2.Summary.DESCRIPTOR.fields_by_name if name != "count")
ROLES = ("pod", "peer", "host")


class HeardError(ValueError):
    """What an agent said cannot be used; the message goes on after "the agent at …"."""


class Allowance:
    """How much a stream may still say."""

    def __init__(self, burst_bytes: int = BURST_BYTES, message_cost: int = MESSAGE_COST) -> None:
        self._burst, self._cost = burst_bytes, message_cost
        self._begun, self._taken = time.monotonic(), 0

    def take(self, message: Any) -> None:
        """Counts a message of a stream; HeardError where it is more than the stream may say by now."""
        self._taken += message.ByteSize() + self._cost
        if self._taken > self._burst + BYTES_PER_SECOND * (time.monotonic() - self._begun):
            raise HeardError("sends far more than a test has to say; its stream was ended")


def check_description(reply: agent_pb2.DescribeReply) -> None:
    """That an agent's words about itself are such as the rest of netmesh counts on."""
    if not reply.node:
        raise HeardError("does not say which node it is of")
    if reply.role not in ROLES:
        raise HeardError(f"says that its role is {reply.role[:20]!r}, which is none of {', '.join(ROLES)}")
    for address in reply.addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise HeardError(f"says that {address[:50]!r} is an address of its") from None
    texts: list[str] = [reply.node, reply.agent_version, reply.kernel, reply.device.name, reply.device.driver]
    texts += [reply.congestion_control, reply.clock_source, reply.boot_id, *reply.congestion_controls_allowed]
    texts += [text for tool in reply.tools for text in (tool.name, tool.version)]
    for text in texts:
        # They go to terminals and pages.
        if len(text) > _MOST_CHARACTERS or not text.isprintable():
            raise HeardError(f"describes itself in words that are no plain text: {text[:50]!r}")
    _numbers((reply.clock_offset_seconds, reply.clock_error_seconds))


def check_sample(message: agent_pb2.HostSample) -> None:
    """That the figures of a host sample can be."""
    for cpu in message.cpus:
        _possible((cpu.user, cpu.nice, cpu.system, cpu.irq, cpu.softirq, cpu.steal, cpu.idle, cpu.iowait))
    _possible(getattr(message, name) for name in FIGURES)


def check_samples(message: agent_pb2.HostSamples) -> None:
    """That host samples can be read: columns of one length, moments in order, idle times that can be.

    Another figure that cannot be is one that is unknown.
    """
    count, cores = len(message.monotonic_nanoseconds), len(message.core_idle_seconds)
    told = bool(cores)
    lengths = {len(getattr(message, name)) for name in FIGURES}
    if message.HasField("device"):
        lengths |= {len(getattr(message.device, name)) or -1 for name in _DEVICE_COUNTERS}
    if (
        not 0 < count <= MOST_SAMPLES
        or not lengths <= {0, count}
        or len(message.idle_seconds) != told * count
        or len(message.mode_seconds) != told * count * len(MODES)
        or len(message.core_idle_ticks) != (count - 1) * cores
        or any(after <= before for before, after in pairwise(message.monotonic_nanoseconds))
    ):
        raise HeardError("sends host samples whose parts do not fit together")
    for column in (message.idle_seconds, message.core_idle_seconds):
        # One addition for all: what is no number makes the sum none, and has no order.
        if column and not (math.isfinite(sum(column)) and min(column) >= 0 and max(column) <= MOST_FIGURE):
            raise HeardError("sends a figure that is no number")


def check_outcome(outcome: agent_pb2.Outcome) -> None:
    """That the figures of a reading can be: sums and squares of them are numbers too."""
    reading = outcome.reading
    for summary in reading.values.values():
        _numbers(getattr(summary, name) for name in _SUMMARY)
    _numbers(reading.reported.values())
    _numbers(value for series in reading.intervals.values() for value in series.values)
    _numbers((outcome.tool_cpu_seconds,))


def _possible(figures: Iterable[float]) -> None:
    if not all(0 <= figure <= MOST_FIGURE for figure in figures):
        raise HeardError("sends a figure that is no number")


def _numbers(figures: Iterable[float]) -> None:
    if not all(abs(figure) <= MOST_FIGURE for figure in figures):
        raise HeardError("sends a figure that is no number")


def plain(text: str) -> str:
    """One line of an agent's words, without what would steer a terminal, and no longer than a person reads."""
    line = " ".join(text.split())
    return "".join(each if each.isprintable() else "�" for each in line)[:_MOST_CHARACTERS]
