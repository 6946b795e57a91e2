"""From cells to matrices: one value of one test over all ordered pairs, a number or a reason everywhere.

Rows are nodes; columns are nodes too, or on a path that leads out of the mesh the targets there.

Cells are read once, as a stream, and only sums are kept: a run of a thousand nodes has millions of cells.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from netmesh_controller.mesh.catalogue import COST_VALUES, TESTS, UNITS
from netmesh_controller.mesh.document import Cell, CellKey, Host, Matrix, Node, Parameters
from netmesh_controller.mesh.paths import PATHS

Pair = tuple[str, str]
_Reading = Callable[[Cell], "float | str"]

# Why a measured cell has no number for a value, but for few: only others are remembered by pair.
_USUAL = "not_supported"


@dataclass(frozen=True, slots=True)
class Series:
    """What the cells of one matrix have in common."""

    path: str
    test: str
    parameters: Parameters

    @classmethod
    def of(cls, cell: Cell | CellKey) -> Series:
        """The series that a cell belongs to."""
        return cls(cell.path, cell.test, cell.parameters)

    @classmethod
    def of_matrix(cls, matrix: Matrix) -> Series:
        """The series that a matrix shows a value of."""
        return cls(matrix.path, matrix.test, matrix.parameters)


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A sort key that puts node-2 before node-10."""
    parts = re.split(r"(\d+)", name)
    # Text and numbers alternate and text comes first, so that two keys always compare like with like.
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """The nodes by zone, then by name, both in natural order; nodes without a zone come first."""
    return sorted(nodes, key=lambda node: (natural(node.zone or ""), natural(node.name)))


def expected_pairs(planned: Iterable[CellKey]) -> dict[Series, set[Pair]]:
    """The pairs of each series that planned cells are of, as `matrices` wants them."""
    expected: dict[Series, set[Pair]] = {}
    for key in planned:
        expected.setdefault(Series.of(key), set()).add((key.source, key.target))
    return expected


def matrices(
    nodes: Iterable[Node], cells: Iterable[Cell], expected: Mapping[Series, Collection[Pair]] | None = None
) -> list[Matrix]:
    """The matrices of a run; the statistic is the mean over repeats of each repeat's mean.

    `expected` has the pairs (source, target) that the plan measures, by series: a pair of it without a cell is a
    gap `cancelled`, any other without a cell is `not_applicable` where its path has no such cell, else
    `not_scheduled`. A pair with measured repeats shows the mean of those that give the value, `not_supported`
    where none gives it; a pair without has the reason of its first repeat that failed.

    ValueError where a cell names a node that is not among `nodes`; KeyError for a path or a test that is not known.
    """
    names = [node.name for node in in_order(nodes)]
    series: dict[Series, _Tally] = {each: _Tally(each, names) for each in expected or ()}
    for cell in cells:
        key = Series.of(cell)
        if key not in series:
            series[key] = _Tally(key, names)
        series[key].add(cell)
    made: list[Matrix] = []
    for key in sorted(series, key=_place):
        made.extend(series[key].matrices(frozenset((expected or {}).get(key, ()))))
    return made


def _place(series: Series) -> tuple[str, int, str]:
    return series.path, list(TESTS).index(series.test), series.parameters.model_dump_json()


def _value(name: str, cell: Cell) -> float | str:
    summary = cell.values.get(name)
    return _USUAL if summary is None else summary.mean


def _cost(name: str, cell: Cell) -> float | str:
    end, field = name.split("_", 1)
    host: Host | None = getattr(cell.hosts, end)
    if host is None:
        return _USUAL
    cost: float | None = getattr(host, field)
    if cost is not None:
        return cost
    if field == "cpu_seconds_per_gigabyte":
        return "shared_host" if host.shared_host else "too_small"
    # Where the tool was seen, its time did not grow by a tick.
    return "too_small" if "tool_max" in host.memory_bytes else _USUAL


def _busy_cores(cell: Cell) -> float | str:
    cores = cell.hosts.source.cpu_cores if cell.hosts.source is not None else None
    return _USUAL if cores is None else cores.busy


def _available_memory(cell: Cell) -> float | str:
    memory = cell.hosts.source.memory_bytes if cell.hosts.source is not None else {}
    return memory.get("available_min", _USUAL)


_HOST_READINGS: dict[str, _Reading] = {
    "busy_cores": _busy_cores,
    "available_memory_bytes": _available_memory,
    **{name: partial(_cost, name) for name in COST_VALUES},
}


def _readings(test: str) -> dict[str, _Reading]:
    """How each value of a test's matrices is read from a measured cell: a number, or the reason for none."""
    kind = TESTS[test]
    of_hosts = {name: _HOST_READINGS[name] for name in kind.host_values}
    return {**{name: partial(_value, name) for name in kind.values}, **of_hosts}


class _Tally:
    """Sums and counts of one series over all pairs, columns after one another.

    Columns are the nodes; where targets are outside of the mesh, they are added as they come.
    """

    def __init__(self, series: Series, names: Sequence[str]) -> None:
        self._series = series
        self._names = list(names)
        self._row = {name: index for index, name in enumerate(names)}
        self._outside = PATHS[series.path].outside is not None and TESTS[series.test].kind != "idle"
        self._column: dict[str, int] = {}
        self._readings = _readings(series.test)
        self._sums = {value: array("d") for value in self._readings}
        self._counts = {value: array("L") for value in self._readings}
        self._measured = bytearray()
        self._failed: dict[int, tuple[int, str]] = {}  # by place: the first repeat that failed, and why
        self._missing: dict[tuple[str, int], str] = {}  # by value and place: why measured cells do not give it
        if not self._outside:
            self._add_columns(names)

    def add(self, cell: Cell) -> None:
        place = self._at(cell.source, cell.target)
        if cell.reason is not None:
            self._failed[place] = min((cell.repeat, cell.reason.code), self._failed.get(place, (cell.repeat + 1, "")))
            return
        self._measured[place] = 1
        for value, read in self._readings.items():
            reading = read(cell)
            if isinstance(reading, str):
                if reading != _USUAL:
                    self._missing[value, place] = reading
            else:
                self._sums[value][place] += reading
                self._counts[value][place] += 1

    def matrices(self, expected: frozenset[Pair]) -> Iterator[Matrix]:
        if self._outside:
            self._add_columns({target for _, target in expected} - self._column.keys())
        targets = sorted(self._column, key=natural) if self._outside else self._names
        absent = [[self._absent(source, target, expected) for target in targets] for source in self._names]
        places = [[self._at(source, target) for target in targets] for source in self._names]
        for value in self._readings:
            entries = [
                [self._entry(value, place, why) for place, why in zip(row, reasons, strict=True)]
                for row, reasons in zip(places, absent, strict=True)
            ]
            yield Matrix(
                path=self._series.path,
                test=self._series.test,
                parameters=self._series.parameters,
                value=value,
                statistic="mean",
                unit=UNITS[value],
                sources=self._names,
                targets=targets,
                values=[[number for number, _ in row] for row in entries],
                reasons=[[reason for _, reason in row] for row in entries],
            )

    def _add_columns(self, names: Iterable[str]) -> None:
        added = list(names)
        for name in added:
            self._column[name] = len(self._column)
        size = len(added) * len(self._names)
        self._measured.extend(bytes(size))
        for value in self._readings:
            self._sums[value].frombytes(bytes(8 * size))
            self._counts[value].frombytes(bytes(self._counts[value].itemsize * size))

    def _entry(self, value: str, place: int, absent: str) -> tuple[float | None, str | None]:
        if count := self._counts[value][place]:
            return self._sums[value][place] / count, None
        if self._measured[place]:
            return None, self._missing.get((value, place), _USUAL)
        return None, self._failed[place][1] if place in self._failed else absent

    def _absent(self, source: str, target: str, expected: frozenset[Pair]) -> str:
        """Why a pair has no cell at all."""
        if (source, target) in expected:
            return "cancelled"
        return "not_scheduled" if self._outside or self._has_cell(local=source == target) else "not_applicable"

    def _has_cell(self, *, local: bool) -> bool:
        if TESTS[self._series.test].kind == "idle":
            return local
        path = PATHS[self._series.path]
        return (path.local if local else path.remote) is not None

    def _at(self, source: str, target: str) -> int:
        if self._outside and target not in self._column:
            self._add_columns([target])
        for name, known in ((source, self._row), (target, self._column)):
            if name not in known:
                raise ValueError(f"a cell names the node '{name}', which the run has not")
        return self._column[target] * len(self._names) + self._row[source]
