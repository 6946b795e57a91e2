"""The election at a real API server: one leader at a time, a new one soon after a death, and none that lingers."""

from __future__ import annotations

import json
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.kube.api.server import ApiServer

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.timeout(1800)  # the first test may build Kubernetes


class Candidate:
    """A process that takes part."""

    def __init__(self, kubeconfig: Path, namespace: str, identity: str) -> None:
        self.identity = identity
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.kube.api.candidate", str(kubeconfig), namespace, identity],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()
        assert self.says(30) == "takes part"

    def says(self, seconds: float) -> str | None:
        """Its next line, None where it says nothing for so long."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                self._lines.put(line.strip())

    def end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(15)
        self._listening.join()


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A new one; it ends with the server."""
    name = f"lease-{secrets.token_hex(3)}"
    api_server.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def candidate(processes: ExitStack, kubeconfig: Path, namespace: str, identity: str) -> Candidate:
    made = Candidate(kubeconfig, namespace, identity)
    processes.callback(made.end, signal.SIGKILL)
    return made


def lease(api_server: ApiServer, namespace: str) -> dict[str, Any]:
    text = api_server.kubectl("get", "lease", "netmesh-controller", "-n", namespace, "-o", "json")
    spec: dict[str, Any] = json.loads(text)["spec"]
    return spec


def test_another_leads_soon_after_the_leader_died_or_ended(
    api_server: ApiServer, namespace: str, processes: ExitStack
) -> None:
    first = candidate(processes, api_server.kubeconfig("admin"), namespace, "first")
    assert first.says(5) == "leads 1"
    second = candidate(processes, api_server.kubeconfig("admin"), namespace, "second")
    assert second.says(3) is None
    assert lease(api_server, namespace)["holderIdentity"] == "first"
    died = time.monotonic()
    first.end(signal.SIGKILL)
    assert second.says(15) == "leads 2"
    # It was not given back: the second had to see it unchanged for its whole duration.
    assert 5 < time.monotonic() - died < 15
    assert lease(api_server, namespace)["leaseTransitions"] == 2
    third = candidate(processes, api_server.kubeconfig("admin"), namespace, "third")
    ended = time.monotonic()
    second.end(signal.SIGTERM)
    assert second.says(1) == "stands by second"
    assert third.says(15) == "leads 3"
    assert time.monotonic() - ended < 5


def test_of_many_that_start_at_once_one_leads(api_server: ApiServer, namespace: str, processes: ExitStack) -> None:
    several = [candidate(processes, api_server.kubeconfig("admin"), namespace, f"c{number}") for number in range(3)]
    said = [one.says(4) for one in several]
    assert sorted(map(str, said)) == ["None", "None", "leads 1"]


def test_a_leader_that_is_cut_off_stops_before_another_may_start(
    api_server: ApiServer, namespace: str, processes: ExitStack, tmp_path: Path
) -> None:
    with relay(api_server.kubeconfig("admin"), tmp_path) as (through, cut):
        first = candidate(processes, through, namespace, "first")
        assert first.says(5) == "leads 1"
        second = candidate(processes, api_server.kubeconfig("admin"), namespace, "second")
        begun = time.monotonic()
        cut.set()
        assert first.says(15) == "stands by None"
        stopped = time.monotonic() - begun
        assert stopped < 9
        assert second.says(15) == "leads 2"
        assert stopped < time.monotonic() - begun < 15
        cut.clear()
        # It finds out who leads, and waits.
        assert first.says(4) is None
        assert lease(api_server, namespace)["holderIdentity"] == "second"


def test_a_lease_that_was_deleted_is_made_anew_with_a_higher_term(
    api_server: ApiServer, namespace: str, processes: ExitStack
) -> None:
    first = candidate(processes, api_server.kubeconfig("admin"), namespace, "first")
    assert first.says(5) == "leads 1"
    api_server.kubectl("delete", "lease", "netmesh-controller", "-n", namespace)
    assert first.says(6) == "stands by None"
    assert first.says(6) == "leads 2"


@contextmanager
def relay(kubeconfig: Path, folder: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A kubeconfig that leads through a TCP relay, and an event: while it is set, nothing passes and nothing ends."""
    content = yaml.safe_load(kubeconfig.read_text())
    where = urlsplit(content["clusters"][0]["cluster"]["server"])
    cut, done = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    content["clusters"][0]["cluster"] |= {
        "server": f"https://127.0.0.1:{listener.getsockname()[1]}",
        "tls-server-name": where.hostname,
    }
    through = folder / "kubeconfig"
    through.write_text(json.dumps(content))

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with one, other:
            while not done.is_set():
                try:
                    data = one.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                while cut.is_set() and not done.is_set():
                    done.wait(0.05)
                if not data:
                    return
                other.sendall(data)

    def accept() -> None:
        listener.settimeout(0.2)
        while not done.is_set():
            try:
                near, _ = listener.accept()
            except TimeoutError:
                continue
            far = socket.create_connection((where.hostname, where.port))
            # Both before either begins: whoever of the two ends first closes both.
            for one in (near, far):
                one.settimeout(0.2)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pass_on, args=(one, other), daemon=True).start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield through, cut
    finally:
        done.set()
        accepting.join()
        listener.close()
