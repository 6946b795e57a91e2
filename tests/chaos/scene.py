"""A sweep over three agents on loopback, and the moments of it at which something can go wrong."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.support.cli import Controller
from tests.support.clock import SteppedClock
from tests.support.loopback import Mesh

RATE = 50e6
CELLS = 9
_WAIT_SECONDS = 150.0
_NAME = "netmesh-chaos"


@dataclass(frozen=True)
class NamedController(Controller):
    """Commands that find names in a file of their own, no name server, and a wall clock of their own."""

    hosts: Path
    clock: SteppedClock

    def argv(self, *arguments: object) -> list[str]:
        """In a mount namespace in which the file is /etc/hosts; the process is the command's own."""
        return self._in_place(*super().argv(*arguments))

    def _in_place(self, *command: str) -> list[str]:
        bind = 'mount --bind "$0" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && exec "$@"'
        return self.clock.argv("unshare", "--mount", "sh", "-c", bind, str(self.hosts), *command)

    def start_held(self, moment: str, number: int, *arguments: object) -> tuple[subprocess.Popen[str], socket.socket]:
        """Starts a command that waits at the moment (`gate`), and returns at once; the socket is how it says so."""
        ours, theirs = socket.socketpair()
        with theirs:
            held = ("-m", "tests.chaos.gate", theirs.fileno(), moment, number, *arguments)
            process = subprocess.Popen(
                self._in_place(sys.executable, *map(str, held)),
                env=self.environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=(theirs.fileno(),),
            )
        return process, ours


@dataclass
class Scene:
    """What an action may lay hands on; `undo` is done before the run is resumed. `clock`: that of the victim's node.

    The sweep waits at its moment until an action, or who called it, says `go_on`.
    """

    mesh: Mesh
    controller: NamedController
    sweep: subprocess.Popen[str]
    gate: socket.socket
    clock: SteppedClock
    undo: list[Callable[[], object]] = field(default_factory=list)

    def __enter__(self) -> None:
        """The sweep lives no longer than the context."""

    def __exit__(self, *_: object) -> None:
        self.gate.close()
        self.sweep.kill()
        self.sweep.wait()

    def process(self) -> psutil.Process:
        """The controller's."""
        return psutil.Process(self.sweep.pid)

    def agents(self, node: str) -> list[psutil.Process]:
        """The processes of a node's agents."""
        return [psutil.Process(one.process.pid) for name, one in self.mesh.agents.items() if name.startswith(node)]

    def clients(self) -> list[psutil.Process]:
        """The tools that send now."""
        found = []
        for tool in self.mesh.tools():
            try:
                if "-c" in tool.cmdline():
                    found.append(tool)
            except psutil.NoSuchProcess:
                continue
        return found

    def stored(self) -> dict[tuple[str, str], Any]:
        """The cells that a reader of the store finds now, by pair: what it holds of each."""
        path = self.controller.data / "netmesh.sqlite"
        if not path.exists():
            return {}
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT source, target, outcome, rest FROM cells").fetchall()
        except sqlite3.OperationalError:  # its tables are not there yet
            return {}
        finally:
            connection.close()
        return {(source, target): json.loads(rest) for source, target, outcome, rest in rows if outcome == "measured"}

    def wait(self) -> None:
        """Until the sweep has come to its moment, at which it waits."""
        self.gate.settimeout(_WAIT_SECONDS)
        if not self.gate.recv(1):
            raise AssertionError(f"the sweep ended before its moment came: {self.sweep.communicate()}")

    def go_on(self) -> None:
        """What was to happen has begun: the sweep goes on, where it still lives."""
        with suppress(OSError):
            self.gate.sendall(b"!")

    def client(self) -> psutil.Process:
        """A tool that sends now, or the next one."""
        until = time.monotonic() + _WAIT_SECONDS
        while not (found := self.clients()):
            assert self.sweep.poll() is None, "the sweep ended, and no tool was seen"
            assert time.monotonic() < until, f"no tool after {_WAIT_SECONDS} s"
            time.sleep(0.01)
        return found[0]


@contextmanager
def small_folder(path: Path) -> Iterator[Path]:
    """A file system of its own, so that it can be full: a tmpfs of 8 MB. What a killed process left goes first."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, where, *_ = line.split()
        name, _, pid = source.rpartition("-")
        if name == _NAME and not psutil.pid_exists(int(pid)):
            subprocess.run(["umount", "--lazy", where], check=True)
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", f"{_NAME}-{os.getpid()}", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
