"""Whole runs as files: out of one store and into another, and what is wrong with a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from tests.controller.mesh.test_document import DOCUMENT
from tests.support.stored import a_cell, a_run

from netmesh_controller.clients.runfile import RunFile, RunFileError
from netmesh_controller.clients.store import RunNotFoundError, Store, open_store
from netmesh_controller.clients.store.rows import row_of
from netmesh_controller.engines.exchange import export_run, import_run, load_arrays, load_run, stored_run
from netmesh_controller.engines.runs import stored_document
from netmesh_controller.mesh.document import Node, RunDocument

SAMPLES = Path(__file__).parents[2] / "samples/run"
SAMPLE = "20251120-100000-0199"
NODES = [Node(name=f"n{number}") for number in range(40)]


@pytest.mark.parametrize("name", ["run-1.json", "run-1.jsonl.zst"])
async def test_a_document_of_the_first_version_is_read(store: Store, name: str) -> None:
    written = RunDocument.model_validate_json((SAMPLES / "run-1.json").read_text())
    info = await import_run(store, SAMPLES / name)
    assert info.outcomes == {"measured": 1, "failed": 1, "discarded": 1, "skipped": 1}
    for stored in (await store.load(SAMPLE), await load_run(store, str(SAMPLES / name))):
        assert (stored.run, list(stored.nodes), list(stored.findings)) == (written.run, written.nodes, written.findings)
        assert {cell.key: cell for cell in stored.cells} == {cell.key: cell for cell in written.cells}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.zst", ".json"])
async def test_a_run_goes_out_and_comes_back(store: Store, tmp_path: Path, ending: str) -> None:
    cells = [a_cell(a.name, b.name, repeat=r) for a in NODES for b in NODES[:30] for r in (1, 2)]
    await store.put_run(a_run(name="big"), NODES)
    await store.put_cells(a_run().id, cells)
    path = tmp_path / f"run{ending}"
    assert await export_run(store, a_run().id, path) == 2400
    if ending == ".json":
        assert RunDocument.model_validate_json(path.read_text()) == stored_document(await store.load(a_run().id))
    other = await open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    try:
        await import_run(other, path)
        mine, theirs = await store.load(a_run().id), await other.load(a_run().id)
        assert (theirs.run, theirs.nodes, theirs.cells) == (mine.run, mine.nodes, mine.cells)
        for arrays in (await load_arrays(other, "big"), await load_arrays(other, str(path))):
            assert arrays.cells == 2400
            (found,) = arrays.series.values()
            assert np.count_nonzero(np.isfinite(found.repeats("bits_per_second"))) == 2400
        with pytest.raises(RunFileError, match="stored already; --replace"):
            await import_run(other, path)
        await other.put_cells(a_run().id, [a_cell("n1", "n1", repeat=7)])
        assert (await import_run(other, path, replace=True)).cells == 2400
    finally:
        await other.close()


async def test_many_cells_do_not_go_into_one_document(store: Store, tmp_path: Path) -> None:
    await store.put_run(a_run(), NODES)
    await store.put_rows(a_run().id, [row_of(a_cell("n1", "n2"))._replace(repeat=number) for number in range(10_001)])
    with pytest.raises(RunFileError, match=r"10001 cells.*ends in .jsonl.zst"):
        await export_run(store, a_run().id, tmp_path / "run.json")
    with pytest.raises(RunFileError, match="ends in"):
        await export_run(store, a_run().id, tmp_path / "run.csv")
    with pytest.raises(RunFileError, match="cannot be written"):
        await export_run(store, a_run().id, tmp_path / "nonesuch/run.jsonl.zst")
    assert list(tmp_path.glob("*run*")) == []


async def test_a_file_is_resumed_through_the_store(store: Store) -> None:
    first = await stored_run(store, str(SAMPLES / "run-1.json"))
    await store.put_cells(SAMPLE, [first.cells[0].model_copy(update={"attempt": 9})])
    again = await stored_run(store, str(SAMPLES / "run-1.json"))
    assert [cell.attempt for cell in again.cells if cell.key == first.cells[0].key] == [9]
    assert (await stored_run(store, "sample")).run == first.run


def _lines(change: Callable[[list[dict[str, Any]]], object]) -> bytes:
    document = json.loads(json.dumps({**DOCUMENT, "matrices": []}))
    lines = [{name: part for name, part in document.items() if name != "cells"}, *document["cells"]]
    change(lines)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no run file"),
        (b"these are notes", "no run file"),
        (b'{"notes": 1}', "schema: it is missing"),
        (b"[1]", "schema: it is missing"),
        (b'{"schema": "netmesh.run/2"}', "this netmesh reads 'netmesh.run/1'"),
        (b'{"schema": "netmesh.run/1", "nodes": []}', "run: it is missing"),
        (b'{"schema": "netmesh.run/1", "cells": 7}', "cells: it should be a list"),
        (_lines(lambda lines: lines[0].update(surprise=1)), "surprise: there is no such field"),
        (_lines(lambda lines: lines[0]["run"].update(state="done")), "run.state"),
        (_lines(lambda lines: lines[3].update(attempt="x")), "line 4: attempt"),
        (_lines(lambda lines: lines[1]["values"]["bits_per_second"].update(mean=None)), "bits_per_second.mean"),
        (_lines(lambda lines: lines.append(lines[1])), "1 have the same key as another"),
        (_lines(lambda lines: lines[0]["nodes"].pop()), "line 2: target: the run has no node 'node-2'"),
        (_lines(list) + b"{", "line 6: it is no JSON"),
        (zstandard.ZstdCompressor().compress(_lines(list))[:-9], "damaged or cut short"),
    ],
)
async def test_a_wrong_file_is_told_and_nothing_is_stored(
    store: Store, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunFileError) as caught:
        await import_run(store, path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert await store.runs() == []
    with pytest.raises(RunNotFoundError):
        await store.find("latest")


async def test_a_wrong_file_does_not_replace_a_good_run(store: Store, tmp_path: Path) -> None:
    await import_run(store, SAMPLES / "run-1.json")
    text = (SAMPLES / "run-1.json").read_text().replace('"attempt": 1', '"attempt": "one"')
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunFileError, match=r"cells\[0\]"):
        await import_run(store, tmp_path / "run.json", replace=True)
    assert (await store.info(SAMPLE)).cells == 4


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be read: No such file"):
        RunFile(tmp_path / "run.json")


@pytest.mark.parametrize("run_id", ["", "../../etc/passwd", 'a"b', "a\r\nX-Header: b", "x" * 81, "-r", "ü"])
def test_an_id_that_could_lead_elsewhere_is_refused(tmp_path: Path, run_id: str) -> None:
    document = json.loads((SAMPLES / "run-1.json").read_text())
    document["run"]["id"] = run_id
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    with pytest.raises(RunFileError, match=r"run\.id: "):
        RunFile(path)
