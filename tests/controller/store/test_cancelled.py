"""What is cancelled in the middle of a query: closing the store ends it, and nothing of it outlives the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest
from sqlalchemy import text

from netmesh_controller.clients.store import Store, open_store

# Longer than any test may take.
ENDLESS = {
    "sqlite": "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT max(n) FROM number",
    "postgresql": "SELECT pg_sleep(1000)",
}


async def _ask(store: Store, query: str, asked: asyncio.Event) -> None:
    async with store.looking() as connection:
        await connection.execute(text("SELECT 1"))
        asked.set()
        await connection.execute(text(query))


async def _while_it_asks(where: str) -> None:
    """Cancelled while it asks, and once more while its connection is closed, which waits for the query."""
    store = await open_store(where)
    asked = asyncio.Event()
    task = asyncio.create_task(_ask(store, ENDLESS[where.partition(":")[0]], asked))
    await asked.wait()
    await asyncio.wait([task], timeout=0.2)  # until the database works on it
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    assert task.cancelled()
    await store.close()


async def _while_it_connects(where: str) -> None:
    store = await open_store(where)
    task = asyncio.create_task(_ask(store, "SELECT 1", asyncio.Event()))
    # Until it waits for its connection.
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await store.close()


@pytest.mark.parametrize("moment", [_while_it_asks, _while_it_connects])
def test_a_cancelled_task_leaves_no_thread_behind(where: str, moment: object, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: raised.append(arguments.exc_value))
    before = set(threading.enumerate())
    asyncio.run(moment(where))  # type: ignore[operator]  # one of the two
    # asyncio.run has ended the threads of its own; any other is one of a connection.
    left = set(threading.enumerate()) - before
    until = time.monotonic() + 2
    for thread in left:
        thread.join(max(0.0, until - time.monotonic()))
    assert (left, raised) == (set(), [])
    gc.collect()  # a connection that nobody closed warns here
