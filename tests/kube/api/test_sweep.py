"""Sweeps over real agents that a real API server tells of: nodes that are taken away, and agents that come back."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.kube.api.mesh import patch_node, put_agent, put_node, remove
from tests.support.agents import Identity, new_identity, running_agent

from netmesh_controller.clients.cluster import Cluster
from netmesh_controller.clients.store import Store, open_store
from netmesh_controller.engines import runs
from netmesh_controller.engines.survey import survey
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.inventory.kubernetes import KubernetesInventory
from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Cell, RunDocument

PODS = "/api/v1/namespaces/netmesh/pods"
NODES = ("n1", "n2", "n3")
PAIRS = ",".join(f"{a}:{b}" for a in NODES for b in NODES if a != b)
ASKED = {"tests": "tcp-connect", "duration": "1s", "repeat": 2, "pairs": PAIRS}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity"))


class Agents:
    """Agent processes, each on a loopback address of its own, as pods have theirs."""

    def __init__(self, identity: Identity, folder: Path) -> None:
        self._identity = identity
        self._folder = folder
        self._stack = ExitStack()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, node: str, address: str) -> None:
        running = running_agent(self._identity, self._folder, node=node, address=address)
        self.processes[node] = self._stack.enter_context(running).process
        # Others listen on the same port of other addresses, so that the kernel's list alone does not tell.
        until = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection((address, 9410), timeout=1):
                return
            assert time.monotonic() < until, f"the agent of {node} does not listen"
            time.sleep(0.02)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def agents(identity: Identity, tmp_path: Path) -> Iterator[Agents]:
    started = Agents(identity, tmp_path)
    try:
        for number, name in enumerate(NODES, 1):
            started.start(name, f"127.0.0.{number}")
        yield started
    finally:
        started.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}")
    yield opened
    await opened.close()


@pytest.fixture
async def inventory(controller: Cluster, admin: Cluster, agents: Agents) -> AsyncIterator[KubernetesInventory]:
    for number, name in enumerate(NODES, 1):
        await put_node(admin, name)
        await put_agent(admin, f"agent-{name}", name, "pod", f"127.0.0.{number}")
    async with KubernetesInventory(controller) as watching:
        yield watching
    for kind in ("/api/v1/nodes", PODS):
        await admin.call("DELETE", kind, query={"gracePeriodSeconds": "0"})


class Running:
    """A sweep under way, and its cells as they come."""

    def __init__(self, prepared: runs.Prepared, store: Store) -> None:
        self._prepared, self._store = prepared, store
        self.cells: list[Cell] = []
        self.engine: Sweep = runs.sweep_of(prepared, store, self.cells.append)
        self.task = asyncio.create_task(self.engine.run())

    async def document(self) -> RunDocument:
        async with asyncio.timeout(120):
            await self.task
        ended = await runs.finish(self._prepared, self._store)
        return runs.stored_document(await self._store.load(ended.run.id))

    async def cell(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.cells) < number:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def sweeping(inventory: KubernetesInventory, identity: Identity, store: Store) -> AsyncIterator[Running]:
    async with asyncio.timeout(30):
        while any(entry.away for entry in await inventory.locate()) or len(await inventory.locate()) < len(NODES):
            await inventory.changed(inventory.version)
    ask = ask_from(ASKED)
    found = await survey(await inventory.locate(), identity.controller(), idle_seconds=0, presence=inventory)
    try:
        prepared = runs.prepare(ask, ASKED, found, name=None, facts={})
        await runs.begin(prepared, store)
        yield Running(prepared, store)
    finally:
        await found.close()


def outcomes(document: RunDocument) -> Counter[tuple[str, str | None]]:
    return Counter((cell.outcome, cell.reason.code if cell.reason else None) for cell in document.cells)


async def test_a_node_that_is_cordoned_is_measured_and_a_new_one_is_named(
    inventory: KubernetesInventory, identity: Identity, store: Store, admin: Cluster
) -> None:
    async with sweeping(inventory, identity, store) as running:
        await running.cell(2)
        await patch_node(admin, "n3", lambda node: node["spec"].update(unschedulable=True))
        await put_node(admin, "n4")
        await put_agent(admin, "agent-n4", "n4", "pod", "127.0.0.4")
        document = await running.document()
    assert outcomes(document) == {("measured", None): 12}
    assert document.run.facts["joined_meanwhile"] == ["n4"]


async def test_a_node_that_is_drained_and_shut_down_raises_nothing(
    inventory: KubernetesInventory, identity: Identity, store: Store, admin: Cluster, agents: Agents
) -> None:
    async with sweeping(inventory, identity, store) as running:
        await running.cell(1)
        await patch_node(admin, "n3", lambda node: node["spec"].update(unschedulable=True))
        agents.processes["n3"].kill()
        document = await running.document()
    assert {code for outcome, code in outcomes(document) if outcome != "measured"} == {"agent_away"}
    skipped = [cell for cell in document.cells if cell.outcome == "skipped"]
    assert skipped
    assert all("n3" in (cell.source, cell.target) for cell in skipped)
    assert {cell.reason.message for cell in skipped if cell.reason} == {"n3 is cordoned"}
    measured = {(cell.source, cell.target) for cell in document.cells if cell.outcome == "measured"}
    assert measured >= {("n1", "n2"), ("n2", "n1")}


async def test_an_agent_that_is_killed_comes_back_at_another_address(
    inventory: KubernetesInventory, identity: Identity, store: Store, admin: Cluster, agents: Agents
) -> None:
    async with sweeping(inventory, identity, store) as running:
        await running.cell(1)
        agents.processes["n2"].kill()
        await remove(admin, f"{PODS}/agent-n2")
        # Nothing else is left to do by then: the sweep waits for the pod that takes over.
        await running.cell(4)
        await asyncio.to_thread(agents.start, "n2", "127.0.0.22")
        await put_agent(admin, "agent-n2-again", "n2", "pod", "127.0.0.22")
        document = await running.document()
    assert outcomes(document) == {("measured", None): 12}


async def test_a_node_that_is_removed_raises_nothing(
    inventory: KubernetesInventory, identity: Identity, store: Store, admin: Cluster, agents: Agents
) -> None:
    async with sweeping(inventory, identity, store) as running:
        await running.cell(1)
        agents.processes["n1"].kill()
        await remove(admin, f"{PODS}/agent-n1")
        await remove(admin, "/api/v1/nodes/n1")
        document = await running.document()
    gone = {cell.reason.message for cell in document.cells if cell.outcome == "skipped" and cell.reason}
    assert gone == {"n1 was removed from the cluster"}
    assert {outcome for outcome, _ in outcomes(document)} == {"measured", "skipped"}
