"""One value of one cell over its repeats: how it varies within a test, and between tests, kept apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.statistics.intervals import Interval, mean_interval, within_test_interval
from netmesh_controller.mesh.statistics.merged import merged_percentiles, pooled_percentiles
from netmesh_controller.mesh.statistics.robust import interquartile_range, mad
from netmesh_controller.mesh.statistics.summary import median


@dataclass(frozen=True, slots=True)
class Repeats:
    """A value over the repeats that measured it; unit as in the cells. None: not known, never 0.

    `between` is Student's interval of the mean over repeats (two at least), `between_stdev` the repeats' standard
    deviation; `mad` and `iqr` are their robust spread. `within_stdev` is the typical (root mean square) spread of the
    readings inside one test; `within` the batch-means interval of a single test's mean, where there is one repeat.
    `percentiles` are of all observations together, `observations` how many; empty where a repeat kept none.
    """

    means: tuple[float, ...]
    mean: float
    median: float
    between: Interval | None = None
    between_stdev: float | None = None
    mad: float | None = None
    iqr: float | None = None
    within_stdev: float | None = None
    within: Interval | None = None
    percentiles: Mapping[str, float] = field(default_factory=dict)
    observations: int = 0


def over_repeats(cells: Sequence[Cell], value: str) -> Repeats | None:
    """What the repeats of one cell say of a value; None where no measured one gives it.

    Cells that are not measured are left out: a discarded figure is none.
    """
    given = [(cell, summary) for cell in cells if cell.outcome == "measured" and (summary := cell.values.get(value))]
    if not given:
        return None
    means = [summary.mean for _, summary in given]
    between = mean_interval(means)
    several = len(means) > 1
    stdevs = [summary.stdev for _, summary in given]
    known = [stdev for stdev in stdevs if stdev is not None]
    percentiles, observations = _percentiles([cell for cell, _ in given], value)
    return Repeats(
        means=tuple(means),
        mean=math.fsum(means) / len(means),
        median=median(means),
        between=between,
        between_stdev=None
        if between is None
        else math.sqrt(math.fsum((one - between.mean) ** 2 for one in means) / (len(means) - 1)),
        mad=mad(means) if several else None,
        iqr=interquartile_range(means) if several else None,
        within_stdev=math.sqrt(math.fsum(one * one for one in known) / len(known))
        if len(known) == len(stdevs)
        else None,
        within=None if several else within_test_interval(given[0][0].intervals.get(value, ())),
        percentiles=percentiles,
        observations=observations,
    )


def _percentiles(cells: Sequence[Cell], value: str) -> tuple[Mapping[str, float], int]:
    """From what every repeat kept: histograms first, which have all observations, else the readings."""
    if all(value in cell.histograms for cell in cells):
        return merged_percentiles(cell.histograms[value] for cell in cells)
    if all(cell.intervals.get(value) for cell in cells):
        return pooled_percentiles(cell.intervals[value] for cell in cells)
    return {}, 0
