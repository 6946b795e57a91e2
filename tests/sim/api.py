"""How soon the HTTP API of a controller answers while it sweeps simulated agents; `make sim ARGS=--api`.

`python -m tests.sim.api URL TOKEN RUN` asks it 20 times a second until the run has ended, from a process of its own,
and prints how long each answer took, in seconds, by what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from tests.sim.goals import held
from tests.sim.hub import Hub, prepare, simulated
from tests.sim.world import World

from netmesh_common.tasks import cancelled

TOKEN = "a-token-of-the-simulation"  # noqa: S105  # it opens nothing else
URL = "http://127.0.0.1:9412"
ASKED_PER_SECOND = 20
PATHS = ("/healthz", "/api/v1/runs", "/api/v1/nodes", "/api/v1/runs/{run}/cells?limit=50", "/metrics")


async def ask(url: str, token: str, run: str) -> dict[str, list[float]]:
    """Asks in turn, at a fixed pace whatever the answers take: what waits behind another answer counts as late."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    asking: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(headers={"X-Netmesh-Token": token}) as session:

        async def one(path: str) -> None:
            began = time.perf_counter()
            async with session.get(url + path.format(run=run)) as answer:
                await answer.read()
                answer.raise_for_status()
            took[path].append(time.perf_counter() - began)

        async def ended() -> bool:
            async with session.get(f"{url}/api/v1/runs/{run}") as answer:
                return bool((await answer.json())["run"]["state"] != "running")

        due, number = time.perf_counter(), 0
        while number % 40 or not await ended():
            task = asyncio.create_task(one(PATHS[number % len(PATHS)]))
            asking.add(task)
            due, number = due + 1 / ASKED_PER_SECOND, number + 1
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.gather(*asking)
    return took


async def serve_and_sweep(world: World, options: dict[str, Any], *, port: int = 9410) -> dict[str, list[float]]:
    """A controller that stays sweeps the world; what its API took meanwhile, seconds by path."""
    with tempfile.TemporaryDirectory(prefix="netmesh-sim-") as name:
        folder = Path(name)
        prepare(world, folder, port)
        (folder / "token").write_text(TOKEN)
        hub = Hub(world.network())
        async with simulated(world, folder / "identity" / "agent", folder, hub, port=port):
            command = [sys.executable, "-m", "netmesh_controller", "serve", "--no-monitor"]
            command += ["--agents", str(folder / "agents.yaml"), "--token-file", str(folder / "token")]
            command += ["--certificates", str(folder / "identity" / "controller")]
            environment = {**os.environ, "NETMESH_DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                return await _measured(options)
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait)


async def _measured(options: dict[str, Any]) -> dict[str, list[float]]:
    async with aiohttp.ClientSession(headers={"X-Netmesh-Token": TOKEN}) as session:
        while not await _is_up(session):
            await asyncio.sleep(0.2)
        async with session.post(f"{URL}/api/v1/sweeps", json={"options": options}) as answer:
            said = await answer.json()
            answer.raise_for_status()
    asker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.sim.api", URL, TOKEN, said["run"], stdout=subprocess.PIPE
    )
    reading = asyncio.create_task(asker.communicate())
    try:
        out, _ = await reading
    finally:
        if asker.returncode is None:
            asker.kill()
        await cancelled(reading)
    took: dict[str, list[float]] = json.loads(out)
    return took


async def _is_up(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get(f"{URL}/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


def show(took: dict[str, list[float]]) -> None:
    """Prints what each answer took, and all of them."""
    for path, seconds in (*took.items(), ("all", [one for each in took.values() for one in each])):
        middle, most = np.percentile(seconds, (50, 99)) * 1e3
        print(f"  {path}: {len(seconds)} answers, median {middle:.1f} ms, p99 {most:.1f} ms ({held(most, 100)})")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(*sys.argv[1:]))))
