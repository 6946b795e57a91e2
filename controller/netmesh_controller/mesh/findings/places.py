"""Where a mesh is out of the ordinary: nodes, pairs of zones, pairs of nodes. Numbers only; `words` makes findings.

The order is that of blame: what a node explains is no matter of its pairs, and what two zones explain neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.findings.fit import Fit, Mask
from netmesh_controller.mesh.findings.outstanding import confidence, passing, spread_of_few, tail_of, threshold
from netmesh_controller.mesh.findings.scale import Looked
from netmesh_controller.mesh.table import Floats

Direction = Literal["out", "in", "both", "unknown"]

# Smaller meshes have too little redundancy: of three nodes, each has two pairs only, and a slow pair looks like
# either of its nodes.
LEAST_NODES = 4
LEAST_CELLS_OF_A_NODE = 3
LEAST_ZONES, LEAST_ZONES_ROUND_TRIP = 3, 4
# A slow node is slow to nearly everybody, a slow pair of zones between nearly all of their nodes.
_MOST = 0.75
# Where so many are out of the ordinary, there is no ordinary.
_FEW = 1 / 3
# What else is wrong with a node that is known to be bad needs less to be believed.
_BESIDE = 0.5
_BESIDE_DEVIATIONS = 4.0
_TAIL_OF_LOSSES = 8.0


@dataclass(frozen=True, slots=True)
class BadNode:
    """A node, by its place: how much worse its row and its column are, on the scale, and over how many cells."""

    node: int
    direction: Direction
    size: float
    confidence: float
    cells: int
    worse_cells: int


@dataclass(frozen=True, slots=True)
class BadPair:
    """An ordered pair, or both ways between two nodes: how much worse than its nodes and zones explain."""

    source: int
    target: int
    both_ways: bool
    size: float
    confidence: float


@dataclass(frozen=True, slots=True)
class BadZones:
    """An ordered pair of zones, or both ways between two."""

    source: int
    target: int
    both_ways: bool
    size: float
    confidence: float
    cells: int


def bad_nodes(fit: Fit, looked: Looked, alpha: float) -> list[BadNode]:
    """Nodes whose row (out), column (in) or both are worse than those of the other nodes."""
    there = np.isfinite(fit.cells)
    rows, columns = there.sum(axis=1), there.sum(axis=0)
    enough = np.minimum(rows, columns) >= LEAST_CELLS_OF_A_NODE
    judged = np.flatnonzero(enough)
    if len(judged) < LEAST_NODES:
        return []
    sides = {"out": fit.out, "in": fit.into}
    df = float(np.clip(2 * len(judged) - 2, 3, 30))
    limit = threshold((1 if looked.round_trip else 2) * len(judged), alpha, df)
    excess = {side: effects - np.median(effects[judged]) for side, effects in sides.items()}
    # How much nodes differ, by both sides together; and what the cells' own noise leaves in a median of them.
    spread = spread_of_few(np.concatenate([excess[side][judged] for side in sides]))
    error = 1.2533 * fit.noise / np.sqrt(np.median(rows[judged]))
    deviations = {side: excess[side] / max(spread, error, looked.noise / 2) for side in sides}
    found: list[BadNode] = []
    for node in judged:
        far = [side for side in sides if excess[side][node] >= looked.node and deviations[side][node] >= limit]
        if not far:
            continue
        beside = [
            side
            for side in sides
            if side in far
            or (
                excess[side][node] >= _BESIDE * max(excess[one][node] for one in far)
                and deviations[side][node] >= _BESIDE_DEVIATIONS
            )
        ]
        worse, cells = _breadth(fit, int(node), beside, excess)
        if worse < _MOST * cells or (looked.round_trip and len(beside) < 2):
            continue
        direction: Direction = "out" if beside == ["out"] else "in" if beside == ["in"] else "both"
        largest = max(far, key=lambda side: deviations[side][node])
        found.append(
            BadNode(
                int(node),
                "unknown" if looked.round_trip else direction,
                float(max(excess[side][node] for side in beside)),
                confidence(float(deviations[largest][node]), 2 * len(judged), df),
                cells,
                worse,
            )
        )
    return found if len(found) <= _FEW * len(judged) else []


def _breadth(fit: Fit, node: int, sides: Sequence[str], excess: dict[str, Floats]) -> tuple[int, int]:
    """How many of a node's cells are worse by half of what it is said to be, and of how many."""
    level = fit.zones[np.ix_(fit.zone, fit.zone)]
    worse = cells = 0
    for side in sides:
        rest = (
            (fit.cells - level - fit.into[None, :])[node] - np.median(fit.out)
            if side == "out"
            else (fit.cells - level - fit.out[:, None])[:, node] - np.median(fit.into)
        )
        rest = rest[np.isfinite(rest)]
        worse += int(np.count_nonzero(rest > excess[side][node] / 2))
        cells += len(rest)
    return worse, cells


def bad_zones(fit: Fit, looked: Looked, alpha: float) -> list[BadZones]:
    """Pairs of different zones that are worse than the others of the same zones, and than all others.

    One-way figures need three zones, round trips four: where each zone has one distance only to each other, the
    farthest would always stand out.
    """
    number = len(fit.zones)
    levels = np.where(fit.own_zones, fit.zones, np.nan)
    np.fill_diagonal(levels, np.nan)
    if looked.round_trip:
        levels = np.fmin(levels, levels.T)
    known = [(a, b) for a, b in np.argwhere(np.isfinite(levels)).tolist() if not looked.round_trip or a < b]
    if number < (LEAST_ZONES_ROUND_TRIP if looked.round_trip else LEAST_ZONES) or len(known) < 3:
        return []
    df = float(np.clip(2 * (len(known) - 2), 3, 12))
    limit = threshold(len(known), alpha, df)
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for a, b in known:
        others = [levels[c, d] for c, d in known if {c, d} != {a, b}]
        beside = [*np.delete(levels[a], [a, b]), *np.delete(levels[:, b], [a, b])]
        if looked.round_trip:
            beside += [*np.delete(levels[b], [a, b])]
        beside = [one for one in beside if np.isfinite(one)]
        if len(others) < 2 or not beside:
            continue
        size = float(levels[a, b] - max(np.median(others), np.median(beside)))
        error = 1.2533 * fit.noise / np.sqrt(np.count_nonzero(between(fit, looked, a, b)))
        deviation = size / max(spread_of_few(others), error, looked.noise / 2)
        if size >= looked.zones and deviation >= limit:
            found[a, b] = (size, confidence(deviation, len(known), df))
    return _zones_both_ways(fit, looked, found) if len(found) <= max(2, _FEW * len(known)) else []


def _zones_both_ways(fit: Fit, looked: Looked, found: dict[tuple[int, int], tuple[float, float]]) -> list[BadZones]:
    made = []
    for (a, b), (size, sure) in found.items():
        if (b, a) in found and a > b:
            continue
        both = looked.round_trip or (b, a) in found
        made.append(BadZones(a, b, both, size, sure, int(np.count_nonzero(between(fit, looked, a, b)))))
    return made


def between(fit: Fit, looked: Looked, a: int, b: int) -> Mask:
    """The cells (n, n) that there are from one zone to another; of round trips those of either way, as each is both."""
    there = (fit.zone == a)[:, None] & (fit.zone == b)[None, :]
    if looked.round_trip:
        there |= there.T
    known: Mask = there & np.isfinite(fit.cells)
    return known


def bad_pairs(
    fit: Fit,
    looked: Looked,
    alpha: float,
    *,
    nodes: Sequence[BadNode] = (),
    tests: int = 1,
    again: Floats | None = None,
) -> list[BadPair]:
    """Pairs that are worse than their nodes and zones explain; those of bad `nodes` are not looked at again.

    A figure is the median of so many `tests`. `again` has the cells (n, n) that were measured once more, on the scale:
    there the better of the two counts, and both together need less to be believed.
    """
    rest = better(fit, again)
    for one in nodes:
        if one.direction != "in":
            rest[one.node, :] = np.nan
        if one.direction != "out":
            rest[:, one.node] = np.nan
    judged = np.count_nonzero(np.isfinite(fit.cells).any(axis=0) | np.isfinite(fit.cells).any(axis=1))
    comparisons = int(np.count_nonzero(np.isfinite(rest)))
    if judged < LEAST_NODES or not comparisons:
        return []
    limits = _Limits(looked, fit.noise, _tail(fit, looked, tests), alpha / 2, tests)
    unordered = max(1, comparisons // 2)
    pairs: list[BadPair] = []
    taken = np.zeros(rest.shape, dtype=bool)
    least = limits.least(unordered, figures=2, both_ways=True)
    for a, b in _places(np.triu(np.nan_to_num(np.minimum(rest, rest.T), nan=-np.inf) >= least, 1)):
        size = float(min(rest[a, b], rest[b, a]))
        pairs.append(BadPair(a, b, True, size, limits.confidence(size, unordered, 2)))
        taken[a, b] = taken[b, a] = True
    confirmed = np.full(rest.shape, False) if again is None else np.isfinite(again)
    for figures in (2, 1):
        least = limits.least(comparisons, figures=figures, both_ways=looked.round_trip)
        far = (np.nan_to_num(rest, nan=-np.inf) >= least) & ~taken & (confirmed == (figures == 2))
        for a, b in _places(far):
            if looked.round_trip and taken[b, a]:
                continue
            size = float(rest[a, b])
            taken[a, b] = True
            pairs.append(BadPair(a, b, looked.round_trip, size, limits.confidence(size, comparisons, figures)))
    return pairs if len(pairs) <= max(2, _FEW * unordered) else []


def better(fit: Fit, again: Floats | None) -> Floats:
    """The rest (n, n), of cells that were measured `again`, on the scale, the better of the two."""
    return fit.rest.copy() if again is None else np.fmin(fit.rest, fit.rest + again - fit.cells)


def _tail(fit: Fit, looked: Looked, tests: int) -> float:
    # Losses are counts, most of them 0: their quantiles show no tail.
    return _TAIL_OF_LOSSES if looked.kind == "lossy" else tail_of(fit.rest, tests)


@dataclass(frozen=True, slots=True)
class _Limits:
    """From what size on a pair is believed to be bad, by one figure or by two independent ones that agree."""

    looked: Looked
    noise: float
    df: float
    alpha: float
    tests: int

    def least(self, comparisons: int, *, figures: int, both_ways: bool) -> float:
        looked = self.looked
        by_noise = threshold(comparisons, self.alpha, self.df, twice=figures == 2) * self.noise
        # Two figures that agree are disturbed where both are, as two tests of which none may be well.
        by_chance = passing(
            comparisons,
            self.alpha,
            once_in=looked.disturbed_in**figures,
            mean=looked.disturbance / figures,
            tests=self.tests,
        )
        return max(looked.both_ways if both_ways else looked.one_way, by_noise, by_chance)

    def confidence(self, size: float, comparisons: int, figures: int) -> float:
        return confidence(size / self.noise, comparisons, self.df, twice=figures == 2)


def _places(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in np.argwhere(mask)]
