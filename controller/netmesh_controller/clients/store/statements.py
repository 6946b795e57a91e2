"""What SQLite and PostgreSQL say in different words."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Table, cast, extract, func, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from netmesh_controller.clients.store import tables


def insert_for(connection: AsyncConnection, table: Table) -> Any:
    """An insert that can say what to do on a conflict."""
    return postgresql.insert(table) if _is_server(connection) else sqlite.insert(table)


def clock(connection: AsyncConnection | Connection) -> ColumnElement[float]:
    """Seconds since 1970 by the server's clock, or by this machine's where the database is a file on it."""
    if _is_server(connection):
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(time.time())


def cells_upsert(connection: AsyncConnection) -> str:
    """Writes a cell, in the driver's own words, by the columns of `tables.cells` in their order.

    A million rows cost the driver two seconds, and as many dictionaries with names several more.
    """
    insert = insert_for(connection, tables.cells)
    upsert = insert.on_conflict_do_update(
        index_elements=["series_id", "source", "target", "repeat"],
        set_={"outcome": insert.excluded.outcome, "rest": insert.excluded.rest},
    )
    compiled = upsert.compile(dialect=connection.dialect)
    if compiled.positiontup != [column.name for column in tables.cells.columns]:
        raise AssertionError("the columns of a cell are written in the table's order")
    return str(compiled)


def _is_server(connection: AsyncConnection | Connection) -> bool:
    return connection.dialect.name == "postgresql"
