"""Which version a database has, and how it becomes the present one: one step a file in `migrations/versions`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text

from netmesh_controller.clients.store.engine import BUSY_SECONDS
from netmesh_controller.clients.store.errors import StoreError, as_written

# Every step that this netmesh knows, in order; the last is what it works with.
REVISIONS = ("0001", "0002", "0003", "0004")
VERSION_TABLE = "netmesh_schema"
# The first version was told by SQLite's own number only. Later ones set it too: an old netmesh then knows that a
# database is newer than itself.
_FIRST_USER_VERSION = 1

Standing = Literal["current", "older", "empty"]


def standing_of_file(path: Path) -> Standing:
    """What a SQLite file is, without changing a byte of it. StoreError where it cannot be used."""
    if not path.exists() or path.stat().st_size == 0:
        return "empty"
    with _told(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        user_version = connection.execute("PRAGMA user_version").fetchone()[0]
        versions = []
        if VERSION_TABLE in tables:
            versions = [row[0] for row in connection.execute(f"SELECT version_num FROM {VERSION_TABLE}")]  # noqa: S608
    return _standing(str(path), tables, versions, user_version)


def standing_of(connection: Connection, shown: str) -> Standing:
    """What an open database is. StoreError where it cannot be used."""
    tables = set(inspect(connection).get_table_names())
    versions = []
    if VERSION_TABLE in tables:
        versions = list(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars())  # noqa: S608
    user_version = 0
    if connection.dialect.name == "sqlite":
        user_version = connection.execute(text("PRAGMA user_version")).scalar_one()
    return _standing(shown, tables, versions, user_version)


def _standing(shown: str, tables: set[str], versions: list[str], user_version: int) -> Standing:
    if any(version not in REVISIONS for version in versions) or user_version > len(REVISIONS):
        raise StoreError(f"{shown} was written by a newer netmesh; it is left as it is")
    if versions:
        return "current" if versions == [REVISIONS[-1]] else "older"
    if user_version == _FIRST_USER_VERSION and {"runs", "cells"} <= tables:
        return "older"
    # Tables of others may stand beside netmesh's on a server, but a file is netmesh's or it is not.
    if user_version or {"runs", "cells", "series", "tags"} & tables or (tables and not shown.startswith("postgresql:")):
        raise StoreError(f"{shown} is a database of something else; it is left as it is")
    return "empty"


def migrate(connection: Connection, shown: str) -> None:
    """Brings the database to the present version, inside the connection's transaction.

    Whoever comes second waits for the first and finds the work done. A failure leaves everything as it was.
    """
    from alembic import command  # noqa: PLC0415  # slow to import, and hardly ever needed
    from alembic.config import Config  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        # One lock of this database's, for the transaction; the number is "netmesh" as digits of a telephone.
        connection.execute(text("SELECT pg_advisory_xact_lock(6386374)"))
    standing = standing_of(connection, shown)
    if standing == "current":
        return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    if standing == "older" and not inspect(connection).has_table(VERSION_TABLE):
        command.stamp(config, REVISIONS[0])
    command.upgrade(config, REVISIONS[-1])
    if connection.dialect.name == "sqlite":
        connection.execute(text(f"PRAGMA user_version = {len(REVISIONS)}"))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        with as_written(str(path)):
            yield
    except sqlite3.Error as error:
        # A damaged schema is quoted by SQLite, with its line breaks.
        why = " ".join(str(error).split())
        if "malformed" in why or "not a database" in why:
            raise StoreError(f"{path} is damaged or no database ({why}); it is left as it is") from error
        raise StoreError(f"{path} cannot be used: {why}; it is left as it is") from error
