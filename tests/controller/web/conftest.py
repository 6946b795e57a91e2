"""A real HTTP server over a real store, in this process; its agents are those of the test, or nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.support.agents import Identity, new_identity

from netmesh_controller.clients.store import Store, open_store
from netmesh_controller.engines.results import Results
from netmesh_controller.engines.roster import Roster
from netmesh_controller.engines.sweeps import Sweeps
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.surfaces.web.application import application
from netmesh_controller.surfaces.web.metrics import ControllerMetrics, new_registry
from netmesh_controller.surfaces.web.services import Leading, Services

TOKEN = "a-token-of-the-tests"  # noqa: S105  # it opens nothing else
WITH_TOKEN = {"X-Netmesh-Token": TOKEN}


@dataclass
class Api:
    """The server, and a client with the token."""

    url: str
    session: aiohttp.ClientSession
    services: Services

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        """The JSON that a GET answers."""
        async with self.session.get(f"{self.url}{path}", **more) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)

    async def send(self, method: str, path: str, status: int, json: Any = None, **more: Any) -> Any:
        """The JSON that another method answers, None where it answers with nothing."""
        async with self.session.request(method, f"{self.url}{path}", json=json, **more) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None) if await response.read() else None


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


@asynccontextmanager
async def serving(
    store: Store, identity: Identity, *addresses: str, public_read: bool = False, leading: Leading | None = None
) -> AsyncIterator[Api]:
    """A server on a port of its own choice; it leads unless it is told otherwise."""
    given = leading or Leading(leading=True, leader=None, term=0)

    async def located() -> list[Located]:
        return [Located(address) for address in addresses]

    source = Source(located, identity.controller, {"agents": ",".join(addresses)})
    sweeps = Sweeps(store, source)
    registry = new_registry()
    registry.register(ControllerMetrics(sweeps, lambda: given))
    services = Services(
        store, sweeps, Roster(source), Results(store), lambda: given, lambda: TOKEN, registry, public_read
    )
    runner = web.AppRunner(application(services), access_log=None, shutdown_timeout=5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    if given.leading:
        await sweeps.lead(given.term)
    else:
        await sweeps.stand_by(given.leader)
    try:
        async with aiohttp.ClientSession(headers=WITH_TOKEN) as session:
            yield Api(f"http://127.0.0.1:{runner.addresses[0][1]}", session, services)
    finally:
        await sweeps.stand_by()
        await runner.cleanup()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
async def api(store: Store, identity: Identity) -> AsyncIterator[Api]:
    """A server whose only agent does not answer."""
    async with serving(store, identity, "127.0.0.1:1") as running:
        yield running
