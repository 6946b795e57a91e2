"""`python -m tests.chaos.gate SOCKET MOMENT NUMBER ARGUMENT…`: netmesh-controller, whose sweep waits at one moment.

At that moment for the NUMBERth time it says so over the socket, a descriptor, and goes on once it is answered. Only the
step that has come so far waits, all else of the sweep goes on. It cannot end, however late the test gets a core.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from netmesh_controller.clients.agents import Accepted, AgentClient, Opened
from netmesh_controller.clients.store import Store
from netmesh_controller.engines import runs
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.evidence import Side
from netmesh_controller.surfaces.cli import main


class Gate:
    """Holds whoever comes as the `number`th, once."""

    def __init__(self, descriptor: int, number: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._left = number

    async def hold(self) -> None:
        """Returns at once, or when the test has answered."""
        self._left -= 1
        if self._left == 0:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(self._socket, b"!")
            await loop.sock_recv(self._socket, 1)


def opening(gate: Gate) -> None:
    """A server has been opened, which its sweep does not know yet."""
    real = AgentClient.open_endpoint

    async def open_endpoint(self: AgentClient, *given: Any, **named: Any) -> Opened:
        opened = await real(self, *given, **named)
        await gate.hold()
        return opened

    _put(AgentClient, open_endpoint)


def running(gate: Gate) -> None:
    """A client runs."""
    real = AgentClient.run_test

    async def run_test(self: AgentClient, *given: Any, **named: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(real(self, *given, **named)) as events:
            async for event in events:
                yield event
                if isinstance(event, Accepted):
                    await gate.hold()

    _put(AgentClient, run_test)


def closing(gate: Gate) -> None:
    """A client has ended well, and its server is not closed yet."""
    real = AgentClient.close_endpoint

    async def close_endpoint(self: AgentClient, endpoint: str, *, finished: bool) -> Side:
        if finished:
            await gate.hold()
        return await real(self, endpoint, finished=finished)

    _put(AgentClient, close_endpoint)


def storing(gate: Gate) -> None:
    """Measured cells are in the store, which the sweep does not know yet."""
    real = Store.put_cells

    async def put_cells(self: Store, run_id: str, cells: Iterable[Cell]) -> None:
        batch = list(cells)
        await real(self, run_id, batch)
        if any(cell.outcome == "measured" for cell in batch):
            await gate.hold()

    _put(Store, put_cells)


def aggregating(gate: Gate) -> None:
    """All cells are stored: before the run is looked at as a whole, is written, or what was found is."""
    finish, put_run, put_findings = runs.finish, Store.put_run, Store.put_findings

    async def finish_(*given: Any, **named: Any) -> runs.Ended:
        await gate.hold()
        return await finish(*given, **named)

    async def put_run_(self: Store, *given: Any) -> None:
        await gate.hold()
        await put_run(self, *given)

    async def put_findings_(self: Store, *given: Any) -> None:
        await gate.hold()
        await put_findings(self, *given)

    _put(runs, finish_)
    _put(Store, put_run_)
    _put(Store, put_findings_)


def _put(owner: Any, function: Callable[..., Any]) -> None:
    """In the place of what has its name, which must be there."""
    name = function.__name__.removesuffix("_")
    assert callable(getattr(owner, name))
    setattr(owner, name, function)


# By name, and how often each comes at least in a sweep of which nothing is disturbed yet.
MOMENTS: dict[str, tuple[Callable[[Gate], None], int]] = {
    "opening": (opening, 5),
    "running": (running, 5),
    "closing": (closing, 5),
    "storing": (storing, 1),
    "aggregating": (aggregating, 3),
}


def run(descriptor: str, moment: str, number: str, *arguments: str) -> None:
    """The command with these arguments."""
    MOMENTS[moment][0](Gate(int(descriptor), int(number)))
    sys.argv = ["netmesh-controller", *arguments]
    main()


if __name__ == "__main__":
    run(*sys.argv[1:])
