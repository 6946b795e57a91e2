"""A lab of three nodes and the controller that stays, beside its switch; agents are killed, stopped and started."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
from tests.support.cli import Controller

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab, agents, namespaces, processes
from netmesh_controller.lab.addressing import Role, fabric_namespace

TOKEN = "a-token-of-the-soak"  # noqa: S105  # it opens nothing else
PORT = 9412
SHAPE = "nodes: 3"
LOSSY = "nodes: 3\nlinks: {node-1: {loss: 0.05}}"
WAIT_SECONDS = 60
# The controller's command; at a signal it writes where each of its threads is.
COMMAND = """
import faulthandler, runpy, signal, sys
faulthandler.register(signal.SIGUSR1, open(sys.argv.pop(1), "w"))
runpy.run_module("netmesh_controller", run_name="__main__", alter_sys=True)
"""


class Mesh:
    """The lab, its controller, and what can be done to them."""

    def __init__(self, lab: Lab, controller: int, folder: Path) -> None:
        self.lab = lab
        self.controller = controller
        self._started: dict[tuple[str, Role], processes.Process] = {}
        self._folder = folder

    def fetch(self, url: str, method: str = "GET", body: Any = None) -> bytes:
        """What an address inside of the lab answers, an error's text too."""
        request = Request(  # noqa: S310  # an address of the lab
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Netmesh-Token": TOKEN, "Content-Type": "application/json"},
        )

        def ask() -> bytes:
            try:
                with urlopen(request, timeout=30) as answer:  # noqa: S310
                    data: bytes = answer.read()
            except HTTPError as error:
                with error:
                    data = error.read()
            return data

        return namespaces.inside(fabric_namespace(self.lab.name), ask)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The controller's JSON."""
        data = self.fetch(f"http://127.0.0.1:{PORT}/api/v1/{path}", method, body)
        return json.loads(data) if data else None

    def metrics(self, address: str, port: int) -> str:
        """What a process tells Prometheus."""
        return self.fetch(f"http://{address}:{port}/metrics").decode()

    def stacks(self) -> str:
        """Where each of the controller's threads is: faulthandler writes the main one last."""
        told = self._folder / "stacks"
        before = told.stat().st_size
        os.kill(self.controller, signal.SIGUSR1)
        self.wait(lambda: 'File "<string>", line 4 in <module>' in told.read_text()[before:])
        return told.read_text()[before:]

    def agent(self, node: str, role: Role) -> psutil.Process:
        """An agent's own process: the last of those that hold each other in its place."""
        wanted = ["--node", node, "--role", role]
        folder = str(self.lab.certificates)
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            inner = len(words) > 1 and words[1].endswith("netmesh-agent")
            if inner and all(word in words for word in wanted) and any(word.startswith(folder) for word in words):
                return process
        raise LookupError(f"there is no agent of {node} ({role})")

    def start_agent(self, node: str, role: Role) -> None:
        """Starts an agent in the place of one that is gone, and waits until it listens."""
        key = (node, role)
        argv = agents.command(self.lab.name, key, self.lab.addresses, self.lab.certificates, dies_with_parent=True)
        processes.reap(self._started.values())
        self._started[key] = processes.start(argv, agents.log_file(self._folder, key), None)
        agents.wait_ready(self._folder, {key: self._started[key]}, self.lab.addresses)

    def wait(self, what: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Until it is so."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, "it did not come to be in time"
            time.sleep(0.2)

    def sweep_ended(self) -> bool:
        """Whether no sweep is under way."""
        return self.ask("GET", "controller")["sweep"] is None


@contextmanager
def running(folder: Path) -> Iterator[Mesh]:
    """All of it; what the controller says is in `folder`, and an agent's log too."""
    command = Controller(folder / "data")
    with labs.up(labs.load_spec(SHAPE), f"nmsoak-{secrets.token_hex(2)}", ephemeral=True) as lab:
        argv = ["setpriv", "--pdeathsig", "KILL", "--"]
        argv += ["nsenter", f"--net={namespaces.FOLDER / fabric_namespace(lab.name)}", "--", sys.executable]
        argv += ["-c", COMMAND, str(folder / "stacks"), "serve", "--lab", lab.name, "--listen", f"127.0.0.1:{PORT}"]
        with (folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(argv, env=command.environment(NETMESH_TOKEN=TOKEN), stdout=log, stderr=log)
        try:
            mesh = Mesh(lab, process.pid, folder)
            mesh.wait(lambda: _answers(mesh))
            yield mesh
        finally:
            os.kill(process.pid, signal.SIGTERM)
            code = process.wait(WAIT_SECONDS)
    said = (folder / "serve.log").read_text()
    assert code == 0, said
    assert "Traceback" not in said, said


def _answers(mesh: Mesh) -> bool:
    try:
        mesh.fetch(f"http://127.0.0.1:{PORT}/readyz")
    except OSError:
        return False
    return True
