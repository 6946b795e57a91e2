"""How long processes waited for a core: the scheduler's accounts, pressure stall information, timers that were late.

A process that waits measures its own waiting; whoever reads its figures has to know.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from netmesh_agent.cgroup import own_file

_HOST_PRESSURE = Path("/proc/pressure/cpu")


def parse_schedstat(text: str) -> float | None:
    """Seconds that a thread waited in the run queue, by its /proc/PID/schedstat; None where the kernel counts none.

    Three numbers: nanoseconds on a core, nanoseconds runnable and waiting for one, times run
    (Documentation/scheduler/sched-stats.rst).
    """
    fields = text.split()
    return int(fields[1]) / 1e9 if len(fields) == 3 else None


def waited(pids: Iterable[int]) -> float | None:
    """Seconds that all living threads of these processes waited in the run queue; None where that cannot be read.

    A thread that has ended takes its time with it.
    """
    total, seen = 0.0, False
    for pid in pids:
        try:
            threads = list(Path(f"/proc/{pid}/task").iterdir())
        except (FileNotFoundError, ProcessLookupError):
            continue
        for thread in threads:
            seconds = _waited(thread / "schedstat")
            if seconds is not None:
                total, seen = total + seconds, True
    return total if seen else None


def agent_waited() -> float | None:
    """Seconds that the thread of this process's event loop, its main one, waited in the run queue."""
    return _waited(Path("/proc/self/schedstat"))


def _waited(file: Path) -> float | None:
    try:
        return parse_schedstat(file.read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def parse_pressure(text: str) -> float | None:
    """Seconds in which at least one task waited for a core: `total` (µs) of the line `some` of a cpu.pressure."""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "some":
            values = dict(field.split("=", 1) for field in rest.split())
            return int(values["total"]) / 1e6
    return None


def pressure() -> tuple[float, bool] | None:
    """The CPU's pressure stall time in seconds, and whether it is the whole host's; None where the kernel tells none.

    The agent's own control group is asked first (version 2). Where it is not there, or not told, the host.
    """
    own = own_file("cpu.pressure", version=2)
    # Only the root of the whole hierarchy has no type (cgroups(7)): there the group is the host.
    root = own is not None and not own.with_name("cgroup.type").exists()
    for file, is_hosts in ((own, root), (_HOST_PRESSURE, True)):
        if file is None:
            continue
        try:
            seconds = parse_pressure(file.read_text())
        except OSError:  # pressure is switched off: EOPNOTSUPP
            continue
        if seconds is not None:
            return seconds, is_hosts
    return None


class Lateness:
    """Adds up how much later than due a timer's callbacks ran: the time in which an event loop did not answer."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._due: float | None = None

    def due_in(self, seconds: float) -> None:
        """A timer is set now."""
        self._due = time.monotonic() + seconds

    def fired(self) -> None:
        """It has fired, or was cut short."""
        if self._due is not None:
            self.seconds += max(0.0, time.monotonic() - self._due)
            self._due = None
