"""One identity and one agent for the tests that need no more."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.agents import Identity, RunningAgent, new_identity, running_agent

from netmesh_controller.clients.agents import AgentClient


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


@pytest.fixture
def agent(identity: Identity, tmp_path: Path) -> Iterator[RunningAgent]:
    with running_agent(identity, tmp_path, port=19410, options=("--max-rate", "2G", "--max-seconds", "20")) as running:
        yield running


@pytest.fixture
async def client(identity: Identity, agent: RunningAgent) -> AsyncIterator[AgentClient]:
    connection = AgentClient(agent.target, identity.controller())
    yield connection
    await connection.close()
