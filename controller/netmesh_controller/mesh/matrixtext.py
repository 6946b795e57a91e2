"""A matrix as it stands in the run document, as text in pieces: of a thousand nodes it is tens of megabytes whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import TypeAdapter

from netmesh_controller.mesh.document import Finite, Matrix
from netmesh_controller.mesh.table import Table

_ROWS_AT_ONCE = 50
_NUMBERS: TypeAdapter[list[list[float | None]]] = TypeAdapter(list[list[Finite | None]])
_CODES: TypeAdapter[list[list[str | None]]] = TypeAdapter(list[list[str | None]])


def matrix_text(matrix: Matrix | Table) -> Iterator[str]:
    """The JSON of a matrix, a part after the other; of a table that of its document."""
    if isinstance(matrix, Matrix):
        yield matrix.model_dump_json()
        return
    head = matrix.rows(0, 0).model_dump_json()
    # What comes last are the two fields of rows.
    yield head.removesuffix('"values":[],"reasons":[]}')
    yield '"values":['
    yield from _rows(matrix, lambda part: _NUMBERS.dump_json(part.values))
    yield '],"reasons":['
    yield from _rows(matrix, lambda part: _CODES.dump_json(part.reasons))
    yield "]}"


def _rows(table: Table, written: Callable[[Matrix], bytes]) -> Iterator[str]:
    for begin in range(0, len(table.sources), _ROWS_AT_ONCE):
        if begin:
            yield ","
        yield written(table.rows(begin, begin + _ROWS_AT_ONCE)).decode()[1:-1]
