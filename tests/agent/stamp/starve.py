"""What starves a process: a control group with a small share of a core, and others that want all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

LOOPS = 4
# What stands for the network, and its captures, have a core whenever they need one (SCHED_FIFO).
UNHINDERED = ("chrt", "--fifo", "10")


class Limit:
    """A control group that leaves 5 % of a core to its processes: version 1 (cpu.cfs_quota_us) or 2 (cpu.max)."""

    def __init__(self, name: str) -> None:
        first, second = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
        self.old = (first / "cgroup.procs").exists()
        if not self.old and "cpu" not in (second / "cgroup.controllers").read_text().split():
            pytest.skip("this kernel has no control groups that limit CPU, of neither version")
        self.folder = (first if self.old else second) / name
        self.folder.mkdir()
        if not self.old:
            (second / "cgroup.subtree_control").write_text("+cpu")

    def set(self, quota: int | None) -> None:
        if self.old:
            (self.folder / "cpu.cfs_period_us").write_text("100000")
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota or -1))
        else:
            (self.folder / "cpu.max").write_text(f"{quota or 'max'} 100000")

    def hold(self, process: subprocess.Popen[str]) -> None:
        (self.folder / "cgroup.procs").write_text(str(process.pid))

    def remove(self) -> None:
        # Its processes have ended; the kernel may need a moment to see it.
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)


@contextmanager
def busy_loops() -> Iterator[None]:
    """Two on each of the machine's first two cores, which is all of a machine of two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    loops: list[subprocess.Popen[bytes]] = []
    before = os.sched_getaffinity(0)
    # All that is started from here on is on these cores.
    os.sched_setaffinity(0, cores)
    try:
        loops += [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
        yield
    finally:
        os.sched_setaffinity(0, before)
        for loop in loops:
            loop.kill()
            loop.wait()
