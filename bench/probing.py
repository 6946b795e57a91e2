"""An agent that probes 100 peers once a second and answers as many: CPU (goal 1 % of a core), memory (goal 80 MB)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from tests.support.agents import Identity, new_identity, running_agent

from netmesh_agent.stamp.sender import Sender
from netmesh_agent.stamp.sessions import Sessions
from netmesh_agent.stamp.window import fold
from netmesh_agent.tools.base import StampSession
from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.clients.stamp import ProbePeer, Probing
from netmesh_controller.clients.stamp import StampSession as Answered

PEERS = 100
WATCHED_SECONDS = 30.0
PORT = 19520
_SSID = 5
# The network 127.0.0.0/8 is this host's.
_ADDRESSES = tuple(f"127.0.1.{number}" for number in range(1, PEERS + 1))


async def _others(port: int) -> None:
    """The peers: a reflector on each address of the loopback network, and as many probes to the agent as it sends."""
    sessions = Sessions(_ADDRESSES, 0)
    sessions.open(StampSession(_SSID))
    print(sessions.port, flush=True)
    sender = Sender(tick_seconds=0.05)
    sender.open("127.0.0.1", [0] * 4)
    peer = sender.add("127.0.0.1", port, _SSID, interval_seconds=1 / PEERS)
    while True:
        await asyncio.sleep(WATCHED_SECONDS)
        window = fold(sender.take(peer))
        print(f"asked {window.sent}, lost {window.lost}", file=sys.stderr)


async def _watch(target: str, identity: Identity, process: psutil.Process) -> None:
    client = AgentClient(target, identity.controller())
    stamp_port = (await client.describe())["stamp_port"]
    command = [sys.executable, "-m", "bench.probing", "others", str(stamp_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as others:  # noqa: ASYNC220  # once, at the start
        try:
            assert others.stdout is not None
            there = int(await asyncio.to_thread(others.stdout.readline))
            peers = tuple(ProbePeer(address, there, _SSID) for address in _ADDRESSES)
            await client.configure_probing(Probing(1, peers, (Answered(_SSID),)))
            reports = client.watch_probes()
            await anext(reports)
            await anext(reports)
            before = process.cpu_times()
            sent = lost = 0
            seconds = 0.0
            while seconds < WATCHED_SECONDS - 1:
                report = await anext(reports)
                seconds += report.seconds
                sent, lost = sent + sum(report.sent), lost + sum(report.lost)
            after = process.cpu_times()
            await reports.aclose()
        finally:
            others.terminate()
    await client.close()
    used = after.user + after.system - before.user - before.system
    print(f"  probed {sent / seconds:.0f} a second, {lost} lost")
    print(f"  CPU               {used / seconds:8.2%} of a core  goal 1.00 %")
    print(f"  resident memory   {process.memory_info().rss / 1e6:6.1f} MB        goal 80 MB")


def main() -> None:
    """Starts an agent, its peers, and prints what it uses."""
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as text:
        folder = Path(text)
        identity = new_identity(folder / "identity")
        with running_agent(identity, folder, port=PORT, options=("--stamp-port", "0")) as agent:
            asyncio.run(_watch(agent.target, identity, psutil.Process(agent.process.pid)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["others"]:
        asyncio.run(_others(int(sys.argv[2])))
    else:
        main()
