"""Cells as lines of JSON, read by the thousand: checked as the run document's model checks, without an object each.

A line that holds values and nothing else beside its key is checked by hand (`simple_lines`); whatever is not as simple
as that is given to the model. What passes here passes there too (a test holds them against each other).
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from netmesh_controller.mesh.alike import REST_FIELDS, Alike, Template, template_of
from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, Parameters
from netmesh_controller.mesh.paths import PATHS
from netmesh_controller.mesh.simple_lines import KEY_FIELDS, is_simple
from netmesh_controller.mesh.table import Series

# Read one by one before what is learnt of them is tried on the others.
_FIRST_LINES = 50
_MOST_TEMPLATES = 64
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cycles, a third of the time where thousands of small objects are made: they have none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class LineError(ValueError):
    """A line is no cell; `field` names what is wrong in it, `index` is its place among the lines that were given."""

    def __init__(self, index: int, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.index = index


class Line(NamedTuple):
    """A cell that was read. `fields` is its JSON; `cell` is None where the line was simple."""

    series: Series
    source: str
    target: str
    repeat: int
    fields: dict[str, Any]
    cell: Cell | None

    @property
    def outcome(self) -> str:
        """The cell's outcome."""
        return str(self.fields["outcome"])

    def rest(self) -> str:
        """What is not part of the key, as JSON without the fields that have their default."""
        if self.cell is not None:
            return self.cell.model_dump_json(exclude=set(KEY_FIELDS), exclude_defaults=True)
        fields = self.fields
        kept = {name: fields[name] for name in REST_FIELDS if fields.get(name) is not None and fields[name] != {}}
        return _encode(kept)


class Batch(NamedTuple):
    """Cells that were read: most in columns, `lines` one by one."""

    alike: Sequence[Alike]
    lines: Sequence[Line]

    @property
    def cells(self) -> int:
        """How many cells."""
        return sum(map(len, self.alike)) + len(self.lines)


@dataclass(frozen=True, slots=True)
class _Names:
    known: frozenset[str]

    def wrong(self, series: Series, source: str, target: str) -> tuple[str, str] | None:
        """The field that names a node which the run has not, and what it should be."""
        if source not in self.known:
            return "source", f"the run has no node '{source}'"
        if target not in self.known and PATHS[series.path].outside is None:
            return "target", f"the run has no node '{target}'"
        return None

    def fit(self, alike: Alike) -> bool:
        """Whether the run has all nodes that are named."""
        return self.known.issuperset(alike.sources) and (
            PATHS[alike.series.path].outside is not None or self.known.issuperset(alike.targets)
        )


class LineReader:
    """Reads the cells of one run, whose nodes have these names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = _Names(frozenset(names))
        self._series: dict[tuple[Any, ...], Series] = {}
        # The last one that lines were like comes first.
        self._templates: list[Template] = []

    def batch(self, lines: Sequence[bytes | str]) -> Batch:
        """As `read`, thousands of cells that are alike at once; which those are is learnt from those before."""
        try:
            text = "\n".join(line if isinstance(line, str) else line.decode() for line in lines)
        except UnicodeDecodeError:
            return Batch((), self.read(lines))
        try:
            with uncollected():
                found = self._batch(text)
        except LineError:
            self.read(lines)  # says which of all lines it is
            raise
        # A line may hold a line's end, and be JSON.
        fits = found.cells == len(lines) and all(map(self._names.fit, found.alike))
        return found if fits else Batch((), self.read(lines))

    def _batch(self, text: str) -> Batch:
        alike: list[Alike] = []
        lines: list[Line] = []
        fresh, portion = list(self._templates), _FIRST_LINES
        while True:
            others = text.split("\n") if not fresh else []
            for template in fresh:
                some, others = template.split(text)
                if some is not None:
                    alike.append(some)
                    self._templates.remove(template)
                    self._templates.insert(0, template)
                if not others:
                    return Batch(alike, lines)
                text = "\n".join(others)
            slow, left = others[:portion], others[portion:]
            read = self.read(slow)
            lines += read
            if not left:
                self._learn(slow, read)
                return Batch(alike, lines)
            fresh = self._learn(slow, read)
            portion = portion if fresh else 4 * portion
            text = "\n".join(left)

    def _learn(self, texts: Sequence[str], lines: Sequence[Line]) -> list[Template]:
        """Templates of series that have none yet."""
        found: dict[int, Template] = {}
        for text, line in zip(texts, lines, strict=True):
            if line.cell is None and id(line.series) not in found and len(self._templates) < _MOST_TEMPLATES:
                template = template_of(line.series, text, line.fields)
                if template is not None:
                    found[id(line.series)] = template
                    self._templates.append(template)
        return list(found.values())

    def read(self, lines: Sequence[bytes | str]) -> list[Line]:
        """The cells of these lines, one a line; LineError for the first that is none."""
        with uncollected():
            return self.read_objects(_objects(lines))

    def read_objects(self, objects: Sequence[Any]) -> list[Line]:
        """As `read`, of JSON that is parsed already."""
        with uncollected():
            return [self._line(index, fields) for index, fields in enumerate(objects)]

    def _line(self, index: int, fields: Any) -> Line:
        cell: Cell | None = None
        series = self._series_of(fields) if isinstance(fields, dict) else None
        if series is None or not is_simple(fields):
            try:
                cell = Cell.model_validate(fields)
            except ValidationError as error:
                raise LineError(index, *first_wrong(error)) from error
            series = Series.of(cell)
            for what, name, known in (("path", cell.path, PATHS), ("test", cell.test, TESTS)):
                if name not in known:
                    raise LineError(index, what, f"there is no {what} '{name}'")
            fields = {"outcome": cell.outcome}
            source, target, repeat = cell.source, cell.target, cell.repeat
        else:
            source, target, repeat = fields["source"], fields["target"], fields["repeat"]
        wrong = self._names.wrong(series, source, target)
        if wrong is not None:
            raise LineError(index, *wrong)
        return Line(series, source, target, repeat, fields, cell)

    def _series_of(self, fields: Mapping[str, Any]) -> Series | None:
        """The series, made once; None where its fields are not what they should be."""
        try:
            key = (fields["path"], fields["test"], *fields["parameters"].items())
            known = self._series.get(key)
        except (KeyError, AttributeError, TypeError):
            return None
        if known is None:
            path, test = key[:2]
            if path not in PATHS or test not in TESTS:
                return None
            try:
                known = Series(path, test, Parameters.model_validate(fields["parameters"]))
            except ValidationError:
                return None
            if any(type(value) is bool or type(value) is float for _, value in key[2:]):
                return known  # equal to an integer as a key, and not the same
            self._series[key] = known
        return known


def first_wrong(error: ValidationError) -> tuple[str, str]:
    """The field that a model does not take, and why, in words."""
    first = error.errors()[0]
    field = ""
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    if first["type"] == "extra_forbidden":
        return field, "there is no such field"
    if first["type"] == "missing":
        return field, "it is missing"
    message = str(first.get("ctx", {}).get("error", "") or first["msg"])
    message = message[0].lower() + message[1:]
    given = first["input"]
    if isinstance(given, str | int | float) or given is None:
        message += f", not {json.dumps(given)[:60]}"
    return field, message


def _objects(lines: Sequence[bytes | str]) -> list[Any]:
    whole = b"[" + b",".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"]"
    try:
        found: list[Any] = from_json(whole, allow_inf_nan=False)
    except ValueError:
        found = []
    if len(found) == len(lines):
        return found
    # Which one it is is asked only now; two on one line, or one on two, are none.
    for index, line in enumerate(lines):
        try:
            found.append(from_json(line, allow_inf_nan=False))
        except ValueError as error:
            raise LineError(index, "", f"it is no JSON ({error})") from error
    return found[-len(lines) :]
