"""A sweep over three agents on loopback, and the moments of it at which something can go wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tests.support.cli import Controller
from tests.support.clock import SteppedClock
from tests.support.loopback import Mesh

RATE = 50e6
CELLS = 9
_WAIT_SECONDS = 150
_NAME = "netmesh-chaos"


@dataclass(frozen=True)
class NamedController(Controller):
    """Commands that find names in a file of their own, no name server, and a wall clock of their own."""

    hosts: Path
    clock: SteppedClock

    def argv(self, *arguments: object) -> list[str]:
        """In a mount namespace in which the file is /etc/hosts; the process is the command's own."""
        bind = 'mount --bind "$0" /etc/hosts && mount --bind /dev/null /etc/resolv.conf && exec "$@"'
        named = ["unshare", "--mount", "sh", "-c", bind, str(self.hosts), *super().argv(*arguments)]
        return self.clock.argv(*named)


@dataclass
class Scene:
    """What an action may lay hands on; `undo` is done before the run is resumed. `clock`: that of the victim's node."""

    mesh: Mesh
    controller: NamedController
    sweep: subprocess.Popen[str]
    clock: SteppedClock
    undo: list[Callable[[], object]] = field(default_factory=list)

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

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until it holds, or the sweep has ended."""
        until = time.monotonic() + _WAIT_SECONDS
        while not condition() and self.sweep.poll() is None:
            assert time.monotonic() < until, f"no {what} after {_WAIT_SECONDS} s"
            time.sleep(0.01)


def _closing(scene: Scene) -> None:
    scene.wait(scene.clients, "client")
    first = scene.clients()
    scene.wait(lambda: not all(client.is_running() for client in first), "client that has ended")


# A moment by what can be seen of it from outside.
PHASES: dict[str, Callable[[Scene], None]] = {
    "opening": lambda scene: scene.wait(scene.mesh.tools, "server"),
    "running": lambda scene: scene.wait(scene.clients, "client"),
    "closing": _closing,
    "storing": lambda scene: scene.wait(scene.stored, "cell in the store"),
    "aggregating": lambda scene: scene.wait(lambda: len(scene.stored()) == CELLS, "last cell in the store"),
}


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
