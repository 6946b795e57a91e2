"""A controller that is killed over agents that live on, and agents that are gone: what is dialled, and what is kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.sim.restart import killed_and_resumed
from tests.sim.world import World
from tests.support.agents import new_identity

from netmesh_controller.clients.agents import AgentClient, AgentError

WORLD = World(12, zones=3, factor=8, stragglers=0.0, failures=0.0)
OPTIONS = ("--pairs", "sample:6", "--tests", "tcp-bandwidth", "--duration", "3s", "--omit", "0s")
CELLS = 72


async def test_a_controller_that_is_killed_goes_on_over_the_same_agents_and_loses_no_finished_cell(
    tmp_path: Path,
) -> None:
    async with asyncio.timeout(240):
        done = await killed_and_resumed(WORLD, tmp_path, OPTIONS, after=24)
    assert done.state_killed == "interrupted", "nobody measures it now"
    assert 0 < len(done.kept) < CELLS
    assert done.code == 0, done.said
    assert done.state == "complete"
    assert len(done.cells) == CELLS
    assert done.kept.items() <= done.cells.items()
    # By the model network's own record: nothing that was stored was measured again, and no two tests met at a node,
    # not even one of a controller that was killed and one of the next.
    assert not done.twice
    assert done.overlaps == 0


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
