"""Connections: SQLite that is durable and lets others read, PostgreSQL that says who is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from netmesh_controller.clients.store.kept import Kept
from netmesh_controller.clients.store.location import Location

# An execution option of connections that are going to write.
WRITES = "netmesh_writes"
BUSY_SECONDS = 30
# What a connection to a file has read is worth nothing to it once another has written, and there are ten: left to
# themselves they grow to 2 MB each, over hours (https://sqlite.org/pragma.html#pragma_shrink_memory).
SHRINK = "PRAGMA shrink_memory"


def make_engine(location: Location) -> tuple[AsyncEngine, Kept | None]:
    """An engine for the database, and what keeps its connections where they are threads; nothing is opened yet.

    End both by `dispose`.
    """
    if location.path is None:
        settings = {"application_name": "netmesh-controller"}
        arguments = {"timeout": 10, "server_settings": settings}
        return create_async_engine(location.url, pool_pre_ping=True, connect_args=arguments), None
    kept = Kept(location.path, BUSY_SECONDS)
    engine = create_async_engine(location.url, async_creator=kept.connect)
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine, kept


def make_reader(path: Path) -> Engine:
    """An engine for who reads a SQLite file in a thread of its own; nothing is opened yet."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


async def dispose(engine: AsyncEngine, kept: Kept | None) -> None:
    """Ends an engine with all of its connections, those too that the pool has lost."""
    await engine.dispose()
    if kept is not None:
        await kept.close()


def _set_up(connection: Any, _record: object) -> None:  # a DBAPI connection
    # The driver begins no transactions of its own: `_begin` says of which kind each is.
    connection.isolation_level = None
    try:
        cursor = connection.cursor()
        # Readers go on while one writes; a commit is on disk when it returns; a writer waits for another one.
        cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
    except BaseException:
        # The pool forgets a connection whose setting up fails, such as to a damaged file: it keeps a thread and files.
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    # A transaction that reads first and then writes could not wait for another writer: it would fail at once.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
