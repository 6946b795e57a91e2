"""What connections to a file hold between transactions."""

from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
from pathlib import Path

from tests.support.stored import a_cell, a_run

from netmesh_controller.clients.store import Store, open_store

# Ten schemas and what else a connection has of its own; left to themselves, what these read and wrote is 3 MB more.
MOST_BYTES = 2_000_000


async def test_connections_hold_nothing_of_what_they_read_and_wrote(tmp_path: Path) -> None:
    used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = ctypes.c_int64
    before = used()
    store = await open_store(tmp_path / "data")
    run = a_run()
    await store.put_run(run, [])
    await store.put_cells(run.id, [a_cell(f"node-{number}", f"node-{number}") for number in range(4000)])

    async def read(store: Store) -> int:
        return sum([len(batch) async for batch in store.cells(run.id)])

    # As many connections as are kept, of both kinds.
    await asyncio.gather(*(read(store) for _ in range(5)), *(store.info(run.id) for _ in range(5)))
    assert used() - before < MOST_BYTES
    await store.close()
