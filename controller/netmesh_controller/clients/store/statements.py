"""What SQLite and PostgreSQL say in different words."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import ColumnElement, Double, Table, cast, extract, func, literal
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_for(connection: AsyncConnection, table: Table) -> Any:
    """An insert that can say what to do on a conflict."""
    return postgresql.insert(table) if _is_server(connection) else sqlite.insert(table)


def clock(connection: AsyncConnection) -> ColumnElement[float]:
    """Seconds since 1970 by the server's clock, or by this machine's where the database is a file on it."""
    if _is_server(connection):
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(time.time())


def _is_server(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"
