"""Runs and cells in one database, whichever it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, and_, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.store import reading, rows, tables
from netmesh_controller.clients.store.batches import Batches
from netmesh_controller.clients.store.engine import SHRINK, WRITES, dispose
from netmesh_controller.clients.store.errors import (
    RunBusyError,
    RunNotFoundError,
    StoreError,
    as_written,
    in_a_sentence,
)
from netmesh_controller.clients.store.kept import Kept
from netmesh_controller.clients.store.rows import Block, CellRow
from netmesh_controller.clients.store.shapes import CellPage, CellPosition, RunDetails, RunFilter, RunInfo, StoredRun
from netmesh_controller.clients.store.statements import cells_upsert, clock, insert_for
from netmesh_controller.clients.store.writers import SIGN_SECONDS, this_process
from netmesh_controller.clients.turns import unhurried
from netmesh_controller.mesh.document import Cell, CellKey, Finding, Node, Run
from netmesh_controller.mesh.matrix import Series

_FINDINGS = TypeAdapter(tuple[Finding, ...])
_Read = TypeVar("_Read")
_Told = TypeVar("_Told")


class Store:
    """Runs and cells in one database. Use `open_store`.

    What a method that writes returned for is on disk, also if the process is killed the next moment. Any method
    raises StoreError where the database fails; `shown` names it in sentences.
    """

    def __init__(self, engine: AsyncEngine, shown: str, kept: Kept | None, reader: Engine | None) -> None:
        """`reader` is of a file, and what keeps its connections `kept`: see `_read`."""
        self.shown = shown
        self._engine = engine
        self._reader = reader
        self._reads: set[asyncio.Future[Any]] = set()
        self._kept = kept
        self._series: dict[tuple[str, Series], int] = {}
        self._batches: Batches[tuple[str, CellRow]] = Batches(self._write_rows)
        self._signs: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Ends the connections, after what is under way is written."""
        await self._batches.drain()
        await cancelled(*self._signs.values())
        if self._reads:
            await asyncio.wait(self._reads)
        if self._reader is not None:
            self._reader.dispose()
        await dispose(self._engine, self._kept)

    # Writing.

    async def begin_run(self, run: Run, nodes: Sequence[Node], *, take_over: bool = False) -> None:
        """Writes a run that this process measures from now on, new or resumed. `take_over` is for one whose right to
        measure is settled otherwise, as by a Lease: whoever measures it now has lost that right.

        Until `put_run` writes another state than `running`, others are told that it runs, as long as this process
        lives. RunBusyError where another living process measures it.
        """
        me = this_process()
        async with self._writing() as connection:
            other = await connection.run_sync(reading.writer, run.id)
            if other is not None and other != me and not take_over:
                raise RunBusyError(f"run {run.id} is being measured by {other}")
            await self._put_run(connection, run, nodes)
            claim = update(tables.runs).where(tables.runs.c.id == run.id)
            await connection.execute(claim.values(writer=me.to_json(), alive_at=clock(connection)))
        if run.id not in self._signs:
            self._signs[run.id] = guarded_task(self._give_signs(run.id), name=f"signs of {run.id}")

    async def leave_run(self, run_id: str) -> None:
        """This process measures the run no more, and it stays as it is: somebody else may go on with it."""
        self._forget(run_id)
        if run_id in self._signs:
            await cancelled(self._signs.pop(run_id))
        async with self._writing() as connection:
            mine = and_(tables.runs.c.id == run_id, tables.runs.c.writer == this_process().to_json())
            await connection.execute(update(tables.runs).where(mine).values(writer=None, alive_at=None))

    async def put_run(self, run: Run, nodes: Sequence[Node]) -> None:
        """Writes a run, or what changed of it; its cells, tags and findings stay."""
        async with self._writing() as connection:
            await self._put_run(connection, run, nodes)
        if run.state != "running":
            self._forget(run.id)
            if run.id in self._signs:
                await cancelled(self._signs.pop(run.id))

    async def put_cells(self, run_id: str, cells: Iterable[Cell]) -> None:
        """Writes cells; one whose key is there already is replaced."""
        await self.put_rows(run_id, [rows.row_of(cell) async for cell in unhurried(cells)])

    async def put_rows(self, run_id: str, cells: Sequence[CellRow]) -> None:
        """As `put_cells`, for many that were read from a file and checked: no Cell is made of each."""
        if cells:
            with in_a_sentence(self.shown):
                await self._batches.put([(run_id, row) for row in cells])

    async def put_block(self, run_id: str, series: Series, block: Block) -> None:
        """As `put_rows`, of one series."""
        if block:
            await self._write_blocks({(run_id, series): block})

    async def put_findings(self, run_id: str, findings: Sequence[Finding]) -> None:
        """Writes a run's findings in place of those that it had."""
        text = _FINDINGS.dump_json(tuple(findings)).decode()
        async with self._writing() as connection:
            await connection.execute(update(tables.runs).where(tables.runs.c.id == run_id).values(findings=text))

    async def drop_cells(self, run_id: str, keys: Iterable[CellKey]) -> None:
        """Forgets cells, so that a resumed run measures them again."""
        async with self._writing() as connection:
            for key in keys:
                series = Series.of(key)
                ids = await self._series_ids(connection, {(run_id, series)})
                await connection.execute(
                    delete(tables.cells).where(
                        tables.cells.c.series_id == ids[run_id, series],
                        tables.cells.c.source == key.source,
                        tables.cells.c.target == key.target,
                        tables.cells.c.repeat == key.repeat,
                    )
                )

    async def rename(self, run_id: str, name: str | None) -> None:
        """Gives a run a name, or takes it away."""
        async with self._writing() as connection:
            text = await connection.scalar(select(tables.runs.c.run).where(tables.runs.c.id == run_id))
            if text is None:
                raise RunNotFoundError(f"there is no run '{run_id}'")
            run = Run.model_validate_json(text).model_copy(update={"name": name})
            changed = update(tables.runs).where(tables.runs.c.id == run_id)
            await connection.execute(changed.values(name=name, run=run.model_dump_json()))

    async def put_facts(self, run_id: str, facts: Mapping[str, Any]) -> None:
        """Writes a run's facts in place of those that it had; its nodes, which may be many, are not written again."""
        async with self._writing() as connection:
            text = await connection.scalar(select(tables.runs.c.run).where(tables.runs.c.id == run_id))
            if text is None:
                raise RunNotFoundError(f"there is no run '{run_id}'")
            run = Run.model_validate_json(text).model_copy(update={"facts": dict(facts)})
            changed = update(tables.runs).where(tables.runs.c.id == run_id)
            await connection.execute(changed.values(run=run.model_dump_json()))

    async def tag(self, run_id: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Adds tags to a run and takes others away; a tag that is there already, or is not, is no error."""
        added = [{"run_id": run_id, "tag": tag} for tag in dict.fromkeys(add)]
        async with self._writing() as connection:
            if added:
                insert = insert_for(connection, tables.tags)
                await connection.execute(insert.on_conflict_do_nothing(), added)
            gone = and_(tables.tags.c.run_id == run_id, tables.tags.c.tag.in_(list(remove)))
            await connection.execute(delete(tables.tags).where(gone))

    async def delete(self, run_id: str) -> None:
        """Deletes a run with all that belongs to it. RunBusyError where another living process measures it."""
        async with self._writing() as connection:
            writer = await connection.run_sync(reading.writer, run_id)
            if writer is not None and writer != this_process():
                raise RunBusyError(f"run {run_id} is being measured by {writer}; stop it first")
            done = await connection.execute(delete(tables.runs).where(tables.runs.c.id == run_id))
        if run_id in self._signs:
            await cancelled(self._signs.pop(run_id))
        if not done.rowcount:
            raise RunNotFoundError(f"there is no run '{run_id}'")
        self._forget(run_id)

    # Reading.

    async def find(self, reference: str) -> str:
        """The id of the run that `reference` means: an id, a unique prefix of one, a name, or `latest`.

        Raises RunNotFoundError where there is none, or where a prefix fits several.
        """
        return await self._read(lambda connection: reading.find(connection, reference), _itself)

    async def info(self, run_id: str) -> RunDetails:
        """A run without its cells; RunNotFoundError where there is none of that id."""
        return await self._read(lambda connection: reading.details(connection, run_id), _itself)

    async def described(self, reference: str, told: Callable[[RunInfo, str, str], _Told]) -> _Told:
        """What `told` makes of a run (see `find`), its nodes and its findings, which are JSON: of a thousand nodes a
        megabyte.

        It is read and told in one thread: each change of threads waits for a core, and for the interpreter.
        """
        return await self._read(
            lambda connection: reading.described(connection, reading.find(connection, reference)),
            lambda found: told(*found),
        )

    async def runs(self, wanted: RunFilter | None = None, limit: int | None = None) -> list[RunInfo]:
        """The runs that fit, the latest first, at most `limit` of them."""
        return await self._read(lambda connection: reading.infos(connection, wanted or RunFilter(), limit), _itself)

    async def load(self, run_id: str) -> StoredRun:
        """A whole run; RunNotFoundError where there is none of that id. See `cells` for runs that are large."""
        about = await self.info(run_id)
        async with aclosing(self.cells(run_id)) as batches:
            cells = [cell async for batch in batches for cell in batch]
        return StoredRun(about.run, about.nodes, tuple(cells), about.findings, about.tags)

    async def page(
        self,
        reference: str,
        limit: int,
        told: Callable[[CellPage], _Told],
        *,
        after: CellPosition | None = None,
        source: str | None = None,
        target: str | None = None,
        path: str | None = None,
        test: str | None = None,
        outcome: str | None = None,
    ) -> _Told:
        """What `told` makes of at most `limit` cells of a run (see `find`), or of one source, target, path, test or
        outcome, in the order of their keys; in one thread, as in `described`.
        """

        def read(connection: Connection) -> list[tuple[CellPosition, str]]:
            return reading.page(
                connection,
                reading.find(connection, reference),
                source=source,
                target=target,
                path=path,
                test=test,
                outcome=outcome,
                after=after,
                limit=limit + 1,
            )

        def made(found: list[tuple[CellPosition, str]]) -> _Told:
            shown = found[:limit]
            cells = rows.parsed([text for _, text in shown])
            return told(CellPage(cells, shown[-1][0] if len(found) > limit else None))

        return await self._read(read, made)

    async def cells(
        self,
        run_id: str,
        *,
        source: str | None = None,
        target: str | None = None,
        path: str | None = None,
        test: str | None = None,
    ) -> AsyncGenerator[tuple[Cell, ...], None]:
        """A run's cells in batches, or those of one source, target, path or test: they are never all in memory."""
        # Closed also where it is left before its end: it has a connection.
        async with aclosing(self.texts(run_id, source=source, target=target, path=path, test=test)) as parts:
            async for texts in parts:
                with as_written(self.shown):
                    found = await asyncio.to_thread(rows.parsed, texts)
                yield found

    async def texts(
        self,
        run_id: str,
        *,
        source: str | None = None,
        target: str | None = None,
        path: str | None = None,
        test: str | None = None,
    ) -> AsyncGenerator[list[str], None]:
        """As `cells`, each cell as its JSON (fields that have their default are left out)."""
        wanted = reading.cell_rows(run_id, source=source, target=target, path=path, test=test)
        async with self._reading() as connection:
            series = await connection.run_sync(reading.series_texts, run_id)
            async with connection.stream(wanted) as result:
                async for part in result.partitions(reading.ROWS):
                    yield [series[row[0]].cell(row[1], row[2], row[3], row[4]) for row in part]

    # For what else is stored: see `monitored`.

    def changing(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction that writes; StoreError where the database fails, and then nothing was changed."""
        return self._writing()

    def looking(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection that reads."""
        return self._reading()

    # Underneath.

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        with in_a_sentence(self.shown):
            async with self._engine.connect() as connection:
                await connection.execution_options(**{WRITES: True})
                async with connection.begin():
                    yield connection
                await self._shrink(connection)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with in_a_sentence(self.shown), as_written(self.shown):
            async with self._engine.connect() as connection:
                yield connection
                await self._shrink(connection)

    async def _shrink(self, connection: AsyncConnection) -> None:
        if self._kept is not None:
            # By the driver itself: SQLAlchemy would begin a transaction for it, and wait for who writes now.
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.execute_fetchall(SHRINK)

    async def _read(self, ask: Callable[[Connection], _Read], told: Callable[[_Read], _Told]) -> _Told:
        """What `told` makes of what `ask` reads, all in one go.

        Of a file in one thread from the beginning to the end: of an asynchronous connection each step comes back to
        the event loop, a dozen a question, and waits there behind all that a sweep has to do.
        """
        with in_a_sentence(self.shown), as_written(self.shown):
            if self._reader is None:
                async with self._engine.connect() as connection:
                    found = await connection.run_sync(ask)
                return await asyncio.to_thread(told, found)
            answer = asyncio.ensure_future(asyncio.to_thread(_asked, self._reader, ask, told))
            self._reads.add(answer)
            answer.add_done_callback(self._has_read)
            # Whoever goes away leaves the thread behind, which ends by itself.
            return await asyncio.shield(answer)

    def _has_read(self, answer: asyncio.Future[Any]) -> None:
        self._reads.discard(answer)
        if not answer.cancelled():
            answer.exception()  # nobody asks for it where the reader has gone away

    def _forget(self, run_id: str) -> None:
        """The ids of a run's series, which are asked for again where there is more to write."""
        self._series = {key: number for key, number in self._series.items() if key[0] != run_id}

    async def _put_run(self, connection: AsyncConnection, run: Run, nodes: Sequence[Node]) -> None:
        row = {
            "id": run.id,
            "name": run.name,
            "state": run.state,
            "started_at": run.started_at,
            "run": run.model_dump_json(),
            "nodes": "[" + ",".join(node.model_dump_json() for node in nodes) + "]",
            "node_count": len(nodes),
        }
        if run.state != "running":
            row |= {"writer": None, "alive_at": None}
        insert = insert_for(connection, tables.runs).values(**row)
        await connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=row))

    async def _write_rows(self, items: Sequence[tuple[str, CellRow]]) -> None:
        # Rows of one series have one Series: its hash, that of ten parameters, is taken once a batch.
        distinct = {(run_id, id(row.series)): row.series for run_id, row in items}
        blocks: dict[tuple[str, Series], list[tuple[str, str, int, str, str]]] = {
            (run_id, series): [] for (run_id, _), series in distinct.items()
        }
        block_of = {key: blocks[key[0], series] for key, series in distinct.items()}
        for run_id, row in items:
            block_of[run_id, id(row.series)].append(row[1:])
        await self._write_blocks(blocks)

    async def _write_blocks(self, blocks: Mapping[tuple[str, Series], Block]) -> None:
        wanted = set(blocks)
        try:
            async with self._writing() as connection:
                ids = await self._series_ids(connection, wanted)
                text = cells_upsert(connection)
                for key, block in blocks.items():
                    # One after the other: of two with one key the later counts.
                    number = ids[key]
                    await connection.exec_driver_sql(text, [(number, *row) for row in block])
        except StoreError as error:
            # What another process deleted is not known any more.
            self._series = {key: number for key, number in self._series.items() if key not in wanted}
            if isinstance(error.__cause__, IntegrityError):
                names_of = ", ".join(sorted({run_id for run_id, _ in wanted}))
                raise RunNotFoundError(f"{self.shown}: run {names_of} is not there (any more)") from error
            raise
        # Not before the commit: what was rolled back has no id.
        self._series.update(ids)

    async def _series_ids(
        self, connection: AsyncConnection, wanted: set[tuple[str, Series]]
    ) -> dict[tuple[str, Series], int]:
        """The ids of these series; those that are new are made."""
        ids = {key: self._series[key] for key in wanted & self._series.keys()}
        columns = tables.series.c
        for run_id, series in wanted - ids.keys():
            text = rows.parameters_text(series)
            named = {"run_id": run_id, "path": series.path, "test": series.test, "parameters": text}
            await connection.execute(insert_for(connection, tables.series).values(**named).on_conflict_do_nothing())
            same = and_(*(columns[name] == value for name, value in named.items()))
            ids[run_id, series] = (await connection.execute(select(columns.id).where(same))).scalar_one()
        return ids

    async def _give_signs(self, run_id: str) -> None:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            async with self._writing() as connection:
                mine = and_(tables.runs.c.id == run_id, tables.runs.c.writer == this_process().to_json())
                await connection.execute(update(tables.runs).where(mine).values(alive_at=clock(connection)))


def _itself(found: _Read) -> _Read:
    return found


def _asked(reader: Engine, ask: Callable[[Connection], _Read], told: Callable[[_Read], _Told]) -> _Told:
    with reader.connect() as connection:
        found = ask(connection)
        connection.exec_driver_sql(SHRINK)
    return told(found)
