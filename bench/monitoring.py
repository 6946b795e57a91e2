"""`serve` watching 1,000 simulated agents: over mutual TLS, a report each 5 s, from 40 peers each and from all.

Goals: one core, 1 GB. Of 1,000 nodes each probes 40 peers; that every one probes all 999 others is made for this.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import aiohttp
import psutil
from tests.sim.hub import Hub, prepare, simulated
from tests.sim.world import World

from netmesh_controller.clients.store.location import FILE_NAME
from netmesh_controller.engines import monitor
from netmesh_controller.mesh.probing.peers import ALL_PAIRS_UP_TO, PEERS, peering
from netmesh_controller.surfaces.cli import main as command_line

NODES = 1000
WARM_SECONDS, WATCHED_SECONDS = 75.0, 60.0
START_SECONDS = 120.0
LISTEN = "127.0.0.1:19421"


def main() -> None:
    """Prints what it costs; NODES may be told by NETMESH_BENCH_NODES."""
    nodes = int(os.environ.get("NETMESH_BENCH_NODES", NODES))
    for everybody in (False, True):
        asyncio.run(_watch(World(nodes=nodes, probing=True, cpus=4), everybody=everybody))


def serve(everybody: bool, arguments: list[str]) -> None:
    """The controller's command; `everybody`: each node probes all others, however many there are."""
    if everybody:
        vars(monitor)["peering"] = partial(peering, all_pairs_up_to=1_000_000)
    sys.argv = ["netmesh-controller", "serve", *arguments]
    command_line()


async def _watch(world: World, *, everybody: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as name:
        folder = Path(name)
        prepare(world, folder, 9410)
        async with simulated(world, folder / "identity" / "agent", folder, Hub(world.network())):
            command = [sys.executable, "-m", "bench.monitoring", "all" if everybody else "some"]
            command += ["--agents", str(folder / "agents.yaml"), "--listen", LISTEN, "--public-read"]
            command += ["--certificates", str(folder / "identity" / "controller")]
            environment = {**os.environ, "NETMESH_DATA_DIR": str(folder / "data"), "NETMESH_TOKEN": "of-the-benchmark"}
            with (folder / "said").open("wb") as said:
                process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)  # noqa: ASYNC220
            try:
                await asyncio.to_thread(_until_it_listens, process, folder / "said")
                await _told(psutil.Process(process.pid), world, folder / "data", everybody)
            finally:
                process.terminate()
                process.wait(60)


def _until_it_listens(process: subprocess.Popen[bytes], said: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while LISTEN not in said.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the controller does not listen: {said.read_text()[-2000:]}")
        time.sleep(0.2)


async def _told(process: psutil.Process, world: World, data: Path, everybody: bool) -> None:
    await asyncio.sleep(WARM_SECONDS)
    before, began, first = process.cpu_times(), time.monotonic(), await _metrics()
    most = 0
    while time.monotonic() - began < WATCHED_SECONDS:
        await asyncio.sleep(1)
        most = max(most, process.memory_info().rss)
    after, seconds, last = process.cpu_times(), time.monotonic() - began, await _metrics()
    used = after.user + after.system - before.user - before.system
    outcomes = {name: last[name] - first.get(name, 0.0) for name in last if "probe_reports_total" in name}
    peers = world.nodes - 1 if everybody or world.nodes <= ALL_PAIRS_UP_TO else PEERS
    print(f"  {world.nodes} nodes, {peers} peers each, {seconds:.0f} s; reports by what became of them:")
    for name, count in outcomes.items():
        if count:
            print(f"    {name.partition('{')[2].rstrip('}')}: {count:.0f}")
    print(f"  CPU               {used / seconds:8.2f} cores  goal 1")
    print(f"  resident memory   {most / 1e6:8.0f} MB     goal 1,000 MB")
    events = sum(count for name, count in last.items() if name.startswith("netmesh_events_open"))
    print(f"  minutes in the history {_minutes(data)}, events open {events:.0f}, /healthz {await _health()}")
    sys.stdout.flush()


async def _metrics() -> dict[str, float]:
    """The controller's own figures, by curl's kind of request: asked twice, their cost is within the figure."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{LISTEN}/metrics") as answer:
        text = await answer.text()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(number) for name, _, number in lines}


async def _health() -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://{LISTEN}/healthz") as answer:
        return answer.status


def _minutes(data: Path) -> int:
    """How many minutes of the mesh are stored."""
    with closing(sqlite3.connect(f"file:{data / FILE_NAME}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT count(*) FROM probe_minutes").fetchone()[0])


if __name__ == "__main__":
    serve(sys.argv[1] == "all", sys.argv[2:])
