"""A controller that is killed over agents that live on, and agents that are gone: what is dialled, and what is kept."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import yaml
from tests.sim.hub import Hub, simulated
from tests.sim.world import World
from tests.support.agents import new_identity

from netmesh_controller.clients.agents import AgentClient, AgentError
from netmesh_controller.clients.store import open_store
from netmesh_controller.identity import make_identity
from netmesh_controller.mesh.document import Cell

WORLD = World(12, zones=3, factor=8, stragglers=0.0, failures=0.0)
OPTIONS = ("--pairs", "sample:6", "--tests", "tcp-bandwidth", "--duration", "3s", "--omit", "0s")
CELLS = 72
PORT = 9410


@asynccontextmanager
async def controller(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`netmesh-controller sweep` over the world's agents; killed with the context."""
    command: tuple[str, ...] = ("-m", "netmesh_controller", "sweep", "--agents", str(folder / "agents.yaml"))
    command += ("--certificates", str(folder / "identity" / "controller"), *options)
    environment = {**os.environ, "NETMESH_DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}
    with (folder / "said").open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, stdout=said, stderr=said
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stored(folder: Path) -> tuple[str, dict[tuple[str, str], Cell]]:
    """The state of the last run, and its cells by pair."""
    store = await open_store(folder / "data")
    try:
        run = await store.load(await store.find("latest"))
    finally:
        await store.close()
    return run.run.state, {(cell.source, cell.target): cell for cell in run.cells}


async def test_a_controller_that_is_killed_goes_on_over_the_same_agents_and_loses_no_finished_cell(
    tmp_path: Path,
) -> None:
    make_identity(tmp_path / "identity")
    agents = [{"address": f"{WORLD.address(n)}:{PORT}", "zone": WORLD.zone(n)} for n in range(WORLD.nodes)]
    (tmp_path / "agents.yaml").write_text(yaml.safe_dump(agents))
    changed = asyncio.Event()
    hub = Hub(WORLD.network(), changed.set)

    async with simulated(WORLD, tmp_path / "identity" / "agent", tmp_path, hub, port=PORT), asyncio.timeout(240):
        async with controller(tmp_path, *OPTIONS):
            while len(hub.ran) < 24:
                changed.clear()
                await changed.wait()
        state, kept = await stored(tmp_path)
        assert state == "interrupted", "nobody measures it now"
        assert 0 < len(kept) < CELLS
        begun = len(hub.ran)
        async with controller(tmp_path, "--resume", "latest") as last:
            assert await last.wait() == 0, (tmp_path / "said").read_text()
    state, cells = await stored(tmp_path)
    assert state == "complete"
    assert len(cells) == CELLS
    assert kept.items() <= cells.items()
    # By the model network's own record: nothing that was stored was measured again, and no two tests met at a node,
    # not even one of a controller that was killed and one of the next.
    again = {(one.source, one.target) for one in hub.ran[begun:] if not one.alone}
    assert not again & kept.keys()
    assert hub.overlaps == 0


async def test_agents_that_are_gone_are_dialled_with_growing_pauses_however_often_they_are_asked(
    tmp_path: Path,
) -> None:
    identity, seconds = new_identity(tmp_path / "identity"), 3.0
    dialled: dict[int, int] = {}

    async def listening(number: int) -> asyncio.Server:
        def refused(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            dialled[number] = dialled.get(number, 0) + 1
            writer.close()

        return await asyncio.start_server(refused, "127.0.0.1", 0)

    async def asked(client: AgentClient) -> int:
        times, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                await client.describe(1.0)
            except AgentError:
                times += 1
            await asyncio.sleep(0.02)
        return times

    async with AsyncExitStack() as stack:
        clients = []
        for number in range(4):
            server = await listening(number)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            client = AgentClient(f"127.0.0.1:{port}", identity.controller)
            stack.push_async_callback(client.close)
            clients.append(client)
        times = await asyncio.gather(*(asked(client) for client in clients))
    assert min(times) > 0
    # 0.2 s, and 1.6 times as long each time, less a fifth by chance: no more than six in three seconds and the first.
    assert len(dialled) == len(clients)
    assert max(dialled.values()) <= 7
