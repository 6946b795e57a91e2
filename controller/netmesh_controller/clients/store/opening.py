"""Opening a store: finding it, checking it, and bringing an older one up to date."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from netmesh_controller.clients.store.engine import WRITES, dispose, make_engine, make_reader
from netmesh_controller.clients.store.errors import StoreError, as_written, in_a_sentence
from netmesh_controller.clients.store.location import Location, is_remote, locate
from netmesh_controller.clients.store.schema import migrate, standing_of, standing_of_file
from netmesh_controller.clients.store.store import Store


async def open_store(where: Path | str | None = None) -> Store:
    """Opens the store in a folder (a Path) or at a URL (a text), and makes it where there is none.

    By default it is NETMESH_STORE, else the file `netmesh.sqlite` in `data_directory`. Raises StoreError where it
    cannot be used: not reachable, not writable, damaged, no database of netmesh's, or written by a newer netmesh.
    Such a database is left as it is. A controller's URL, or `kubernetes`, is that controller's store.
    """
    if is_remote(where := where or os.environ.get("NETMESH_STORE")):
        # Only here: it is made of the store itself.
        from netmesh_controller.clients.remote_store import open_remote  # noqa: PLC0415

        return await open_remote(str(where))
    location = locate(where)
    engine, kept = make_engine(location)
    try:
        if location.path is None:
            await _prepare_server(engine, location)
        else:
            await _prepare_file(engine, location, location.path)
    except BaseException:
        await dispose(engine, kept)
        raise
    reader = None if location.path is None else make_reader(location.path)
    return Store(engine, location.shown, kept, reader)


async def _prepare_server(engine: AsyncEngine, location: Location) -> None:
    with in_a_sentence(location.shown):
        async with engine.connect() as connection:
            if await connection.run_sync(standing_of, location.shown) == "current":
                return
        async with engine.begin() as connection:
            await connection.run_sync(migrate, location.shown)


async def _prepare_file(engine: AsyncEngine, location: Location, path: Path) -> None:
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the data directory {folder} cannot be made: {error.strerror}") from error
    if await asyncio.to_thread(standing_of_file, path) == "current":
        return
    with in_a_sentence(location.shown), as_written(location.shown):
        async with _alone(path):
            if await asyncio.to_thread(standing_of_file, path) == "current":
                return
            async with engine.connect() as connection:
                # Tables are renamed while others refer to them; it cannot be changed inside a transaction.
                await connection.run_sync(lambda sync: sync.connection.cursor().execute("PRAGMA foreign_keys=OFF"))
                await connection.execution_options(**{WRITES: True})
                await connection.run_sync(migrate, location.shown)
                await connection.commit()
                await connection.invalidate()


@asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    """Of the processes that make or change one file, one goes on at a time; a lock ends with its process."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
