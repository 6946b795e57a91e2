"""What a process holds, read from outside: memory, descriptors, threads by proc(5), tasks by its own metrics."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from statistics import median

import psutil

NAMES = ("resident MB", "descriptors", "threads", "tasks", "programs")


@dataclass(frozen=True)
class Held:
    """One look at a process; `programs` are those that it started and that still live."""

    resident_megabytes: float
    descriptors: int
    threads: int
    tasks: int
    programs: int


@dataclass(frozen=True)
class Trend:
    """How one figure went: the median of the run's second quarter, and of its last."""

    name: str
    before: float
    after: float
    most: float

    @property
    def flat(self) -> bool:
        """Counts are the same; memory may grow by 2 MB or a fiftieth, which an allocator's own ways come to."""
        room = max(2.0, self.before / 50) if self.name == NAMES[0] else 0.0
        return self.after <= self.before + room


def held(pid: int, metrics: str) -> Held:
    """What the process holds now; `metrics` is what it told Prometheus."""
    process = psutil.Process(pid)
    found = re.search(r"^netmesh_(?:agent|controller)_tasks (\S+)$", metrics, re.MULTILINE)
    assert found is not None, "the process does not tell its tasks"
    return Held(
        process.memory_info().rss / 1e6,
        process.num_fds(),
        process.num_threads(),
        int(float(found[1])),
        len(process.children(recursive=True)),
    )


def trends(looks: list[Held]) -> list[Trend]:
    """The trends of all figures; the first quarter, in which caches fill, counts for nothing."""
    quarter = len(looks) // 4
    assert quarter > 0, "four looks are the least"
    columns = list(zip(*(astuple(look) for look in looks), strict=True))
    return [
        Trend(name, median(column[quarter : 2 * quarter]), median(column[-quarter:]), max(column))
        for name, column in zip(NAMES, columns, strict=True)
    ]
