"""A run document in arrays: from every form that it has, and docs/notebook.md's own examples."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from tests.controller.mesh.findings.faults import nodes_of
from tests.controller.mesh.findings.healthy import healthy

from netmesh_controller.mesh import arrays
from netmesh_controller.mesh.document import Cell, Node, Parameters, PlanRecord, Reason, Run, RunDocument, Summary
from netmesh_controller.mesh.matrix import matrices

DOCS = Path(__file__).parents[3] / "docs" / "notebook.md"
COUNT, REPEATS = 8, 3


@pytest.fixture(scope="module")
def document() -> RunDocument:
    mesh = healthy(np.random.default_rng(1), COUNT, REPEATS, zones=2)
    nodes = nodes_of(mesh)
    cells = [
        cell(nodes[row], nodes[column], repeat + 1, float(mesh.bandwidth[repeat, row, column]))
        for repeat in range(REPEATS)
        for row in range(COUNT)
        for column in range(COUNT)
        if row != column
    ]
    cells[0] = cells[0].model_copy(
        update={"outcome": "failed", "values": {}, "reason": Reason(code="timeout", message="It is so.")}
    )
    run = Run(id="1", state="partial", started_at="2026-01-01T00:00:00Z", netmesh_version="0", plan=PlanRecord())
    return RunDocument(run=run, nodes=nodes, cells=cells, matrices=matrices(nodes, cells))


def cell(source: Node, target: Node, repeat: int, figure: float) -> Cell:
    return Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source=source.name,
        target=target.name,
        repeat=repeat,
        attempt=1,
        parameters=Parameters(instrument="iperf3"),
        outcome="measured",
        values={"bits_per_second": Summary(mean=figure)},
    )


def as_lines(document: RunDocument) -> bytes:
    head = document.model_dump(mode="json", by_alias=True, exclude={"cells"})
    cells = [one.model_dump(mode="json") for one in document.cells]
    return b"".join(json.dumps(line).encode() + b"\n" for line in ({**head, "matrices": []}, *cells))


def test_every_form_gives_the_same_arrays(document: RunDocument) -> None:
    text = document.model_dump_json(by_alias=True, indent=1)
    lines = as_lines(document)
    packed = zstandard.ZstdCompressor().compress(lines)
    sources: list[Any] = [text, text.encode(), json.loads(text), document.model_dump_json(by_alias=True), lines, packed]
    sources += [io.BytesIO(packed), io.BytesIO(text.encode())]
    first = arrays(sources[0])
    assert first.names == tuple(f"node-{number}" for number in range(1, COUNT + 1))
    assert first.zones == ("zone-0",) * 4 + ("zone-1",) * 4
    table = first.table("tcp-bandwidth")
    assert (table.values.shape, table.unit, table.statistic) == ((COUNT, COUNT), "bit/s", "mean")
    assert np.count_nonzero(table.known) == COUNT * (COUNT - 1), "other repeats have the failed cell's figure"
    for source in sources[1:]:
        other = arrays(source).table("tcp-bandwidth")
        np.testing.assert_array_equal(other.values, table.values)
        assert other.reason(0, 0) == table.reason(0, 0)


def test_repeats_are_kept_apart(document: RunDocument) -> None:
    repeats = arrays(as_lines(document)).repeats("tcp-bandwidth")
    assert repeats.shape == (REPEATS, COUNT, COUNT)
    assert np.isnan(repeats[0, 0, 1])
    np.testing.assert_allclose(
        np.nanmean(repeats[:, 0, 1]), arrays(as_lines(document)).table("tcp-bandwidth").values[0, 1], rtol=1e-12
    )


@pytest.mark.parametrize(
    "wrong", [b"", b"{}", b"nothing", b'{"schema": "netmesh.run/2", "cells": []}', b"[]", b"\n\n1"]
)
def test_what_is_no_run_document(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r"run document|JSON|EOF|expected"):
        arrays(wrong)


def test_cut_short(document: RunDocument) -> None:
    packed = zstandard.ZstdCompressor().compress(as_lines(document))
    with pytest.raises(EOFError):
        arrays(packed[:-20])


def test_a_table_that_is_not_there_is_named(document: RunDocument) -> None:
    run = arrays(as_lines(document))
    with pytest.raises(ValueError, match="there is tcp-bandwidth, pod-to-pod, iperf3"):
        run.table("tcp-bandwidth", path="host-to-host")
    with pytest.raises(KeyError):
        run.table("tcp-latence")


def test_the_examples_of_the_docs_run(
    document: RunDocument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(document.model_dump_json(by_alias=True))
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) == 3
    exec(compile("\n".join(examples), str(DOCS), "exec"), {})  # noqa: S102  # what the docs tell users to run
    printed = capsys.readouterr().out
    assert printed.startswith("(8, 8) bit/s ")
    assert "not_applicable" in printed or "not_scheduled" in printed
    assert "not_supported" in printed
    assert "Interval(mean=" in printed
