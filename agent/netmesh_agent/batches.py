"""Host samples that travel together: a message of each costs both ends more than all that is in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netmesh.v1 import agent_pb2
from netmesh_agent.errors import Refused
from netmesh_common.hostfigures import FIGURES, MODES, SLACK_SECONDS

MOST_SECONDS = 10.0
# The kernel tells CPU time in hundredths of a second (USER_HZ).
TICKS = 100
_DEVICE = tuple(name for name in agent_pb2.DeviceColumns.DESCRIPTOR.fields_by_name if name != "name")


class Batch:
    """Keeps samples for up to `seconds`; 0: none is kept. The first goes at once: its arrival tells the clocks apart.

    Refused where `seconds` is not between 0 and `MOST_SECONDS`.
    """

    def __init__(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and 0 <= seconds <= MOST_SECONDS):
            raise Refused("refused", f"batch_seconds is between 0 and {MOST_SECONDS:g}", "batch_seconds")
        self._nanoseconds = round(seconds * 1e9)
        self._kept: list[agent_pb2.HostSample] = []
        self._sent: int | None = None
        self._before: agent_pb2.HostSample | None = None
        self._modes_known = True

    def add(self, sample: agent_pb2.HostSample) -> agent_pb2.HostSamples | None:
        """Takes a sample; the message to send now, if it is time for one."""
        if self._before is not None and _stepped_back(self._before, sample):
            self._modes_known = False
        self._before = sample
        self._kept.append(sample)
        now = sample.monotonic_nanoseconds
        if self._sent is not None and now - self._sent < self._nanoseconds:
            return None
        self._sent = now
        return self.rest()

    def rest(self) -> agent_pb2.HostSamples | None:
        """What is kept, as one message; it is kept no longer. None where that is nothing."""
        kept, self._kept = self._kept, []
        return columns(kept, modes_known=self._modes_known) if kept else None


def columns(samples: Sequence[agent_pb2.HostSample], *, modes_known: bool = True) -> agent_pb2.HostSamples:
    """Samples of one stream, in order, as the message of all of them."""
    last = samples[-1]
    idle = [[core.idle + core.iowait for core in one.cpus] for one in samples]
    message = agent_pb2.HostSamples(
        monotonic_nanoseconds=[one.monotonic_nanoseconds for one in samples],
        pressure_is_hosts=last.pressure_is_hosts,
    )
    if last.HasField("memory_total_bytes"):
        message.memory_total_bytes = last.memory_total_bytes
    ticks = _ticks(idle)
    if ticks is not None:
        message.idle_seconds.extend(map(sum, idle))
        message.core_idle_seconds.extend(idle[0])
        message.core_idle_ticks.extend(ticks)
        for one in samples:
            message.mode_seconds.extend(_modes(one) if modes_known else [math.nan] * len(MODES))
    for name in FIGURES:
        known = [one.HasField(name) for one in samples]  # type: ignore[arg-type]  # one of the message's optional fields
        if any(known):
            column = [getattr(one, name) if told else math.nan for one, told in zip(samples, known, strict=True)]
            getattr(message, name).extend(column)
    _add_device(message, samples)
    return message


def _ticks(idle: Sequence[Sequence[float]]) -> list[int] | None:
    """By how much each core's idle time has grown since the first sample; None where a core came or went meanwhile."""
    first = idle[0]
    if not first or any(len(cores) != len(first) for cores in idle):
        return None
    ticks = [round((after - before) * TICKS) for cores in idle[1:] for before, after in zip(first, cores, strict=True)]
    return ticks if all(abs(each) < 2**31 for each in ticks) else None  # int32; one that came back may begin anew


def _stepped_back(before: agent_pb2.HostSample, after: agent_pb2.HostSample) -> bool:
    return any(
        getattr(new, mode) < getattr(old, mode) - SLACK_SECONDS
        for old, new in zip(before.cpus, after.cpus, strict=False)
        for mode in MODES
    )


def _modes(sample: agent_pb2.HostSample) -> list[float]:
    return [sum(getattr(core, mode) for core in sample.cpus) for mode in MODES]


def _add_device(message: agent_pb2.HostSamples, samples: Sequence[agent_pb2.HostSample]) -> None:
    names = {one.device.name if one.HasField("device") else None for one in samples}
    if len(names) != 1 or None in names:
        return
    message.device.name = samples[0].device.name
    for name in _DEVICE:
        getattr(message.device, name).extend(getattr(one.device, name) for one in samples)
