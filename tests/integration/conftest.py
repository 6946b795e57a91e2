"""One identity, one agent, one controller with a store of its own; labs that end with the test."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.agents import Identity, RunningAgent, new_identity, running_agent
from tests.support.cli import Controller

from netmesh_controller import lab as labs
from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.lab import Lab


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


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path / "data")


@pytest.fixture(scope="session")
def kept_labs() -> Iterator[list[Lab]]:
    """The lab that the next test gets in another shape: at most one, so that idle agents do not add up."""
    kept: list[Lab] = []
    yield kept
    for one in kept:
        one.close()


@pytest.fixture
def shared_lab(request: pytest.FixtureRequest, kept_labs: list[Lab]) -> Iterator[Callable[[str], Lab]]:
    """A lab as the text says, which others had in other shapes: for tests that change nothing but by the lab's file.

    That a shape set later is the same as one from the start is tests/controller/lab/test_network.py's.
    """
    failed = request.session.testsfailed

    def end() -> None:
        while kept_labs:
            kept_labs.pop().close()

    def start(text: str) -> Lab:
        spec = labs.load_spec(text)
        if kept_labs and kept_labs[0].spec.nodes != spec.nodes:
            end()
        if kept_labs:
            labs.set_lab(kept_labs[0].name, spec)
            kept_labs[0].refresh()
        else:
            kept_labs.append(labs.up(spec, f"nmtest-{secrets.token_hex(2)}", ephemeral=True))
        return kept_labs[0]

    yield start
    if request.session.testsfailed > failed:
        # Nobody goes on with what a failed test has left.
        end()


@pytest.fixture
def lab() -> Iterator[Callable[[str], Lab]]:
    """Starts labs from the text of a lab file; they end with the test, or with its process."""
    with ExitStack() as open_labs:

        def start(text: str) -> Lab:
            name = f"nmtest-{secrets.token_hex(2)}"
            return open_labs.enter_context(labs.up(labs.load_spec(text), name, ephemeral=True))

        yield start
