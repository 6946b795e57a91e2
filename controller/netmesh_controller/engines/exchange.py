"""Runs that come from files and go to files, and RUN in its widest sense: what is stored, or a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

from netmesh_controller.clients.runfile import (
    DOCUMENT,
    ENDINGS,
    MOST_CELLS_OF_A_DOCUMENT,
    RunFile,
    RunFileError,
    document_parts,
    head_line,
    is_run_file,
    written,
)
from netmesh_controller.clients.store import RunInfo, RunNotFoundError, Store, StoredRun
from netmesh_controller.clients.store.rows import CellRow, block_of
from netmesh_controller.engines import runs
from netmesh_controller.engines.arrays import RunArrays, stored_arrays
from netmesh_controller.mesh.columns import Columns
from netmesh_controller.mesh.document import Cell, RunDocument
from netmesh_controller.mesh.lines import Batch, uncollected


async def load_run(store: Store, reference: str) -> StoredRun:
    """The whole run that a RUN means: of the store, or a run file, which is not put into the store.

    RunNotFoundError, RunFileError or StoreError where it cannot be had.
    """
    if not is_run_file(reference):
        return await store.load(await _found(store, reference))
    file = RunFile(Path(reference))
    cells = [line.cell or Cell.model_validate(line.fields) for batch in file.lines() for line in batch]
    return StoredRun(file.run, tuple(file.nodes), tuple(cells), tuple(file.head.findings))


async def stored_run(store: Store, reference: str) -> StoredRun:
    """As `load_run`, of a run that is going to be resumed: one that comes in a file is put into the store first.

    A run that is stored already goes on from there, whatever the file has.
    """
    return await store.load(await stored_id(store, reference))


async def stored_id(store: Store, reference: str) -> str:
    """The id of the stored run that a RUN means; a run file that is not stored yet is put into the store."""
    if not is_run_file(reference):
        return await _found(store, reference)
    run_id = RunFile(Path(reference)).run.id
    if await _info(store, run_id) is None:
        await import_run(store, Path(reference))
    return run_id


async def load_arrays(store: Store, reference: str) -> RunArrays:
    """As `load_run`, as arrays: no cell is kept."""
    if is_run_file(reference):
        file = RunFile(Path(reference))
        columns = Columns(file.nodes)
        for batch in file.batches():
            columns.add_batch(batch)
        return RunArrays(file.run, tuple(file.nodes), tuple(file.head.findings), columns.gathered(), columns.count)
    return await stored_arrays(store, await _found(store, reference))


async def import_run(store: Store, path: Path, *, replace: bool = False) -> RunInfo:
    """Puts the run of a file into the store. All of it or, where something is wrong, nothing.

    RunFileError where the file is wrong, or where the run is stored already and is not to be replaced.
    """
    file = await asyncio.to_thread(RunFile, path)
    run = file.run
    stored = await _info(store, run.id)
    if stored is not None:
        if not replace:
            raise RunFileError(f"{path}: run {run.id} is stored already; --replace puts this one in its place")
        # What is there goes only for something that is right.
        async for _ in _apart(file.batches()):
            pass
        await store.delete(run.id)
    # Until it is whole it is nobody's result: where this process dies, it is told as failed.
    await store.begin_run(run.model_copy(update={"state": "running"}), file.nodes)
    count = 0
    try:
        async for batch in _apart(file.batches()):
            for alike in batch.alike:
                await store.put_block(run.id, alike.series, block_of(alike))
            with uncollected():
                rows = [
                    CellRow(one.series, one.source, one.target, one.repeat, one.outcome, one.rest())
                    for one in batch.lines
                ]
            await store.put_rows(run.id, rows)
            count += batch.cells
        about = await store.info(run.id)
        if about.cells != count:
            raise RunFileError(f"{path}: cells: {count - about.cells} have the same key as another")
        if file.head.findings:
            await store.put_findings(run.id, file.head.findings)
        await store.put_run(run, file.nodes)
    except BaseException:
        await store.delete(run.id)
        raise
    return await store.info(run.id)


async def export_run(store: Store, run_id: str, path: Path) -> int:
    """Writes a run to a file, as its ending says; the number of cells. RunFileError where it cannot be."""
    about = await store.info(run_id)
    check_ending(path, about.cells)
    if path.name.endswith(DOCUMENT):
        document = runs.stored_document(await store.load(run_id))
        with written(path) as file:
            for part in document_parts(document, document.cells, document.matrices, document.findings):
                file.write(part)
        return about.cells
    head = RunDocument(run=about.run, nodes=list(about.nodes), cells=[], matrices=[], findings=list(about.findings))
    with written(path) as file:
        file.write(head_line(head))
        async with aclosing(store.texts(run_id)) as parts:
            async for texts in parts:
                file.write("\n".join(texts).encode() + b"\n")
    return about.cells


def check_ending(path: Path, cells: int) -> None:
    """Whether a run of so many cells can be written under that name."""
    if not path.name.endswith(ENDINGS):
        raise RunFileError(f"{path}: a run file ends in .json, .jsonl or .jsonl.zst")
    if path.name.endswith(DOCUMENT) and cells > MOST_CELLS_OF_A_DOCUMENT:
        raise RunFileError(f"{path}: a run of {cells} cells goes into a file that ends in .jsonl.zst")


async def _apart(batches: Iterator[Batch]) -> AsyncIterator[Batch]:
    """Read by a thread: cells with all that they can hold take a tenth of a millisecond each."""
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        yield batch


async def _found(store: Store, reference: str) -> str:
    """The id that a reference means. RunFileError where it is a file's name, and no run's."""
    try:
        return await store.find(reference)
    except RunNotFoundError as error:
        if await asyncio.to_thread(Path(reference).is_file):
            raise RunFileError(
                f"{reference}: a run file ends in .json, .jsonl or .jsonl.zst, and no stored run has that name"
            ) from error
        raise


async def _info(store: Store, run_id: str) -> RunInfo | None:
    try:
        return await store.info(run_id)
    except RunNotFoundError:
        return None
