"""The most memory that a process had."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOOK_SECONDS = 0.05


@dataclass
class Peak:
    """`kilobytes` is the most that was resident so far; 0 before the first look."""

    kilobytes: int = 0


@contextmanager
def peak_of(pid: int) -> Iterator[Peak]:
    """Watches a process that runs a program of its own, until the end of the block or its own, whichever comes first.

    By the kernel's high-water mark (VmHWM in proc(5)), looked at 20 times a second: what it grows by in the last moment
    is not seen. Not by ru_maxrss of wait4(2): that of a child begins with the memory of the process that forked it, as
    exec keeps it (setmax_mm_hiwater_rss in the kernel's fs/exec.c).
    """
    found, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            told = _high_water(str(pid))
            if told is None:
                return  # it has ended
            found.kilobytes = max(found.kilobytes, told)

    thread = threading.Thread(target=look, name=f"peak of {pid}", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def own_peak() -> int:
    """The most memory of this process since it began its program, in kilobytes; not that of who forked it."""
    told = _high_water("self")
    if told is None:
        raise OSError("/proc/self/status has no VmHWM")
    return told


def _high_water(process: str) -> int | None:
    try:
        told = re.search(r"^VmHWM:\s+([0-9]+) kB$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    # None: it has ended, and nobody has waited for it yet.
    return None if told is None else int(told[1])
