"""Processes that outlive their starter: known by their number and start time together, since numbers come again."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from netmesh_controller.lab.errors import LabError

_PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN, <net/tcp_states.h>
_LOCK_DESCRIPTOR = 3


@dataclass(frozen=True)
class Process:
    """A process: its number, and its start in clock ticks since boot (field 22 of proc(5)'s stat)."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and was not waited for does not."""
        state = _stat(self.pid)
        return state is not None and state[0] not in "ZX" and state[1] == self.started


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start of a process; None where there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def start(command: list[str], log: Path, lock: int | None) -> Process:
    """Starts a program in a session of its own, its output appended to `log`.

    `lock`: a descriptor that it inherits and so keeps open. LabError where it cannot be started.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if lock is not None:
        actions.append((os.POSIX_SPAWN_DUP2, lock, _LOCK_DESCRIPTOR))
    try:
        # Not subprocess: nobody waits for these, and a Popen that is let go of complains.
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        raise LabError(f"Cannot start {command[0]}: {error.strerror}.") from error
    state = _stat(pid)
    if state is None:
        raise LabError(f"{command[0]} ended at once.")
    return Process(pid, state[1])


def kill(processes: Iterable[Process], *, seconds: float = 5.0) -> None:
    """Kills those that still run and returns when they are gone; LabError where one is not after `seconds`."""
    waiting = [process for process in processes if process.alive()]
    for process in waiting:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + seconds
    while waiting := [process for process in waiting if process.alive()]:
        if time.monotonic() > deadline:
            raise LabError(f"Process {waiting[0].pid} does not end.")
        time.sleep(0.005)


def reap(processes: Iterable[Process]) -> None:
    """Waits for those that are this process's own children and have ended, so that they do not stay as zombies."""
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def listens(process: Process, address: IPv4Address, port: int) -> bool:
    """Whether something listens on this TCP port of this address in the network namespace of the process.

    Read, not tried: a connection would be a stranger to whatever listens.
    """
    # proc(5) prints the address as a number of the machine's byte order; IPv6 sockets have it as their last part.
    wanted = f"{int.from_bytes(address.packed, sys.byteorder):08X}:{port:04X}"
    for family in ("tcp", "tcp6"):
        try:
            lines = (_PROC / str(process.pid) / "net" / family).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state = line.split()[:4]
            if state == _LISTEN and local.endswith(wanted):
                return True
    return False


def inside(namespaces: Iterable[Path]) -> set[Process]:
    """The processes whose network namespace is one of those that these files stand for."""
    wanted = {path.stat().st_ino for path in namespaces}
    found = set()
    for entry in _PROC.iterdir() if wanted else ():
        if not entry.name.isdigit():
            continue
        try:
            inode = (entry / "ns" / "net").stat().st_ino
        except OSError:
            continue
        state = _stat(int(entry.name)) if inode in wanted else None
        if state is not None:
            found.add(Process(int(entry.name), state[1]))
    return found
