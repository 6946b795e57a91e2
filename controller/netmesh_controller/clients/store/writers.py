"""Who measures a run now, and whether that process still lives.

On one machine the kernel knows: process id and start time, in the same PID namespace since the same boot. From
elsewhere a process is taken for dead that has given no sign for `SILENT_SECONDS`.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

SIGN_SECONDS = 10.0
SILENT_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Writer:
    """A process. `machine` is its boot and PID namespace; `started` its start time in ticks after boot (proc(5))."""

    host: str
    machine: str
    pid: int
    started: int

    def to_json(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Writer:
        """As it was stored."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def lives(self, silent_seconds: float | None) -> bool:
        """Whether it still runs; `silent_seconds` is how long it has given no sign."""
        if self.machine and self.machine == _machine():
            return _started(self.pid) == self.started
        return silent_seconds is not None and silent_seconds < SILENT_SECONDS


def this_process() -> Writer:
    """The process that asks."""
    pid = os.getpid()
    return Writer(socket.gethostname(), _machine(), pid, _started(pid) or 0)


@cache
def _machine() -> str:
    """The boot and the PID namespace, empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """When the process started, in ticks after boot; None where there is none, or where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # Field 3 is the state (a zombie has ended), field 22 the start time; the second, a name, is cut off.
    return None if fields[0] in "ZX" else int(fields[19])
