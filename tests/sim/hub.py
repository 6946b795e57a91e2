"""The model network's process side: agents' processes tell what begins and ends; what truly ran is written down."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.sim.network import Network
from tests.sim.world import World

from netmesh_controller.identity import make_identity

AGENTS_A_PROCESS = 125
START_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Ran:
    """A test that ran: between which nodes, and how long by the machine's clock; once more `alone` after the plan?"""

    source: str
    target: str
    began: float
    seconds: float
    alone: bool = False


@dataclass
class Hub:
    """The model network, and what ran on it. `on_change` is called with each beginning and each end."""

    network: Network
    on_change: Callable[[], None] = lambda: None
    ran: list[Ran] = field(default_factory=list)
    most_at_once: int = 0
    overlaps: int = 0
    most_between_zones: int = 0

    def __post_init__(self) -> None:
        self._open: dict[str, tuple[str, str, float]] = {}
        self._busy: dict[str, int] = {}
        self._between: Counter[frozenset[str]] = Counter()
        self._ready = asyncio.Semaphore(0)
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while line := await reader.readline():
            answer = self._heard(json.loads(line), time.monotonic())
            if answer is not None:
                writer.write(json.dumps(answer).encode() + b"\n")

    def _heard(self, message: dict[str, Any], now: float) -> dict[str, Any] | None:
        flow = message.get("flow", "")
        match message["what"]:
            case "ready":
                self._ready.release()
                return None
            case "begin":
                source, target = message["source"], message["target"]
                self.network.begin(flow, source, target, now)
                self.overlaps += any(self._busy.get(node, 0) for node in (source, target))
                for node in (source, target):
                    self._busy[node] = self._busy.get(node, 0) + 1
                zones = self._zones(source, target)
                self._between[zones] += 1
                if len(zones) == 2:
                    self.most_between_zones = max(self.most_between_zones, self._between[zones])
                self._open[flow] = (source, target, now)
                self.most_at_once = max(self.most_at_once, len(self._open))
                self.on_change()
                return None
            case "stop" if flow not in self._open:
                return None  # it was told of its end, and went away before the answer
            case _:
                source, target, began = self._open.pop(flow)
                for node in (source, target):
                    self._busy[node] -= 1
                self._between[self._zones(source, target)] -= 1
                delivered = self.network.end(flow, now)
                self.ran.append(Ran(source, target, began, now - began, flow.split()[0].endswith("/alone")))
                self.on_change()
                return {
                    "flow": flow,
                    "bits_per_second": delivered.bits_per_second,
                    "round_trip_seconds": self.network.round_trip_seconds(source, target),
                }

    def _zones(self, *nodes: str) -> frozenset[str]:
        return frozenset(self.network.places[node].zone for node in nodes)

    async def all_ready(self, processes: int) -> None:
        for _ in range(processes):
            await asyncio.wait_for(self._ready.acquire(), START_SECONDS)

    def close(self) -> None:
        """Ends the agents: they live as long as this side of their connection."""
        for writer in self._writers:
            writer.close()


def prepare(world: World, folder: Path, port: int) -> None:
    """Writes what a controller of a world needs: `identity` with certificates, and `agents.yaml`."""
    make_identity(folder / "identity")
    agents = [{"address": f"{world.address(n)}:{port}", "zone": world.zone(n)} for n in range(world.nodes)]
    (folder / "agents.yaml").write_text(yaml.safe_dump(agents))


@asynccontextmanager
async def simulated(
    world: World, certificates: Path, folder: Path, hub: Hub, *, port: int = 9410
) -> AsyncIterator[None]:
    """The agents of a world, in processes of a few hundred; they end with the context."""
    path = folder / "hub"
    server = await asyncio.start_unix_server(hub.serve, path, limit=2**20)
    processes = []
    try:
        for first in range(0, world.nodes, AGENTS_A_PROCESS):
            last = min(first + AGENTS_A_PROCESS, world.nodes)
            where = (str(path), str(certificates), str(first), str(last), str(port), json.dumps(world.as_json()))
            processes.append(await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.sim.agents", *where))
        await hub.all_ready(len(processes))
        yield
    finally:
        hub.close()
        server.close()
        for process in processes:
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()
