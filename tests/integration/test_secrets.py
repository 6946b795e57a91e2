"""Real agents at their most talkative, a real controller, a sweep: no secret is anywhere that people look."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import pytest
from tests.support.agents import Identity, RunningAgent, new_identity, running_agent
from tests.support.cli import Controller

from netmesh_controller.clients.agents import AgentClient, Spec
from netmesh_controller.clients.samples import Received
from netmesh_controller.clients.stamp import StampSession

TOKEN = secrets.token_hex(20)
KEY = secrets.token_bytes(32)
WAIT_SECONDS = 90
STAMP = Spec("udp-latency", "stamp", 4, 1, 0, 0.5)
OPTIONS = {"tests": "tcp-bandwidth,udp-latency", "tool": "iperf3,stamp", "rate": "20M", "duration": "1s", "omit": "0s"}


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return new_identity(tmp_path / "identity")


@pytest.fixture
def agents(identity: Identity, tmp_path: Path) -> Iterator[list[RunningAgent]]:
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                running_agent(
                    identity,
                    tmp_path,
                    node=f"node-{number}",
                    address=f"127.0.0.{number}",
                    port=19410,
                    options=("--log-level", "debug", "--stamp-port", str(61860 + number)),
                )
            )
            for number in (1, 2)
        ]
        yield started


def secrets_of(identity: Identity) -> dict[str, bytes]:
    """Each as it would stand in a text; of keys a line out of their middle."""
    found = {"the token": TOKEN.encode(), "the key": KEY, "the key in hex": KEY.hex().encode()}
    found["the key in base64"] = base64.b64encode(KEY)[:-4]
    for path in identity.directory.rglob("*.key"):
        found[str(path.relative_to(identity.directory))] = path.read_bytes().splitlines()[1]
    assert len(found) >= 6, found  # agent's and controller's at least
    return found


async def test_no_secret_is_in_a_log_a_document_or_a_command_line(
    identity: Identity, agents: list[RunningAgent], tmp_path: Path
) -> None:
    controller = Controller(tmp_path / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    serve = ("serve", "--agents", ",".join(one.target for one in agents), "--certificates")
    log = tmp_path / "serve.log"
    said: dict[str, bytes] = {}
    with log.open("wb") as out:
        process = subprocess.Popen(
            controller.argv(*serve, identity.directory / "controller", "--listen", f"127.0.0.1:{port}", "--verbose"),
            env=controller.environment(NETMESH_TOKEN=TOKEN),
            stdout=out,
            stderr=out,
        )

    def ask(path: str, body: object = None, token: str = TOKEN) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Netmesh-Token": token, "Content-Type": "application/json"}
        request = Request(f"{url}{path}", data=data, headers=headers)  # noqa: S310  # an address of this test
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content

    def work() -> None:
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                ask("/readyz")
            except URLError:
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            else:
                break
        with pytest.raises(URLError, match="401"):
            ask("/api/v1/runs", token=TOKEN[:-1] + "x")
        run = json.loads(ask("/api/v1/sweeps", {"options": OPTIONS}))["run"]
        ask(f"/api/v1/sweeps/{run}/events")  # to the end
        for asked in ("nodes", "runs", "controller", "mesh", "sweeps", f"runs/{run}/document", "openapi.json"):
            said[asked] = ask(f"/api/v1/{asked}")
        said["metrics"] = ask("/metrics")
        measured = [
            one["test"] for one in json.loads(said[f"runs/{run}/document"])["cells"] if one["outcome"] == "measured"
        ]
        assert set(measured) == {"tcp-bandwidth", "udp-latency"}, said[f"runs/{run}/document"]

    try:
        await asyncio.to_thread(work)
        said["command lines"] = await _authenticated(identity, agents)
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file() and path.stat().st_size:
            said[f"file {path.name}"] = path.read_bytes()
    said["the controller's log"] = log.read_bytes()
    for agent in agents:
        said[f"the log of {agent.address}"] = agent.log.read_bytes()
    exported = tmp_path / "run.html"
    assert controller("report", "latest", "--output", exported).code == 0
    said["the report"] = exported.read_bytes()
    # All of these have something to say.
    assert all(said.values()), [name for name, content in said.items() if not content]
    for name, content in said.items():
        for what, secret in secrets_of(identity).items():
            assert secret not in content, f"{what} stands in {name}"


async def _authenticated(identity: Identity, agents: list[RunningAgent]) -> bytes:
    """A test by STAMP with a key that is known here; all command lines below the agents while it runs."""
    source, target = (AgentClient(one.target, identity.controller()) for one in agents)
    seen = b""
    session = StampSession(key=KEY)
    endpoint = await target.open_endpoint("g", STAMP, 30, session)
    running = StampSession(endpoint.ssid, key=KEY)
    side = None
    async for event in source.run_test("g", STAMP, agents[1].address, endpoint.ports, 30, running):
        if isinstance(event, Received):
            for agent in agents:
                for child in agent.descendants():
                    try:
                        seen += " ".join([*child.cmdline(), *child.environ()]).encode() + b"\n"
                    except psutil.NoSuchProcess:
                        continue
        side = event
    told = await target.close_endpoint(endpoint.id, finished=True)
    assert b"stamp" in seen
    for client in (source, target):
        await client.close()
    return seen + repr((side, told, session, endpoint)).encode()
