"""What a report shows of a run: tables by statistic, reasons in sentences, distributions, and how it was measured."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.document import Cell, Finding, Node, Run, RunDocument
from netmesh_controller.mesh.matrix import in_order
from netmesh_controller.mesh.paths import BASELINE_PATH
from netmesh_controller.mesh.share import Share, shares
from netmesh_controller.mesh.statistics.repeats import over_repeats
from netmesh_controller.mesh.table import Series, Table, from_document
from netmesh_controller.surfaces.reports.observations import Observations, observed

# Statistics beside the mean over repeats; what several repeats say of a percentile is read from all their observations.
STATISTICS: tuple[str, ...] = ("median", "min", "p10", "p50", "p90", "p99", "p999", "max", "stdev")
# Of a mesh of more nodes only these are in the HTML: a million numbers each.
LARGE_MESH = 250
LARGE_STATISTICS: frozenset[str] = frozenset({"median", "p99", "max"})
# Why a measured cell gives no such statistic.
NO_STATISTIC = "not_supported"
_MOST_MESSAGES = 5000


@dataclass(slots=True)
class SeriesContent:
    """One path, test and set of parameters.

    `tables` has the tables by value and statistic, the test's headline first and `mean` always there. `repeats` (uint8,
    sources by targets) counts the measured repeats. `messages` has the sentence of a pair's first gap, for the first
    few thousand. The commands are one example; versions are those of the measuring tool that occur.
    """

    series: Series
    tables: dict[str, dict[str, Table]]
    repeats: NDArray[np.uint8]
    messages: dict[tuple[int, int], str] = field(default_factory=dict)
    observations: dict[str, Observations] = field(default_factory=dict)
    commands: tuple[str | None, str | None] = (None, None)
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A run as it is read: its tables of the mean, its cells, and how many cells had which outcome.

    `cells` may be empty where a run is too large for them: then reports show means and reasons alone.
    """

    run: Run
    nodes: Sequence[Node]
    findings: Sequence[Finding]
    tables: Sequence[Table]
    cells: Sequence[Cell]
    outcomes: Mapping[str, int]

    @classmethod
    def of(cls, document: RunDocument) -> Source:
        """A run document."""
        return cls(
            document.run,
            document.nodes,
            document.findings,
            [from_document(matrix) for matrix in document.matrices],
            document.cells,
            Counter(cell.outcome for cell in document.cells),
        )

    @property
    def head(self) -> RunDocument:
        """The document without its cells and matrices."""
        return RunDocument(run=self.run, nodes=list(self.nodes), cells=[], matrices=[], findings=list(self.findings))

    @property
    def document(self) -> RunDocument:
        """All of it as one document; of a large mesh its matrices take far more memory than the tables."""
        made = [table.document() for table in self.tables]
        return self.head.model_copy(update={"cells": list(self.cells), "matrices": made})


@dataclass(frozen=True, slots=True)
class Content:
    """A run to be reported on; nodes by zone and name, `shares` where the hosts' own network was measured too."""

    run: Run
    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...]
    series: tuple[SeriesContent, ...]
    outcomes: Mapping[str, int]
    shares: tuple[Share, ...]


def content_of(source: Source) -> Content:
    """What a run has to show."""
    tables: dict[Series, dict[str, Table]] = {}
    for table in source.tables:
        tables.setdefault(table.series, {})[table.value] = table
    cells: dict[Series, list[Cell]] = defaultdict(list)
    for cell in source.cells:
        cells[Series.of(cell)].append(cell)
    large = len(source.nodes) > LARGE_MESH
    found: list[Share] = []
    if any(series.path == BASELINE_PATH for series in tables):
        found = shares(source.tables, source.cells)
    return Content(
        source.run,
        tuple(in_order(source.nodes)),
        tuple(source.findings),
        tuple(_series(series, of_value, cells[series], large=large) for series, of_value in tables.items()),
        source.outcomes,
        tuple(found),
    )


def _series(series: Series, means: Mapping[str, Table], cells: Sequence[Cell], *, large: bool) -> SeriesContent:
    first = next(iter(means.values()))
    rows = {name: place for place, name in enumerate(first.sources)}
    columns = {name: place for place, name in enumerate(first.targets)}
    # Without cells a number shows that it was measured once at least.
    repeats = np.zeros(first.values.shape, dtype=np.uint8) if cells else first.known.astype(np.uint8)
    by_place: dict[tuple[int, int], list[Cell]] = defaultdict(list)
    messages: dict[tuple[int, int], str] = {}
    for cell in sorted(cells, key=lambda one: one.repeat):
        place = rows[cell.source], columns[cell.target]
        if cell.reason is None:
            repeats[place] = min(int(repeats[place]) + 1, 255)
            by_place[place].append(cell)
        elif len(messages) < _MOST_MESSAGES:
            messages.setdefault(place, cell.reason.message)
    wanted = [name for name in STATISTICS if not large or name in LARGE_STATISTICS]
    tables = {value: {"mean": table, **_statistics(table, value, by_place, wanted)} for value, table in means.items()}
    measured = [cell for cell in cells if cell.outcome == "measured"]
    example = measured[0].tool if measured else None
    return SeriesContent(
        series,
        tables,
        repeats,
        # A pair that has a measured repeat is no gap.
        {place: text for place, text in messages.items() if not repeats[place]},
        observed(measured),
        (example.command_source, example.command_target) if example is not None else (None, None),
        tuple(sorted({cell.tool.version for cell in measured if cell.tool.version})),
    )


def _statistics(
    mean: Table, value: str, by_place: Mapping[tuple[int, int], Sequence[Cell]], wanted: Iterable[str]
) -> dict[str, Table]:
    layers = {name: np.full(mean.values.shape, np.nan) for name in wanted}
    for place, cells in by_place.items():
        for name, number in _of_pair(cells, value).items():
            if name in layers and number is not None:
                layers[name][place] = number
    return {name: _table(mean, name, layer) for name, layer in layers.items() if np.isfinite(layer).any()}


def _of_pair(cells: Sequence[Cell], value: str) -> dict[str, float | None]:
    """The statistics of one pair; of several repeats, percentiles are those of all observations, or unknown."""
    summaries = [summary for cell in cells if (summary := cell.values.get(value)) is not None]
    if not summaries:
        return {}
    if len(summaries) == 1:
        return summaries[0].model_dump(exclude={"mean", "count"})
    repeats = over_repeats(cells, value)
    if repeats is None:
        return {}
    least = [summary.min for summary in summaries]
    most = [summary.max for summary in summaries]
    return {
        **repeats.percentiles,
        "median": repeats.median,
        "stdev": repeats.within_stdev,
        "min": None if None in least else min(number for number in least if number is not None),
        "max": None if None in most else max(number for number in most if number is not None),
    }


def _table(mean: Table, statistic: str, values: NDArray[np.float64]) -> Table:
    codes = mean.codes if NO_STATISTIC in mean.codes else (*mean.codes, NO_STATISTIC)
    reasons = np.where(np.isfinite(values), 0, np.where(mean.reasons > 0, mean.reasons, codes.index(NO_STATISTIC)))
    return Table(
        mean.series,
        mean.value,
        statistic,
        mean.unit,
        mean.sources,
        mean.targets,
        values,
        reasons.astype(np.uint8),
        codes,
    )
