"""Cells read in columns are those that are read one by one, whatever stands in a line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.mesh.test_lines import ANYTHING, CELL, FIELDS, NAMES, NODES

from netmesh_controller.mesh.columns import Columns
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.lines import Batch, LineError, LineReader
from netmesh_controller.mesh.simple_lines import KEY_FIELDS

_SUMMARY: dict[str, Any] = {"mean": 9.4e9, "stdev": None, "p50": 12, "count": 50}
_RIGHT: list[dict[str, Any]] = [
    CELL,
    {**CELL, "values": {"bits_per_second": _SUMMARY, "retransmits": None}, "started_at": "2026-01-01T00:00:00Z"},
    {**CELL, "values": {"a % of \u00fc": {"mean": 1.5e-07}}, "duration_seconds": 5.0, "hosts": {}, "reason": None},
    {**CELL, "values": {}, "repeat": 3, "source": "node-2"},
    {**CELL, "path": "pod-to-external", "test": "tcp-connect", "target": "db"},
    {**CELL, "outcome": "failed", "reason": {"code": "timeout", "message": "it took % too long"}, "values": {}},
]
# What one piece of a line's text may be in place of another.
_PIECES = ["1", "01", "-0", "1e400", "1E5", "1e-5", "0x1", "1.", ".5", "\u0661", "9" * 17, "-1", "NaN", "null", "true"]
_PIECES += ['"', "\\", "\t", "\n", "\r", " ", ",", "}", "{}", '"node-1"', '"node-9"', '"\\u006eode-1"', "%", "%s"]


def _text(fields: dict[str, Any], compact: bool) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":") if compact else None)


def _cells(batch: Batch) -> list[Cell]:
    """All of a batch, as the model reads what would be stored of them."""
    rows = [(one.series, one.source, one.target, one.repeat, one.rest()) for one in batch.lines]
    for alike in batch.alike:
        parts = alike.sources, alike.targets, alike.repeats, alike.rests()
        rows += [(alike.series, *row) for row in zip(*parts, strict=True)]
    return sorted(
        (
            Cell.model_validate_json(
                json.dumps(
                    {
                        **json.loads(rest),
                        "path": series.path,
                        "test": series.test,
                        "parameters": series.parameters.model_dump(),
                        "source": source,
                        "target": target,
                        "repeat": repeat,
                    }
                )
            )
            for series, source, target, repeat, rest in rows
        ),
        key=repr,
    )


def _read(lines: list[str], *, in_columns: bool) -> Any:
    reader = LineReader(NAMES)
    if in_columns:
        # What is learnt is learnt from these.
        reader.batch([_text(fields, compact) for compact in (True, False) for fields in _RIGHT])
    try:
        batch = reader.batch(lines) if in_columns else Batch((), reader.read(lines))
    except LineError as error:
        return error.index, str(error)
    columns = Columns(NODES)
    columns.add_batch(batch)
    assert columns.count == batch.cells == len(lines)
    tables = [
        (table.value, table.series, table.targets, table.values, table.reasons)
        for one in columns.gathered().values()
        for table in one.tables()
    ]
    return _cells(batch), tables


def _same(lines: list[str]) -> None:
    found, wanted = (_read(lines, in_columns=in_columns) for in_columns in (True, False))
    if isinstance(wanted[0], int):
        assert found == wanted
        return
    assert found[0] == wanted[0]
    assert [one[:3] for one in found[1]] == [one[:3] for one in wanted[1]]
    for mine, right in zip(found[1], wanted[1], strict=True):
        np.testing.assert_array_equal(mine[3], right[3])
        np.testing.assert_array_equal(mine[4], right[4])


def test_cells_that_are_alike_are_read_in_columns() -> None:
    reader = LineReader(NAMES)
    lines = [_text({**CELL, "values": {"bits_per_second": {"mean": 1.5 + n}}, "repeat": n}, True) for n in range(300)]
    batch = reader.batch(lines)
    assert (len(batch.lines), [len(one) for one in batch.alike]) == (50, [250])
    assert list(batch.alike[0].means["bits_per_second"]) == [1.5 + n for n in range(50, 300)]
    # From then on all of them.
    assert [len(one) for one in reader.batch(lines).alike] == [300]
    assert KEY_FIELDS.isdisjoint(json.loads(next(reader.batch(lines).alike[0].rests())))


@settings(max_examples=300, deadline=None)
@given(
    base=st.sampled_from(_RIGHT),
    changes=st.dictionaries(FIELDS, ANYTHING, max_size=2),
    compact=st.booleans(),
    cut=st.tuples(st.integers(0, 250), st.integers(0, 3)),
    piece=st.sampled_from(["", *_PIECES]),
)
def test_whatever_stands_in_a_line(
    base: dict[str, Any], changes: dict[str, Any], compact: bool, cut: tuple[int, int], piece: str
) -> None:
    # Of two cells with one key it is not said which counts.
    right = [_text({**fields, "repeat": 11 + place}, compact) for place, fields in enumerate(_RIGHT)]
    line = _text({**base, **changes}, compact)
    begin, length = cut
    for changed in (line, line[:begin] + piece + line[begin + length :]):
        # A file is cut into lines before: what has a line break stands on two.
        _same([*right[:2], *changed.split("\n"), *right[2:]])


@pytest.mark.parametrize("number", _PIECES)
def test_whatever_stands_for_a_number(number: str) -> None:
    for field in ('"mean": ', '"count": ', '"repeat": ', '"attempt": ', '"duration_seconds": '):
        for fields in _RIGHT:
            text = _text(fields, False)
            before, there, after = text.partition(field)
            if there:
                end = min(after.find(mark) for mark in ",}" if mark in after)
                others = [_text({**fields, "repeat": repeat}, False) for repeat in (11, 12)]
                _same([others[0], before + there + number + after[end:], others[1]])
