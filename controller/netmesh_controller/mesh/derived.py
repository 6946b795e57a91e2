"""Tables made of tables: by node, by zone or label, one direction against the other, and shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.document import Cell, Node
from netmesh_controller.mesh.natural import natural
from netmesh_controller.mesh.statistics.merged import merged_percentiles
from netmesh_controller.mesh.table import Floats, Table, same_shape, with_reasons

_STATISTICS: Mapping[str, Callable[[Floats], np.floating]] = {
    "mean": np.mean,
    "median": np.median,
    "min": np.min,
    "max": np.max,
}


@dataclass(frozen=True, slots=True, eq=False)
class ByNode:
    """Each node's part of a table: medians over its remote pairs, in the table's unit; NaN where it has none.

    `out` goes over its row (it sends), `into` over its column (it receives), both with the shape (nodes,) in the order
    of `nodes`; the counts say over how many pairs.
    """

    nodes: tuple[str, ...]
    out: Floats
    into: Floats
    out_count: np.ndarray[tuple[int], np.dtype[np.intp]]
    into_count: np.ndarray[tuple[int], np.dtype[np.intp]]


def by_node(table: Table) -> ByNode:
    """The nodes of a table whose columns are nodes too; ValueError for a table of targets outside of the mesh."""
    if table.targets != table.sources:
        raise ValueError(f"the columns of {table.series.path} are no nodes")
    values = np.where(table.remote, table.values, np.nan)
    there = np.isfinite(values)
    return ByNode(table.sources, _medians(values, 1), _medians(values, 0), np.sum(there, axis=1), np.sum(there, axis=0))


def groups_of(nodes: Iterable[Node], label: str | None = None) -> dict[str, str]:
    """The group of each node: its zone, or the value of a label; nodes without one are left out."""
    found = {node.name: node.zone if label is None else node.labels.get(label) for node in nodes}
    return {name: group for name, group in found.items() if group}


def by_group(table: Table, groups: Mapping[str, str], statistic: str = "median") -> tuple[Table, Floats]:
    """A table of groups of nodes (see `groups_of`), and over how many remote pairs each of its numbers is.

    `statistic` is mean, median, min or max of the pairs' figures, which are the table's own statistic. A percentile of
    a group is no such thing: see `group_percentiles`. Nodes in no group are left out. A pair of groups without a
    figure has the commonest reason of its pairs, or `not_applicable` where it has no pair.
    """
    if statistic not in _STATISTICS:
        raise ValueError(f"'{statistic}' is not {', '.join(_STATISTICS)}")
    names = tuple(sorted(set(groups.values()), key=natural))
    values, counts = np.full((len(names), len(names)), np.nan), np.zeros((len(names), len(names)))
    reasons = np.zeros(values.shape, dtype=np.uint8)
    codes = (*table.codes, "not_applicable") if "not_applicable" not in table.codes else table.codes
    rows = [np.array([groups.get(name) == group for name in table.sources]) for group in names]
    columns = [np.array([groups.get(name) == group for name in table.targets]) for group in names]
    remote = table.remote
    for a, row in enumerate(rows):
        for b, column in enumerate(columns):
            block = np.ix_(row, column)
            inside = remote[block]
            there = inside & table.known[block]
            counts[a, b] = np.count_nonzero(there)
            if counts[a, b]:
                values[a, b] = _STATISTICS[statistic](table.values[block][there])
            else:
                why = table.reasons[block][inside]
                reasons[a, b] = np.bincount(why).argmax() if why.size else codes.index("not_applicable")
    of_pairs = f"{statistic} of pairs" if statistic == table.statistic else f"{statistic} of pairs' {table.statistic}"
    return Table(table.series, table.value, of_pairs, table.unit, names, names, values, reasons, codes), counts


def group_percentiles(
    cells: Iterable[Cell], value: str, groups: Mapping[str, str]
) -> dict[tuple[str, str], tuple[dict[str, float], int]]:
    """Percentiles (seconds) of all observations between two groups of nodes, and how many observations there are.

    `cells` are of one series; their histograms are merged. Pairs of groups where a measured cell kept no histogram are
    left out, since a part of the observations is not the whole.
    """
    kept: dict[tuple[str, str], list[str]] = {}
    lacking: set[tuple[str, str]] = set()
    for cell in cells:
        if cell.outcome != "measured" or cell.source == cell.target:
            continue
        source, target = groups.get(cell.source), groups.get(cell.target)
        if source is None or target is None:
            continue
        if value in cell.histograms:
            kept.setdefault((source, target), []).append(cell.histograms[value])
        else:
            lacking.add((source, target))
    return {pair: merged_percentiles(texts) for pair, texts in kept.items() if pair not in lacking}


def asymmetry(table: Table) -> Table:
    """Each pair's figure over that of the way back: 1 is alike, 0.5 is half as much there as back.

    A gap has its own reason, else that of the way back; the same node is `not_applicable`. ValueError for a table
    whose columns are no nodes.
    """
    if table.targets != table.sources:
        raise ValueError(f"the columns of {table.series.path} are no nodes")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(table.remote, table.values / table.values.T, np.nan)
    back = _turned(table)
    hidden = _without_same_node(table)
    return with_reasons(
        table,
        value=table.value,
        statistic="there over back",
        unit="1",
        values=ratio,
        gaps=(hidden, table, back),
        otherwise="not_applicable",
    )


def share_of(table: Table, baseline: Table) -> Table:
    """Each pair's figure over the baseline's (such as host-to-host of the same test); unit "1".

    A gap has its own reason, else the baseline's. ValueError where the two are not of the same value and nodes.
    """
    if table.value != baseline.value or not same_shape(table, baseline):
        raise ValueError("a share is of two tables of one value, over the same nodes")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = table.values / baseline.values
    statistic = f"share of {baseline.series.path}"
    return with_reasons(
        table,
        value=table.value,
        statistic=statistic,
        unit="1",
        values=ratio,
        gaps=(table, baseline),
        otherwise="not_applicable",
    )


def share_of_line_rate(table: Table, nodes: Sequence[Node]) -> Table:
    """Each remote pair's bandwidth over the line rate of its slower node; unit "1".

    Line rates are the nodes' `line_rate_bits_per_second`; where one is not known, the reason is `not_supported`.
    """
    known = {node.name: node.facts.get("line_rate_bits_per_second") for node in nodes}
    sources = np.array([known.get(name) or np.nan for name in table.sources], dtype=np.float64)
    targets = np.array([known.get(name) or np.nan for name in table.targets], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        ratio = np.where(table.remote, table.values / np.minimum(sources[:, None], targets[None, :]), np.nan)
    return with_reasons(
        table,
        value=table.value,
        statistic="share of the line rate",
        unit="1",
        values=ratio,
        gaps=(_without_same_node(table), table),
        otherwise="not_supported",
    )


def _medians(values: Floats, axis: int) -> Floats:
    """Medians of what is finite; NaN where nothing is."""
    made = np.full(values.shape[1 - axis], np.nan)
    some = np.isfinite(values).any(axis=axis)
    made[some] = np.nanmedian(values[some] if axis == 1 else values[:, some], axis=axis)
    return made


def _turned(table: Table) -> Table:
    return Table(
        table.series,
        table.value,
        table.statistic,
        table.unit,
        table.targets,
        table.sources,
        table.values.T,
        table.reasons.T,
        table.codes,
    )


def _without_same_node(table: Table) -> Table:
    """Says `not_applicable` for the same node, and nothing for all else."""
    reasons = np.where(table.remote, 0, 1).astype(np.uint8)
    codes = ("", "not_applicable")
    return Table(
        table.series,
        table.value,
        table.statistic,
        table.unit,
        table.sources,
        table.targets,
        table.values,
        reasons,
        codes,
    )
