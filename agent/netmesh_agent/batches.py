"""Host samples that travel together: a message of each costs both ends more than all that is in it."""

from __future__ import annotations

import math

from netmesh.v1 import agent_pb2
from netmesh_agent.errors import Refused

MOST_SECONDS = 10.0
# The kernel tells CPU time in hundredths of a second (USER_HZ).
TICKS = 100


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

    def add(self, sample: agent_pb2.HostSample) -> agent_pb2.HostSample | None:
        """Takes a sample; the message to send now, if it is time for one."""
        now = sample.monotonic_nanoseconds
        if self._sent is not None and now - self._sent < self._nanoseconds:
            self._kept.append(sample)
            return None
        self._sent = now
        return carrying(sample, self.rest())

    def rest(self) -> list[agent_pb2.HostSample]:
        """What is kept, in order; it is kept no longer."""
        kept, self._kept = self._kept, []
        return kept

    def last(self) -> agent_pb2.HostSample | None:
        """What is kept, as one message."""
        kept = self.rest()
        if not kept:
            return None
        *earlier, sample = kept
        return carrying(sample, earlier)


def carrying(sample: agent_pb2.HostSample, earlier: list[agent_pb2.HostSample]) -> agent_pb2.HostSample:
    """A sample as the message that carries earlier ones; of their cores it has the differences, which are small."""
    counters = _counters(sample) if earlier else []
    for one in earlier:
        ticks = [(after - before) * TICKS for before, after in zip(_counters(one), counters, strict=False)]
        whole = [round(each) for each in ticks]
        # Kernels count in ticks (proc(5)); what is anything else travels as it is.
        if len(one.cpus) == len(sample.cpus) and all(map(_is_whole, ticks, whole)):
            one.ClearField("cpus")
            one.ticks_less.extend(whole)
    sample.earlier.extend(earlier)
    return sample


def _counters(sample: agent_pb2.HostSample) -> list[float]:
    return [
        counter
        for cpu in sample.cpus
        for counter in (cpu.user, cpu.nice, cpu.system, cpu.irq, cpu.softirq, cpu.steal, cpu.idle, cpu.iowait)
    ]


def _is_whole(ticks: float, whole: int) -> bool:
    return abs(ticks - whole) < 1e-3 and abs(whole) < 2**31  # int32
