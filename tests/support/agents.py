"""Real agent processes on loopback, over real mutual TLS."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.support.clock import SteppedClock

from netmesh_common.tls import Certificates
from netmesh_controller.identity import make_identity

START_SECONDS = 30


@dataclass(frozen=True)
class RunningAgent:
    """An agent process and where it listens."""

    process: subprocess.Popen[bytes]
    address: str
    port: int
    log: Path

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"

    def descendants(self) -> list[psutil.Process]:
        """What it has started and what of that still lives."""
        return psutil.Process(self.process.pid).children(recursive=True)


@dataclass(frozen=True)
class Identity:
    """Certificates of a mesh of a test."""

    directory: Path

    @property
    def agent(self) -> Path:
        return self.directory / "agent"

    def controller(self) -> Certificates:
        return Certificates.read(self.directory / "controller")


def new_identity(directory: Path) -> Identity:
    make_identity(directory)
    return Identity(directory)


def answers(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the agent takes a connection at its own address: others may have the same port at theirs."""
    until = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the agent ended: {log.read_text()}"
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, f"the agent does not listen: {log.read_text()}"
            time.sleep(0.02)
        else:
            return


@contextmanager
def running_agent(
    identity: Identity,
    folder: Path,
    *,
    node: str = "node-1",
    role: str = "pod",
    port: int = 9410,
    address: str = "127.0.0.1",
    options: tuple[str, ...] = (),
    clock: SteppedClock | None = None,
) -> Iterator[RunningAgent]:
    """Starts an agent and ends it, by its process id, with all that it started; with a wall clock of its own."""
    log = folder / f"{node}-{role}-{port}.log"
    command = [sys.executable, "-m", "netmesh_agent.cli", "--node", node, "--role", role]
    command += ["--listen", f"{address}:{port}", "--certificates", str(identity.agent), "--http-port", "0", *options]
    if clock is not None:
        command = clock.argv(*command)
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        answers(address, port, process, log)
        yield RunningAgent(process, address, port, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
