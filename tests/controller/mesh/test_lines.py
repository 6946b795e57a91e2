"""Cells read as lines: what passes is what the model takes, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.controller.mesh.test_document import DOCUMENT, KEY, REASON, VALUES
from tests.support.fuzzing import cases

from netmesh_controller.mesh.columns import gather_lines
from netmesh_controller.mesh.document import Cell, Node
from netmesh_controller.mesh.lines import LineError, LineReader
from netmesh_controller.mesh.matrix import gathered
from netmesh_controller.mesh.simple_lines import KEY_FIELDS

NAMES = ("node-1", "node-2")
NODES = [Node(name=name) for name in NAMES]
CELL: dict[str, Any] = {**KEY, "source": "node-1", "target": "node-2", "outcome": "measured", "values": VALUES}
# What may stand in a JSON file in any place, right or wrong there.
_PLAIN: list[Any] = [None, True, False, 0, 1, -1, 2**60, 1.5, 1e308, "", "1", "x", "failed", "measured", [], [1], {}]
_VALUES: list[Any] = [
    *({"mean": 1}, {"mean": None}, {"mean": True}, {"mean": 1, "count": 0}, {"mean": 1, "count": 1.0}, {"mean": "1"}),
    *({"mean": 1, "p50": "2"}, {"mean": 1, "sum": 3}, {"a": {"mean": 2.5, "count": 3}}, {"a": None}, {"a": []}),
    *({"code": "x"}, {**REASON, "more": 1}, REASON, {"source": None, "target": None}, {"source": {}}),
    *({"raw": "x"}, {"raw": None}, {"reported": {}}, {"reported": {"a": 1}}, {"verdict": "healthy"}),
]
ANYTHING = st.sampled_from([*_PLAIN, *_VALUES])
FIELDS = st.sampled_from([*Cell.model_fields, "surprise"])


def _model(fields: dict[str, Any]) -> Cell | None:
    try:
        return Cell.model_validate_json(json.dumps(fields))
    except ValidationError:
        return None


@settings(max_examples=cases(400), deadline=None)
@given(changes=st.dictionaries(FIELDS, ANYTHING, max_size=3), gone=st.sets(FIELDS, max_size=1))
def test_lines_are_taken_as_the_model_takes_cells(changes: dict[str, Any], gone: set[str]) -> None:
    fields = {name: value for name, value in {**CELL, **changes}.items() if name not in gone}
    wanted = _model(fields)
    known = wanted is not None and wanted.path == "pod-to-pod" and wanted.test == "tcp-bandwidth"
    if wanted is None or not known or not {wanted.source, wanted.target} <= set(NAMES):
        with pytest.raises(LineError):
            LineReader(NAMES).read([json.dumps(fields)])
        return
    (line,) = LineReader(NAMES).read([json.dumps(fields)])
    assert (line.series.path, line.series.test, line.series.parameters) == (wanted.path, wanted.test, wanted.parameters)
    assert (line.source, line.target, line.repeat, line.outcome) == (
        wanted.source,
        wanted.target,
        wanted.repeat,
        wanted.outcome,
    )
    key = {name: fields[name] for name in KEY_FIELDS}
    assert Cell.model_validate_json(json.dumps({**key, **json.loads(line.rest())})) == wanted


@pytest.mark.parametrize("number", [True, 1.0])
def test_parameters_that_only_look_alike_are_not_taken_for_one_another(number: object) -> None:
    one, other = ({**CELL, "parameters": {**KEY["parameters"], "streams": streams}} for streams in (1, number))
    reader = LineReader(NAMES)
    assert reader.read([json.dumps(one)])[0].series.parameters.streams == 1
    wanted = _model(other)
    if wanted is None:
        with pytest.raises(LineError):
            reader.read([json.dumps(other)])
    else:
        assert reader.read([json.dumps(other)])[0].series.parameters == wanted.parameters


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"values": {"bits_per_second": {"mean": "fast"}}},
            "bits_per_second.mean: input should be a valid number",
        ),
        ({"surprise": 1}, "surprise: there is no such field"),
        ({"source": "node-9"}, "source: the run has no node 'node-9'"),
        ({"target": "node-9"}, "target: the run has no node 'node-9'"),
        ({"test": "tcp-gossip"}, "test: there is no test 'tcp-gossip'"),
        ({"path": "pod-to-moon"}, "path: there is no path 'pod-to-moon'"),
        ({"outcome": "failed"}, "a failed cell has no reason"),
        ({"parameters": {"streams": 1}}, "parameters.instrument: it is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LineError) as caught:
        LineReader(NAMES).read([json.dumps(CELL), json.dumps({**CELL, **change})])
    assert words in str(caught.value)
    assert caught.value.index == 1


@pytest.mark.parametrize("line", ["{", "", '{"a": NaN}', "1", "null", "{}, {}"])
def test_a_line_that_is_no_object_is_named(line: str) -> None:
    with pytest.raises(LineError) as caught:
        LineReader(NAMES).read([json.dumps(CELL), line, json.dumps(CELL)])
    assert caught.value.index == 1


def test_arrays_are_the_same_from_lines_as_from_cells() -> None:
    cells = [
        *(Cell.model_validate(fields) for fields in DOCUMENT["cells"]),
        *(Cell.model_validate({**CELL, "repeat": repeat, "source": "node-2"}) for repeat in (1, 2)),
        Cell.model_validate({**CELL, "repeat": 3, "outcome": "failed", "reason": REASON, "values": {}}),
    ]
    outside = {**CELL, "path": "pod-to-external", "test": "tcp-connect", "target": "db"}
    outside |= {"values": {"connect_seconds": {"mean": 0.001}}}
    cells.append(Cell.model_validate(outside))
    batches = [[cell.model_dump_json() for cell in cells[:4]], [cell.model_dump_json() for cell in cells[4:]]]
    found, wanted = gather_lines(NODES, batches), gathered(NODES, cells)
    assert list(found) == list(wanted)
    for series, one in wanted.items():
        for mine, right in zip(found[series].tables(), one.tables(), strict=True):
            assert (mine.value, mine.sources, mine.targets) == (right.value, right.sources, right.targets)
            np.testing.assert_array_equal(mine.values, right.values)
            assert [[mine.reason(r, c) for c in range(len(mine.targets))] for r in range(len(mine.sources))] == [
                [right.reason(r, c) for c in range(len(right.targets))] for r in range(len(right.sources))
            ]
