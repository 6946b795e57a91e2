"""Run files and databases that were damaged: each is read as it was, or refused in one sentence; no number changes."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.test_texts import one_sentence
from tests.support.fuzzing import changed, fuzzed
from tests.support.stored import a_cell, a_run

from netmesh_common.errors import BadUsageError, CouldNotRunError
from netmesh_controller.clients.runfile import RunFile
from netmesh_controller.clients.store import StoreError, open_store
from netmesh_controller.mesh.document import Cell

SAMPLES = Path(__file__).parents[1] / "samples" / "run"
DOCUMENTS = ((SAMPLES / "run-1.json").read_text(),)
PACKED = (SAMPLES / "run-1.jsonl.zst").read_bytes()
CELLS = 40
changes = st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=12)


def damaged(content: bytes, where: list[tuple[int, int]], cut: int | None) -> bytes:
    data = bytearray(content)
    for place, value in where:
        data[place % len(data)] = value
    return bytes(data) if cut is None else bytes(data[: cut % len(data)])


def read(path: Path) -> list[Cell] | None:
    """All cells of a run file; None where it is refused."""
    try:
        file = RunFile(path)
        return [line.cell or Cell.model_validate(line.fields) for batch in file.lines() for line in batch]
    except BadUsageError as error:
        one_sentence(error)
        return None


@fuzzed(60)
@given(changed(DOCUMENTS))
def test_run_documents(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        cells = read(path)
    # What is accepted is what stands there, cell for cell.
    if cells is not None:
        said = json.loads(text.splitlines()[0] if '"cells"' not in text else text).get("cells", [])
        assert [(one["source"], one["target"]) for one in said] == [
            (one.source, one.target) for one in cells
        ] or not said


@fuzzed(60)
@given(changes, st.none() | st.integers(0, 2**20))
def test_packed_runs(where: list[tuple[int, int]], cut: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, path = Path(folder) / "whole.jsonl.zst", Path(folder) / "run.jsonl.zst"
        whole.write_bytes(PACKED)
        path.write_bytes(damaged(PACKED, where, cut))
        cells, before = read(path), read(whole)
    assert before is not None
    # Zstandard's own checksum, or its shape, tells any damage: nothing but the whole is read.
    assert cells is None or cells == before


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("database")

    async def fill() -> None:
        store = await open_store(folder)
        await store.put_run(a_run(), [])
        await store.put_cells(a_run().id, [a_cell(f"n{number}") for number in range(CELLS)])
        await store.close()

    asyncio.run(fill())
    return folder / "netmesh.sqlite"


async def _load(folder: Path) -> tuple[Cell, ...]:
    store = await open_store(folder)
    try:
        return (await store.load(await store.find("latest"))).cells
    finally:
        await store.close()


@fuzzed(25)
@given(where=changes, page=st.booleans(), cut=st.none() | st.integers(0, 2**20))
def test_databases(database: Path, where: list[tuple[int, int]], page: bool, cut: int | None) -> None:
    """SQLite has no checksums: a byte of a number that changed cannot be told. Nothing else may come of it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "netmesh.sqlite"
        shutil.copy(database, copy)
        content = damaged(copy.read_bytes(), where, cut)
        if page:
            start = where[0][0] % len(content or b"x") // 4096 * 4096
            content = content[:start] + bytes(4096) + content[start + 4096 :]
        copy.write_bytes(content)
        try:
            cells = asyncio.run(_load(Path(folder)))
        except (StoreError, BadUsageError, CouldNotRunError) as error:
            one_sentence(error)
            return
        assert len(cells) <= CELLS
