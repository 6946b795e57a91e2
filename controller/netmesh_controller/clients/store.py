"""The door to the database: runs and their cells.

SQLite in the user's data directory, or in the folder that NETMESH_DATA_DIR names. A cell that `put_cells` returned
for is on disk, also if the process is killed the next moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from pydantic import TypeAdapter
from sqlalchemy import ForeignKey, Index, String, Text, delete, event, func, select, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from netmesh_controller.mesh.document import Cell, CellKey, Node, Run

SCHEMA_VERSION = 1
_NODES = TypeAdapter(tuple[Node, ...])


class StoreError(Exception):
    """The database cannot be used; the message says why and names it."""


class RunNotFoundError(StoreError):
    """No run, or more than one, answers to that name."""


class _Base(DeclarativeBase):
    pass


class _RunRow(_Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    started_at: Mapped[str] = mapped_column(String(40))
    run: Mapped[str] = mapped_column(Text)
    nodes: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("runs_by_start", "started_at"), Index("runs_by_name", "name"))


class _CellRow(_Base):
    __tablename__ = "cells"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    cell: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it is stored."""

    run: Run
    nodes: tuple[Node, ...]
    cells: tuple[Cell, ...]


def data_directory() -> Path:
    """Where the store lives: NETMESH_DATA_DIR, else the user's data directory (XDG Base Directory)."""
    named = os.environ.get("NETMESH_DATA_DIR")
    return Path(named) if named else Path(platformdirs.user_data_dir("netmesh", appauthor=False))


def _key(key: CellKey) -> str:
    return key.model_dump_json()


class Store:
    """Runs and cells in one database. Use `open_store`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def close(self) -> None:
        """Ends the connections."""
        await self._engine.dispose()

    async def put_run(self, run: Run, nodes: Sequence[Node]) -> None:
        """Writes a run, or what changed of it; its cells stay."""
        row = {
            "id": run.id,
            "name": run.name,
            "started_at": run.started_at,
            "run": run.model_dump_json(),
            "nodes": "[" + ",".join(node.model_dump_json() for node in nodes) + "]",
        }
        statement = insert(_RunRow).values(**row)
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=row))

    async def put_cells(self, run_id: str, cells: Iterable[Cell]) -> None:
        """Writes cells; one whose key is there already is replaced."""
        rows = [{"run_id": run_id, "key": _key(cell.key), "cell": cell.model_dump_json()} for cell in cells]
        if not rows:
            return
        statement = insert(_CellRow)
        upsert = statement.on_conflict_do_update(
            index_elements=["run_id", "key"], set_={"cell": statement.excluded.cell}
        )
        async with self._engine.begin() as connection:
            await connection.execute(upsert, rows)

    async def drop_cells(self, run_id: str, keys: Iterable[CellKey]) -> None:
        """Forgets cells, so that a resumed run measures them again."""
        async with self._engine.begin() as connection:
            for key in keys:
                await connection.execute(delete(_CellRow).where(_CellRow.run_id == run_id, _CellRow.key == _key(key)))

    async def find(self, reference: str) -> str:
        """The id of the run that `reference` means: an id, a unique prefix of one, a name, or `latest`.

        Raises RunNotFoundError where there is none, or where a prefix fits several.
        """
        async with self._engine.connect() as connection:
            if reference == "latest":
                newest = select(_RunRow.id).order_by(_RunRow.started_at.desc(), _RunRow.id.desc()).limit(1)
                found = (await connection.execute(newest)).scalar_one_or_none()
                if found is None:
                    raise RunNotFoundError("there is no run yet")
                return found
            by_name = select(_RunRow.id).where(_RunRow.name == reference).order_by(_RunRow.started_at.desc()).limit(1)
            named = (await connection.execute(by_name)).scalar_one_or_none()
            by_prefix = select(_RunRow.id).where(func.substr(_RunRow.id, 1, len(reference)) == reference).limit(2)
            ids = list((await connection.execute(by_prefix)).scalars())
        if reference in ids:
            return reference
        if named is not None:
            return named
        if len(ids) == 1:
            return ids[0]
        if ids:
            raise RunNotFoundError(f"'{reference}' is the beginning of more than one run's id; give more of it")
        raise RunNotFoundError(f"there is no run '{reference}'; give an id, the beginning of one, a name, or latest")

    async def load(self, run_id: str) -> StoredRun:
        """A whole run; RunNotFoundError where there is none of that id."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(_RunRow.run, _RunRow.nodes).where(_RunRow.id == run_id))
            ).one_or_none()
            if row is None:
                raise RunNotFoundError(f"there is no run '{run_id}'")
            cells = (await connection.execute(select(_CellRow.cell).where(_CellRow.run_id == run_id))).scalars()
            parsed = tuple(Cell.model_validate_json(cell) for cell in cells)
        return StoredRun(Run.model_validate_json(row.run), _NODES.validate_json(row.nodes), parsed)


async def open_store(directory: Path | None = None) -> Store:
    """Opens the database in `directory` (default: `data_directory`), and makes it where there is none.

    Raises StoreError where the folder cannot be written, the file is no database, or a newer netmesh wrote it:
    such a file is left as it is.
    """
    folder = directory or data_directory()
    path = folder / "netmesh.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the data directory {folder} cannot be made: {error.strerror}") from error
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    try:
        async with engine.begin() as connection:
            version = (await connection.execute(text("PRAGMA user_version"))).scalar_one()
            if version > SCHEMA_VERSION:
                raise StoreError(f"{path} was written by a newer netmesh; it is left as it is")
            if version == 0:
                await connection.run_sync(_Base.metadata.create_all)
                await connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
    except StoreError:
        await engine.dispose()
        raise
    except (OperationalError, DatabaseError) as error:
        await engine.dispose()
        raise StoreError(f"{path} cannot be used: {error.orig}; it is left as it is") from error
    return Store(engine)


def _set_pragmas(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DBAPI connection
    # Readers go on while one writes; a commit is on disk when it returns; a writer waits for another one.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
