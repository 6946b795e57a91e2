"""Cells as rows, and back. A row's text is put together to a cell's without being read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

from pydantic import TypeAdapter

from netmesh_controller.mesh.alike import Alike
from netmesh_controller.mesh.document import Cell, CellKey
from netmesh_controller.mesh.matrix import Series

KEY_FIELDS: frozenset[str] = frozenset(CellKey.model_fields)
_CELLS = TypeAdapter(tuple[Cell, ...])
_AT_ONCE = 50


class CellRow(NamedTuple):
    """A cell as it is stored: its key, its outcome, and all else as JSON without defaults."""

    series: Series
    source: str
    target: str
    repeat: int
    outcome: str
    rest: str


# Of one series: source, target, repeat, outcome and rest of each cell.
Block = Sequence[tuple[str, str, int, str, str]]


def block_of(alike: Alike) -> Block:
    """The cells that were read in columns."""
    return list(zip(alike.sources, alike.targets, alike.repeats, repeat("measured"), alike.rests(), strict=False))


def row_of(cell: Cell) -> CellRow:
    """The row of a cell."""
    rest = cell.model_dump_json(exclude=set(KEY_FIELDS), exclude_defaults=True)
    return CellRow(Series.of(cell), cell.source, cell.target, cell.repeat, cell.outcome, rest)


def parameters_text(series: Series) -> str:
    """A series' parameters, whole, always in the same order: two that are equal have the same text."""
    return series.parameters.model_dump_json()


@dataclass(frozen=True, slots=True)
class SeriesText:
    """The beginning of the JSON of each cell of a series."""

    beginning: str

    @classmethod
    def of(cls, path: str, test: str, parameters: str) -> SeriesText:
        """From a row of `series`."""
        return cls(f'{{"path":{json.dumps(path)},"test":{json.dumps(test)},"parameters":{parameters}')

    def cell(self, source: str, target: str, repeat: int, rest: str) -> str:
        """The JSON of a cell, from a row of `cells`."""
        key = f'"source":{_quoted(source)},"target":{_quoted(target)},"repeat":{repeat}'
        return f"{self.beginning},{key},{rest[1:]}"


@lru_cache(maxsize=20_000)
def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def parsed(texts: Sequence[str]) -> tuple[Cell, ...]:
    """The cells of these texts."""
    found: list[Cell] = []
    # A few at a time, some milliseconds: no other thread runs meanwhile, and another one answers requests.
    for begin in range(0, len(texts), _AT_ONCE):
        found += _CELLS.validate_json(f"[{','.join(texts[begin : begin + _AT_ONCE])}]")
    return tuple(found)
