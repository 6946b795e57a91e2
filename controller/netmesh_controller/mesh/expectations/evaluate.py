"""Whether a run is as expected, cell by cell. A planned cell without the number fails: nobody knows that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.expectations.parse import Expectation, ExpectationError
from netmesh_controller.mesh.readings import readings_of
from netmesh_controller.mesh.table import Series, Table

# Reasons in a matrix that say: nobody planned a cell here.
_NOT_PLANNED = frozenset({"not_scheduled", "not_applicable"})


@dataclass(frozen=True, slots=True)
class Miss:
    """A planned cell where an expectation does not hold: its number, in the SI unit, or why there is none."""

    series: Series
    source: str
    target: str
    repeat: int | None
    number: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an expectation: of `planned` cells, `misses` are those where it does not hold.

    An expectation of cells that nobody planned does not hold either.
    """

    expectation: Expectation
    planned: int
    misses: tuple[Miss, ...]

    @property
    def holds(self) -> bool:
        """Whether it holds in every planned cell, of which there is one at least."""
        return self.planned > 0 and not self.misses

    @property
    def gaps(self) -> int:
        """How many of the misses have no number."""
        return sum(miss.number is None for miss in self.misses)


def evaluate(expectations: Iterable[Expectation], tables: Sequence[Table], cells: Sequence[Cell]) -> list[Outcome]:
    """The outcomes over a run: its cells, and the tables of the mean, which know what was planned and never began.

    Without cells, as of a run of a million, only means can be looked at; ExpectationError for another statistic then.
    """
    found = []
    for expectation in expectations:
        of_test = [table for table in tables if _is_of(expectation, table.series)]
        if cells:
            found.append(_by_cells(expectation, of_test, [cell for cell in cells if cell.test == expectation.test]))
        else:
            found.append(_by_tables(expectation, of_test))
    return found


def _is_of(expectation: Expectation, series: Series) -> bool:
    return series.test == expectation.test and expectation.path in (None, series.path)


def _is_there(expectation: Expectation, source: str, target: str) -> bool:
    return expectation.where is None or (expectation.where == "local") == (source == target)


def _by_cells(expectation: Expectation, tables: Sequence[Table], cells: Iterable[Cell]) -> Outcome:
    planned, misses = 0, []
    seen: set[tuple[Series, str, str]] = set()
    for cell in cells:
        series = Series.of(cell)
        if not _is_of(expectation, series) or not _is_there(expectation, cell.source, cell.target):
            continue
        planned += 1
        seen.add((series, cell.source, cell.target))
        number, reason = _number(expectation, cell)
        if number is None or not expectation.holds(number):
            misses.append(Miss(series, cell.source, cell.target, cell.repeat, number, reason))
    headline = TESTS[expectation.test].headline
    for table in tables:
        if table.value != headline or table.statistic != "mean":
            continue
        for source, target, code in _gaps(expectation, table):
            if (table.series, source, target) not in seen:
                planned += 1
                misses.append(Miss(table.series, source, target, None, None, code))
    return Outcome(expectation, planned, tuple(misses))


def _number(expectation: Expectation, cell: Cell) -> tuple[float | None, str | None]:
    if cell.reason is not None:
        return None, f"{cell.reason.code}: {cell.reason.message}"
    by = cell.parameters.instrument
    if expectation.value in TESTS[expectation.test].host_values:
        read = readings_of(cell.test, by)[expectation.value](cell)
        return (None, read) if isinstance(read, str) else (read, None)
    summary = cell.values.get(expectation.value)
    if summary is None:
        return None, f"{by} gives no {expectation.value} here"
    number: float | None = getattr(summary, expectation.statistic)
    return number, None if number is not None else f"there is no {expectation.statistic} of {expectation.value} by {by}"


def _by_tables(expectation: Expectation, tables: Sequence[Table]) -> Outcome:
    if expectation.statistic != "mean":
        raise ExpectationError(expectation.text, "STATISTIC", "a run as large as this has means only")
    planned, misses = 0, []
    for table in tables:
        if table.value != expectation.value or table.statistic != "mean":
            continue
        for row, source in enumerate(table.sources):
            for column, target in enumerate(table.targets):
                if not _is_there(expectation, source, target):
                    continue
                reason = table.reason(row, column)
                if reason in _NOT_PLANNED:
                    continue
                planned += 1
                number = None if reason is not None else float(table.values[row, column])
                if number is None or not expectation.holds(number):
                    misses.append(Miss(table.series, source, target, None, number, reason))
    return Outcome(expectation, planned, tuple(misses))


def _gaps(expectation: Expectation, table: Table) -> Iterable[tuple[str, str, str]]:
    for row, source in enumerate(table.sources):
        for column, target in enumerate(table.targets):
            reason = table.reason(row, column)
            if reason is not None and reason not in _NOT_PLANNED and _is_there(expectation, source, target):
                yield source, target, reason
