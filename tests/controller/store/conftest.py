"""The same questions to both databases: a SQLite file, and a PostgreSQL server that is started for them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.postgres import Server, postgres_server

from netmesh_controller.clients.store import Store, open_store


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'netmesh.sqlite'}"
    running: Server = request.getfixturevalue("server")
    return running.create(f"test_{secrets.token_hex(6)}")


@pytest.fixture
async def store(where: str) -> AsyncIterator[Store]:
    opened = await open_store(where)
    yield opened
    await opened.close()
