"""What a process holds, read from outside: memory, descriptors, threads by proc(5), tasks by its own metrics."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

import psutil
from tests.support.descriptors import descriptors

NAMES = ("resident MB", "descriptors", "threads", "executor", "connections", "engine", "tasks", "programs")
# Threads that are made when as much is asked for at once as never before, and stay; and the most that there may be:
# asyncio's default executor (concurrent.futures), a thread a connection to the store (SQLAlchemy's pool, whose files
# are not among the descriptors), and gRPC's own pool, which begins with four and has one more each time that all were
# busy at once; its bound is ours.
EXECUTOR, CONNECTIONS, ENGINE = "concurrent/futures/thread.py", "aiosqlite/core.py", "event_engine"
MOST = {"executor": min(32, (os.cpu_count() or 1) + 4), "connections": 15, "engine": 16}


@dataclass(frozen=True)
class Held:
    """One look at a process; `executor`, `connections` and `engine` are the threads of those pools, `threads` all
    others; `programs` are those that it started and that still live.
    """

    resident_megabytes: float
    descriptors: int
    threads: int
    executor: int
    connections: int
    engine: int
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
        """Counts are the same, those of pools within their bounds; memory may grow by 2 MB or a fiftieth, which an
        allocator's own ways come to.
        """
        if self.name in MOST:
            return self.most <= MOST[self.name]
        room = max(2.0, self.before / 50) if self.name == NAMES[0] else 0.0
        return self.after <= self.before + room


def threads_in(stacks: str, file: str) -> int:
    """How many threads are in a file, by a dump of all threads (faulthandler)."""
    return sum(file in one for one in re.split(r"^(?:Current thread|Thread) 0x", stacks, flags=re.MULTILINE))


def held(pid: int, metrics: Callable[[], str], stacks: str = "") -> Held:
    """What the process holds now; `metrics` asks what it tells Prometheus, `stacks` is where its threads are."""
    process = psutil.Process(pid)
    # Before it is asked anything: its end of that connection may take its time to close.
    open_now = descriptors(pid)
    found = re.search(r"^netmesh_(?:agent|controller)_tasks (\S+)$", metrics(), re.MULTILINE)
    assert found is not None, "the process does not tell its tasks"
    executor, connections = (threads_in(stacks, file) for file in (EXECUTOR, CONNECTIONS))
    names = [task.read_text().strip() for task in Path(f"/proc/{pid}/task").glob("*/comm")]
    engine = names.count(ENGINE)
    return Held(
        process.memory_info().rss / 1e6,
        open_now,
        len(names) - executor - connections - engine,
        executor,
        connections,
        engine,
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
