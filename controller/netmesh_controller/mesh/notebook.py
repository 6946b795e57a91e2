"""A run document as numpy arrays, in one call, for notebooks and scripts: docs/notebook.md has shapes and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, Any, TypeVar

from pydantic_core import from_json

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.chunks import ZSTANDARD, lines_of, unpacked
from netmesh_controller.mesh.columns import Columns
from netmesh_controller.mesh.document import SCHEMA, Finding, Node, Run, RunDocument
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.lines import LineReader
from netmesh_controller.mesh.matrix import in_order, tables
from netmesh_controller.mesh.table import Floats, Series, Table, from_document

_CHUNK_BYTES = 1 << 18
_CELLS_AT_ONCE = 5000
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, eq=False)
class RunArrays:
    """A run in arrays. Rows of every table are `nodes`, by zone and then by name; `zones` has the zone of each.

    `tables` are the run's matrices, each with values (n, n) and reasons (n, n); `gathered` has single repeats, by
    series.
    """

    run: Run
    nodes: tuple[Node, ...]
    tables: tuple[Table, ...]
    findings: tuple[Finding, ...]
    gathered: Mapping[Series, Gathered]

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names, in the order of rows."""
        return tuple(node.name for node in self.nodes)

    @property
    def zones(self) -> tuple[str | None, ...]:
        """The nodes' zones, in the order of rows."""
        return tuple(node.zone for node in self.nodes)

    def table(self, test: str, value: str | None = None, path: str | None = None, **parameters: Any) -> Table:
        """The one table of a test; `value` is the test's first where it is not given.

        `parameters` are those of cells, such as `instrument="qperf"`. ValueError names what there is where no table or
        more than one is meant; KeyError where there is no such test.
        """
        wanted = TESTS[test].headline if value is None else value
        found = [table for table in self.tables if table.value == wanted and _is(table.series, test, path, parameters)]
        return _one(found, [table.series for table in self.tables if table.value == wanted])

    def repeats(self, test: str, value: str | None = None, path: str | None = None, **parameters: Any) -> Floats:
        """Each repeat's mean of a value, (repeats, n, n), NaN where there is none; otherwise as `table`."""
        found = [one for series, one in self.gathered.items() if _is(series, test, path, parameters)]
        return _one(found, list(self.gathered)).repeats(TESTS[test].headline if value is None else value)


def arrays(source: bytes | str | IO[bytes] | Mapping[str, Any]) -> RunArrays:
    """The arrays of a run document: a file that is open for reading bytes, its content, or the parsed document.

    Files may be `run.json`, `run.jsonl` and `run.jsonl.zst`; the last two are read as a stream. ValueError where it is
    no run document (its subclasses ValidationError and LineError name the field), EOFError where it is cut short.
    """
    if isinstance(source, Mapping):
        return _from_document(source)
    lines = lines_of(_plain(_chunks(source)))
    first = next(lines, b"")
    try:
        head = from_json(first, allow_inf_nan=False)
    except ValueError:
        # A document on many lines.
        return _from_document(from_json(b"\n".join([first, *lines]), allow_inf_nan=False))
    if isinstance(head, dict) and "cells" in head:
        return _from_document(head)
    return _made(_head(head), _batches(lines), objects=False)


def _from_document(document: Any) -> RunArrays:
    cells = document.get("cells", ()) if isinstance(document, Mapping) else ()
    return _made(_head(document), _batches(iter(cells)), objects=True)


def _head(document: Any) -> RunDocument:
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ValueError(f"this is no run document: its schema should be '{SCHEMA}'")
    return RunDocument.model_validate({"matrices": [], **document, "cells": []})


def _made(head: RunDocument, batches: Iterable[Sequence[Any]], *, objects: bool) -> RunArrays:
    reader, columns = LineReader([node.name for node in head.nodes]), Columns(head.nodes)
    for batch in batches:
        if objects:
            columns.add(reader.read_objects(batch))
        else:
            columns.add_batch(reader.batch(batch))
    gathered = columns.gathered()
    # A document's own matrices know which pairs were planned; a stream of cells has none.
    made = [from_document(matrix) for matrix in head.matrices] or tables(head.nodes, gathered)
    return RunArrays(head.run, tuple(in_order(head.nodes)), tuple(made), tuple(head.findings), gathered)


def _chunks(source: bytes | str | IO[bytes]) -> Iterator[bytes]:
    if isinstance(source, str | bytes):
        yield source.encode() if isinstance(source, str) else source
        return
    while chunk := source.read(_CHUNK_BYTES):
        yield chunk


def _plain(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    whole = chain([first], chunks)
    return unpacked(whole) if first.startswith(ZSTANDARD) else whole


def _batches(items: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(items, _CELLS_AT_ONCE)):
        yield batch


def _is(series: Series, test: str, path: str | None, parameters: Mapping[str, Any]) -> bool:
    if series.test != test or (path is not None and series.path != path):
        return False
    return all(getattr(series.parameters, name) == wanted for name, wanted in parameters.items())


def _one(found: Sequence[_Found], there: Sequence[Series]) -> _Found:
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"{one.test}, {one.path}, {one.parameters.instrument}" for one in dict.fromkeys(there))
    raise ValueError(f"{'nothing' if not found else f'{len(found)} of them'} fits; there is {known or 'nothing'}")
