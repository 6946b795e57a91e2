"""Each path's share of the host baseline: what is left of the hosts' own bandwidth, and what a path adds.

Like is compared with like: the same pair of nodes, the same test, the same parameters, once on the path and once
between the hosts. The figure of a path is the median over its pairs, so that it is no nodes' average: a slow pair is
as slow on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from netmesh_controller.mesh.added_cost import Added, Costs, costs_of, median_added
from netmesh_controller.mesh.catalogue import COST_VALUES, TESTS, UNITS, Kind
from netmesh_controller.mesh.document import Cell, Matrix, Parameters
from netmesh_controller.mesh.matrix import Series
from netmesh_controller.mesh.paths import BASELINE_PATH, PATHS
from netmesh_controller.mesh.statistics import median

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


def shares(matrices: Iterable[Matrix], cells: Iterable[Cell]) -> list[Share]:
    """The shares of all series of a run whose test was also measured between the hosts, in the matrices' order.

    The `cells` are those of the matrices: an added CPU cost is told from its single figures and their errors.
    """
    of_series: dict[Series, dict[str, Matrix]] = {}
    for matrix in matrices:
        if any(matrix.value == value for value, _ in _COMPARED.get(TESTS[matrix.test].kind, ())):
            of_series.setdefault(Series(matrix.path, matrix.test, matrix.parameters), {})[matrix.value] = matrix
    costs = costs_of(cells)
    found: list[Share] = []
    for series, measured in of_series.items():
        baseline = _baseline(series, of_series)
        if baseline is not None and series.path != BASELINE_PATH and PATHS[series.path].outside is None:
            found.extend(_shares(series, measured, baseline, costs))
    return found


def _baseline(series: Series, all_series: Mapping[Series, Mapping[str, Matrix]]) -> Mapping[str, Matrix] | None:
    """The hosts' matrices of the same test with the same parameters.

    A message that fits the MTU is as large as the path allows, and so may be another size between the hosts: then the
    only one there is counts.
    """
    exact = all_series.get(Series(BASELINE_PATH, series.test, series.parameters))
    if exact is not None:
        return exact
    close = [
        matrices
        for other, matrices in all_series.items()
        if (other.path, other.test) == (BASELINE_PATH, series.test)
        and _without_size(other.parameters) == _without_size(series.parameters)
    ]
    return close[0] if len(close) == 1 and series.test == "udp-bandwidth" else None


def _without_size(parameters: Parameters) -> Parameters:
    return parameters.model_copy(update={"message_bytes": None})


def _shares(
    series: Series, measured: Mapping[str, Matrix], baseline: Mapping[str, Matrix], costs: Costs
) -> Iterator[Share]:
    for value, how in _COMPARED[TESTS[series.test].kind]:
        if value not in measured or value not in baseline:
            continue
        if value == "round_trip_seconds" and "network_round_trip_seconds" in measured:
            # Of a probe's round trip only the network's part is the path's; the rest is what the hosts took.
            continue
        if value in COST_VALUES:
            hosts_series = Series.of_matrix(baseline[value])
            added = median_added(costs.get((series, value), {}), costs.get((hosts_series, value), {}))
            yield _cost(series, value, added)
            continue
        hosts = _numbers(baseline[value])
        both = [(number, hosts[pair]) for pair, number in _numbers(measured[value]).items() if pair in hosts]
        figures = (
            [number / host for number, host in both if host > 0]
            if how == "ratio"
            else [number - host for number, host in both]
        )
        yield Share(
            path=series.path,
            test=series.test,
            parameters=series.parameters,
            value=value,
            how=how,
            unit="1" if how == "ratio" else UNITS[value],
            figure=median(figures) if figures else None,
            pairs=len(figures),
            least=min(figures, default=None),
            most=max(figures, default=None),
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


def _numbers(matrix: Matrix) -> dict[tuple[str, str], float]:
    return {
        (source, target): number
        for source, row in zip(matrix.sources, matrix.values, strict=True)
        for target, number in zip(matrix.targets, row, strict=True)
        if number is not None
    }
