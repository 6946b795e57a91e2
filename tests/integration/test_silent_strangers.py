"""Strangers that connect to each port and say nothing, or half of what they began: they are ended, in nobody's way."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
from tests.support.agents import Identity, running_agent
from tests.support.cli import Controller

from netmesh_common.http import IDLE_SECONDS
from netmesh_common.tls import HANDSHAKE_SECONDS
from netmesh_controller.clients.agents import AgentClient

AGENT, METRICS, CONTROLLER = 19410, 19413, 19412
SAID = (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x02\x00")
EACH = 40
# A machine on which all is late.
LATE_SECONDS = 30


def ended(stranger: socket.socket) -> bool:
    """Whether the other end has closed it, what it said before read away."""
    while select.select([stranger], [], [], 0)[0]:
        try:
            if not stranger.recv(4096):
                return True
        except ConnectionError:
            return True
    return False


async def test_who_says_nothing_holds_no_port(identity: Identity, tmp_path: Path, controller: Controller) -> None:
    with running_agent(identity, tmp_path, port=AGENT, options=("--http-port", str(METRICS))) as agent:
        where = ("--agents", agent.target, "--certificates", identity.directory / "controller")
        serve = controller.start("serve", *where, "--listen", f"127.0.0.1:{CONTROLLER}")
        client = AgentClient(agent.target, identity.controller())
        try:
            pages = [f"http://127.0.0.1:{METRICS}/metrics", f"http://127.0.0.1:{CONTROLLER}/healthz"]
            until = time.monotonic() + LATE_SECONDS
            while not all(map(answers, pages)):
                assert serve.poll() is None
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
            processes = [psutil.Process(agent.process.pid), psutil.Process(serve.pid)]
            before = [one.num_fds() for one in processes]
            strangers = []
            for port in (AGENT, METRICS, CONTROLLER):
                for number in range(EACH):
                    strangers.append(socket.create_connection(("127.0.0.1", port)))
                    strangers[-1].sendall(SAID[number % len(SAID)])
            # Who has something to say is answered meanwhile.
            assert all(map(answers, pages))
            await client.describe()
            until = time.monotonic() + max(IDLE_SECONDS, HANDSHAKE_SECONDS) + LATE_SECONDS
            while not all(map(ended, strangers)):
                assert time.monotonic() < until, [one.getpeername() for one in strangers if not ended(one)]
                await asyncio.sleep(0.2)
            await client.describe()
            assert all(map(answers, pages))
            for one in strangers:
                one.close()
            for process, held in zip(processes, before, strict=True):
                # Theirs are gone; what the two have opened for each other meanwhile is less than those of one port.
                assert process.num_fds() < held + EACH
        finally:
            await client.close()
            serve.terminate()
            told = serve.communicate(timeout=60)
    assert "Traceback" not in told[1], told[1]
    assert "Traceback" not in agent.log.read_text(), agent.log.read_text()


def answers(page: str) -> bool:
    try:
        with urlopen(page, timeout=10) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False
