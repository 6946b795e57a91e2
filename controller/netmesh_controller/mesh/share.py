"""Each path's share of the host baseline: what is left of the hosts' own bandwidth, and what a path adds.

Like is compared with like: the same pair of nodes, the same test, the same parameters, once on the path and once
between the hosts. The figure of a path is the median over its pairs, so that it is no nodes' average: a slow pair is
as slow on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from netmesh_controller.mesh.added_cost import Added, Costs, costs_of, median_added
from netmesh_controller.mesh.catalogue import COST_VALUES, TESTS, UNITS, Kind
from netmesh_controller.mesh.document import Cell, Parameters
from netmesh_controller.mesh.paths import BASELINE_PATH, PATHS
from netmesh_controller.mesh.statistics.arrays import median_of
from netmesh_controller.mesh.table import Floats, Series, Table, same_shape

How = Literal["ratio", "added"]

# What is compared: of what is the more the better, its ratio; of what is a cost, the difference.
_COMPARED: Mapping[Kind, tuple[tuple[str, How], ...]] = {
    "bandwidth": (("bits_per_second", "ratio"), *((name, "added") for name in COST_VALUES)),
    "latency": (("network_round_trip_seconds", "added"), ("round_trip_seconds", "added")),
    "transactions": (("transactions_per_second", "ratio"), ("round_trip_seconds", "added")),
    "connect": (("connect_seconds", "added"),),
}


@dataclass(frozen=True, slots=True)
class Share:
    """One value of a test on a path beside that of the hosts.

    `figure` is the median over `pairs` pairs of nodes: as `how` says, the path's value over the hosts' ("ratio", unit
    "1") or the path's less the hosts' ("added", in `unit`). It is None where no pair has both, as on a path that stays
    within its nodes, and with a `reason` where an added CPU cost cannot be told from none. `error` is half of such a
    cost's 95 % interval; `least` and `most` are the figures of the pairs at both ends: a median of scattered ones is
    seen as such.
    """

    path: str
    test: str
    parameters: Parameters
    value: str
    how: How
    unit: str
    figure: float | None
    pairs: int
    error: float | None = None
    reason: str | None = None
    least: float | None = None
    most: float | None = None


def shares(tables: Iterable[Table], cells: Iterable[Cell]) -> list[Share]:
    """The shares of all series of a run whose test was also measured between the hosts, in the tables' order.

    The `cells` are those of the tables: an added CPU cost is told from its single figures and their errors.
    """
    of_series: dict[Series, dict[str, Table]] = {}
    for table in tables:
        if any(table.value == value for value, _ in _COMPARED.get(TESTS[table.series.test].kind, ())):
            of_series.setdefault(table.series, {})[table.value] = table
    costs = costs_of(cells)
    found: list[Share] = []
    for series, measured in of_series.items():
        baseline = _baseline(series, of_series)
        if baseline is not None and series.path != BASELINE_PATH and PATHS[series.path].outside is None:
            found.extend(_shares(series, measured, baseline, costs))
    return found


def _baseline(series: Series, all_series: Mapping[Series, Mapping[str, Table]]) -> Mapping[str, Table] | None:
    """The hosts' tables of the same test with the same parameters.

    A message that fits the MTU is as large as the path allows, and so may be another size between the hosts: then the
    only one there is counts.
    """
    exact = all_series.get(Series(BASELINE_PATH, series.test, series.parameters))
    if exact is not None:
        return exact
    close = [
        tables
        for other, tables in all_series.items()
        if (other.path, other.test) == (BASELINE_PATH, series.test)
        and _without_size(other.parameters) == _without_size(series.parameters)
    ]
    return close[0] if len(close) == 1 and series.test == "udp-bandwidth" else None


def _without_size(parameters: Parameters) -> Parameters:
    return parameters.model_copy(update={"message_bytes": None})


def _shares(
    series: Series, measured: Mapping[str, Table], baseline: Mapping[str, Table], costs: Costs
) -> Iterator[Share]:
    for value, how in _COMPARED[TESTS[series.test].kind]:
        if value not in measured or value not in baseline:
            continue
        if value == "round_trip_seconds" and "network_round_trip_seconds" in measured:
            # Of a probe's round trip only the network's part is the path's; the rest is what the hosts took.
            continue
        if value in COST_VALUES:
            added = median_added(costs.get((series, value), {}), costs.get((baseline[value].series, value), {}))
            yield _cost(series, value, added)
            continue
        figures = _figures(measured[value], baseline[value], how)
        yield Share(
            path=series.path,
            test=series.test,
            parameters=series.parameters,
            value=value,
            how=how,
            unit="1" if how == "ratio" else UNITS[value],
            figure=median_of(figures) if len(figures) else None,
            pairs=len(figures),
            least=float(figures.min()) if len(figures) else None,
            most=float(figures.max()) if len(figures) else None,
        )


def _cost(series: Series, value: str, added: Added) -> Share:
    return Share(
        path=series.path,
        test=series.test,
        parameters=series.parameters,
        value=value,
        how="added",
        unit=UNITS[value],
        figure=added.figure,
        pairs=added.pairs,
        error=added.error,
        reason=added.reason,
    )


def _figures(measured: Table, baseline: Table, how: How) -> Floats:
    """What is left of the hosts' figure, or added to it, for each pair that has both."""
    hosts = _placed(baseline, measured)
    both = measured.known & np.isfinite(hosts)
    if how == "added":
        return measured.values[both] - hosts[both]
    both &= hosts > 0
    return measured.values[both] / hosts[both]


def _placed(table: Table, like: Table) -> Floats:
    """The numbers of `table` at the places that their pairs have in `like`, NaN where there is none."""
    if same_shape(table, like):
        return table.values
    rows, columns = (
        np.array([place.get(name, -1) for name in names], dtype=np.intp)
        for place, names in (
            ({name: number for number, name in enumerate(table.sources)}, like.sources),
            ({name: number for number, name in enumerate(table.targets)}, like.targets),
        )
    )
    placed = np.full(like.values.shape, np.nan)
    there = np.ix_(rows >= 0, columns >= 0)
    placed[there] = table.values[np.ix_(rows[rows >= 0], columns[columns >= 0])]
    return placed
