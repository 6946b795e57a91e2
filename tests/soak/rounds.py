"""What happens to the mesh, one kind a round, in turn; each leaves it whole."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable
from urllib.request import Request, urlopen

from tests.soak.mesh import LOSSY, PORT, SHAPE, TOKEN, Mesh

from netmesh_controller import lab as labs
from netmesh_controller.lab import namespaces
from netmesh_controller.lab.addressing import fabric_namespace

BANDWIDTH = {"tests": "tcp-bandwidth", "rate": "20M", "duration": "1s", "omit": "0s"}
LATENCY = {"tests": "tcp-latency", "duration": "1s"}


def sweep(mesh: Mesh) -> None:
    """A sweep of which each cell is measured or has its reason, which is printed; its run is deleted again."""
    run = mesh.ask("POST", "sweeps", {"options": BANDWIDTH})["run"]
    mesh.wait(mesh.sweep_ended, 120)
    cells = mesh.ask("GET", f"runs/{run}/document")["cells"]
    assert len(cells) == 9
    for cell in cells:
        if cell["outcome"] != "measured":
            print(json.dumps({"gap": cell["reason"], "source": cell["source"], "target": cell["target"]}), flush=True)
    mesh.ask("DELETE", f"runs/{run}")


def agent_killed(mesh: Mesh) -> None:
    """An agent is killed in mid-sweep and comes back."""
    mesh.ask("POST", "sweeps", {"options": BANDWIDTH})
    time.sleep(2)
    mesh.agent("node-3", "pod").kill()
    time.sleep(3)
    mesh.start_agent("node-3", "pod")
    mesh.wait(mesh.sweep_ended, 180)


def agent_stopped(mesh: Mesh) -> None:
    """An agent stands still while it is probed, and goes on."""
    process = mesh.agent("node-3", "pod")
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(12)
    finally:
        process.send_signal(signal.SIGCONT)


def cancelled(mesh: Mesh) -> None:
    """A sweep is given up half-way."""
    run = mesh.ask("POST", "sweeps", {"options": LATENCY})["run"]
    time.sleep(3)
    mesh.ask("DELETE", f"sweeps/{run}")
    mesh.wait(mesh.sweep_ended)


def lossy(mesh: Mesh) -> None:
    """A link loses packets for a while, and events open."""
    labs.set_lab(mesh.lab.name, labs.load_spec(LOSSY))
    try:
        sweep(mesh)
        time.sleep(5)
    finally:
        labs.set_lab(mesh.lab.name, labs.load_spec(SHAPE))


def readers(mesh: Mesh) -> None:
    """Readers of a sweep's events that stall, go away, or read well; pages' own questions meanwhile."""
    run = mesh.ask("POST", "sweeps", {"options": LATENCY})["run"]
    path = f"/api/v1/sweeps/{run}/events"

    def stalled() -> list[socket.socket]:
        opened = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(10)]
        for one in opened:
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Netmesh-Token: {TOKEN}\r\n\r\n".encode())
        return opened

    def read() -> int:
        headers = {"X-Netmesh-Token": TOKEN}
        with urlopen(Request(f"http://127.0.0.1:{PORT}{path}", headers=headers), timeout=120) as events:
            return sum(1 for _ in events)

    place = fabric_namespace(mesh.lab.name)
    waiting = namespaces.inside(place, stalled)
    for question in ("mesh", "events", "runs", "nodes", "openapi.json"):
        mesh.ask("GET", question)
    assert namespaces.inside(place, read) > 10
    for one in waiting:
        one.close()
    mesh.wait(mesh.sweep_ended, 120)


ROUNDS: tuple[Callable[[Mesh], None], ...] = (sweep, agent_killed, agent_stopped, cancelled, lossy, readers)
