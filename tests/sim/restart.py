"""A controller that is killed in the middle of a sweep over simulated agents, and the next one that resumes its run."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.sim.hub import Hub, Ran, prepare, simulated
from tests.sim.world import World

from netmesh_controller.clients.store import open_store
from netmesh_controller.mesh.document import Cell

PORT = 9410
Cells = dict[tuple[str, str], Cell]


@dataclass(frozen=True)
class Resumed:
    """What was stored when the first controller had been killed, and once the second had ended.

    `again` ran under the second one, by the model network's record; `overlaps` are tests that met at a node, whosever
    they were. `first_seconds` passed from the second one's start to its first test, `whole_seconds` to its end.
    """

    state_killed: str
    kept: Cells
    code: int
    said: str
    state: str
    cells: Cells
    again: tuple[Ran, ...]
    overlaps: int
    first_seconds: float
    whole_seconds: float

    @property
    def twice(self) -> set[tuple[str, str]]:
        """Pairs that were measured again though their cell was stored."""
        return {(one.source, one.target) for one in self.again if not one.alone} & self.kept.keys()


async def killed_and_resumed(world: World, folder: Path, options: tuple[str, ...], after: int) -> Resumed:
    """Kills a controller that sweeps with `options` once so many tests have ended, and resumes over the same agents."""
    prepare(world, folder, PORT)
    changed = asyncio.Event()
    hub = Hub(world.network(), changed.set)
    async with simulated(world, folder / "identity" / "agent", folder, hub, port=PORT):
        async with _controller(folder, *options):
            while len(hub.ran) < after:
                changed.clear()
                await changed.wait()
        state_killed, kept = await _stored(folder)
        begun, started = len(hub.ran), time.monotonic()
        async with _controller(folder, "--resume", "latest") as last:
            code = await last.wait()
        ended = time.monotonic()
    state, cells = await _stored(folder)
    # What the killed one had begun was ended, and recorded, before the next one began.
    again = tuple(one for one in hub.ran[begun:] if one.began >= started)
    return Resumed(
        state_killed=state_killed,
        kept=kept,
        code=code,
        said=(folder / "said").read_text(),
        state=state,
        cells=cells,
        again=again,
        overlaps=hub.overlaps,
        first_seconds=min((one.began for one in again), default=ended) - started,
        whole_seconds=ended - started,
    )


@asynccontextmanager
async def _controller(folder: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
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


async def _stored(folder: Path) -> tuple[str, Cells]:
    """The state of the last run, and its cells by pair."""
    store = await open_store(folder / "data")
    try:
        run = await store.load(await store.find("latest"))
    finally:
        await store.close()
    return run.run.state, {(cell.source, cell.target): cell for cell in run.cells}
