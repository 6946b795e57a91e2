"""What is given up leaves nothing open: neither a connection of the controller, nor a descriptor of an agent.

Python's collector of cycles is off: in a process that runs long it comes by rarely, and a soak saw descriptors grow.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import psutil
import pytest
from tests.support.agents import new_identity
from tests.support.descriptors import descriptors
from tests.support.loopback import Mesh

from netmesh_controller.clients.store import open_store
from netmesh_controller.engines.diagnoses import Diagnoses
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.schedule import Schedule

SETTLE_SECONDS = 30
OPTIONS = {"tests": "tcp-bandwidth", "rate": "20M", "duration": "1s", "omit": "0s"}


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with ExitStack() as stack:
        made = Mesh(new_identity(tmp_path / "identity"), tmp_path, stack)
        for number in (1, 2):
            made.start(number)
        yield made


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


async def until(so: Callable[[], object], what: Callable[[], object]) -> None:
    """Waits until it is so; `what` is told where it never is."""
    end = time.monotonic() + SETTLE_SECONDS
    while not so():
        assert time.monotonic() < end, what()
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("without_collector")
async def test_what_is_given_up_leaves_no_descriptor(mesh: Mesh, tmp_path: Path) -> None:
    agents = [agent.process.pid for agent in mesh.agents.values()]

    async def located() -> list[Located]:
        return [Located(agent.target) for agent in mesh.agents.values()]

    def held() -> list[int]:
        return [descriptors(pid) for pid in (os.getpid(), *agents)]

    def connections() -> int:
        return sum(bool(one.raddr) and one.raddr.port in (19410, 19411) for one in psutil.Process().net_connections())

    # gRPC gives up its own event engine, four descriptors, whenever there is no channel: this one stays.
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    store = await open_store(tmp_path / "data")
    sweeps = Sweeps(store, Source(located, mesh.identity.controller, {"agents": "of the test"}))
    diagnoses = Diagnoses(store, sweeps)
    await sweeps.lead(0)

    async def sweep_until(so: Callable[[], object]) -> None:
        job = await sweeps.start(OPTIONS)
        assert job.task is not None
        await until(so, lambda: job.state)
        await sweeps.cancel(job.run_id)
        await asyncio.wait([job.task])

    def cell() -> object:
        now = sweeps.progress()
        return now is None or now.done

    def measuring() -> object:
        now = sweeps.progress()
        return now is not None and now.running

    async def diagnosis() -> None:
        job = await diagnoses.start("node-1", "node-2", quick=True)
        assert job.task is not None
        await until(measuring, lambda: job.state)
        assert diagnoses.cancel(job.run)
        await asyncio.wait([job.task])

    async def with_a_client() -> None:
        await sweep_until(lambda: any("-c" in tool.cmdline() for tool in mesh.tools()))

    # One that ends by itself leaves no plan, which of a thousand nodes is large.
    job = await sweeps.start({**OPTIONS, "nodes": "node-1"})
    assert job.task is not None
    await asyncio.wait([job.task])
    assert job.state == "complete"
    assert not [one for one in gc.get_objects() if isinstance(one, Sweep | Schedule)]

    ways: list[Callable[[], Awaitable[None]]] = [
        # The first has all of them in hand that are opened once and kept: connections of the store, of processes.
        lambda: sweep_until(cell),
        lambda: sweep_until(mesh.tools),
        with_a_client,
        diagnosis,
    ]
    kept: list[int] | None = None
    for number, way in enumerate(ways):
        await way()
        await until(lambda: not connections() and not mesh.tools(), connections)
        if kept is None:
            kept = held()
        before = kept
        await until(lambda: held() == before, lambda: (number, before, held()))  # noqa: B023  # called at once
    await sweeps.stand_by()
    await store.close()
    await channel.close()
