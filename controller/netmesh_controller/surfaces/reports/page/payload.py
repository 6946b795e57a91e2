"""The report's data for its page: names and words as JSON, matrices as deflated arrays, not as text.

An array travels as base64 of a zlib stream (RFC 1950) of its little-endian bytes, all first bytes of its numbers, then
all second ones and so on: numbers of one size then deflate to about half.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER, REASONS
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.reports.content import Content, SeriesContent
from netmesh_controller.surfaces.reports.page.markup import Markup, element
from netmesh_controller.surfaces.terminal.words import in_general, label, parameters_in_words

# What deflates numbers of float32 hardly changes with more effort.
_EFFORT = 3
_NO_STATISTIC = "the cell does not give this statistic: one figure only, or too few observations for it"


class Payload:
    """The data blocks of a page. `blocks` are to stand in it before its scripts run."""

    def __init__(self, content: Content) -> None:
        self._arrays: list[Markup] = []
        self._known: dict[bytes, str] = {}
        fields = {
            "nodes": [{"name": node.name, "zone": node.zone} for node in content.nodes],
            "codes": {code: in_general(code) for code in sorted(REASONS)},
            "noStatistic": _NO_STATISTIC,
            "series": [self._series(one) for one in content.series],
        }
        self._json = json.dumps(fields, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")

    def blocks(self) -> Iterator[Markup]:
        """The JSON, then the arrays."""
        yield element("script", Markup(self._json), type="application/json", id="netmesh-report")
        yield from self._arrays

    def _series(self, one: SeriesContent) -> dict[str, Any]:
        first = next(iter(one.tables.values()))["mean"]
        words = parameters_in_words(one.series.parameters)
        width = len(first.targets)
        return {
            "path": one.series.path,
            "test": one.series.test,
            "words": words,
            "title": f"{one.series.test}, {words}",
            "targets": None if first.targets == first.sources else list(first.targets),
            "repeats": self._array(one.repeats, "u1"),
            "values": [
                {
                    "name": value,
                    "label": label(value),
                    "unit": of_value["mean"].unit,
                    "more": value in MORE_IS_BETTER,
                    "statistics": {name: self._table(table) for name, table in of_value.items()},
                }
                for value, of_value in one.tables.items()
            ],
            "messages": {str(row * width + column): said for (row, column), said in one.messages.items()},
            "observations": {
                value: {"values": seen.values, "above": seen.above, "count": seen.count}
                for value, seen in one.observations.items()
            },
        }

    def _table(self, table: Table) -> dict[str, Any]:
        return {
            "numbers": self._array(table.values.astype("<f4"), "f4"),
            "reasons": self._array(table.reasons, "u1"),
            "codes": table.codes,
        }

    def _array(self, numbers: NDArray[Any], kind: str) -> dict[str, str]:
        planes = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8).reshape(-1, numbers.dtype.itemsize).T
        deflated = zlib.compress(np.ascontiguousarray(planes).tobytes(), _EFFORT)
        # Many are alike: reasons of all values, repeats of all tests.
        name = self._known.get(deflated)
        if name is None:
            name = self._known[deflated] = f"array-{len(self._known)}"
            block = Markup(base64.b64encode(deflated).decode())
            self._arrays.append(element("script", block, type="application/octet-stream", id=name))
        return {"id": name, "kind": kind}
