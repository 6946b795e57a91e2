"""The statistical tests of a comparison, on plain arrays.

The signed-rank test is Wilcoxon's (1945), exact up to 50 differences and by the normal approximation with ties
corrected beyond. False discoveries are controlled by Benjamini and Hochberg (1995). The error of a mean over pairs of
nodes counts that pairs share nodes: the dyadic cluster-robust variance of Aronow, Samii and Assenova (2015).
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.statistics.student import tail

Floats: TypeAlias = NDArray[np.float64]

_EXACT_UP_TO = 50


def means_of(repeats: Floats) -> Floats:
    """The mean over the first axis of what is finite; NaN where nothing is."""
    counts = np.isfinite(repeats).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        made: Floats = np.where(counts > 0, np.nansum(repeats, axis=0) / counts, np.nan)
    return made


def signed_rank(differences: Floats) -> float:
    """The two-sided p of differences that lie around 0; zeros are left out; 1.0 where nothing is left."""
    there = differences[differences != 0]
    count = len(there)
    if count == 0:
        return 1.0
    ranks = _ranks(np.abs(there))
    above = float(ranks[there > 0].sum())
    total = count * (count + 1) / 2
    if count <= _EXACT_UP_TO:
        # Middle ranks are halves: doubled they are whole numbers.
        return min(1.0, 2 * _tail_of_sums(np.rint(2 * ranks).astype(int), round(2 * min(above, total - above))))
    _, ties = np.unique(np.abs(there), return_counts=True)
    variance = count * (count + 1) * (2 * count + 1) / 24 - float((ties**3 - ties).sum()) / 48
    distance = abs(above - total / 2) - 0.5
    return min(1.0, math.erfc(max(0.0, distance) / math.sqrt(2 * variance)))


def _ranks(sizes: Floats) -> Floats:
    """Ranks from 1; equal sizes share the middle of theirs."""
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = (ends - (counts - 1) / 2)[inverse]
    return middle


def _tail_of_sums(ranks: NDArray[np.int_], most: int) -> float:
    """The probability that ranks, each counted or not by the toss of a coin, add up to `most` or less."""
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[:-rank]
        ways /= 2
    return float(ways[: most + 1].sum())


def discoveries(p: Floats, rate: float) -> NDArray[np.bool_]:
    """Which of the tests are discoveries at a false-discovery rate: all up to the largest p below its line."""
    if p.size == 0:
        return np.zeros(0, dtype=bool)
    ordered = np.sort(p)
    below = np.nonzero(ordered <= rate * np.arange(1, p.size + 1) / p.size)[0]
    if below.size == 0:
        return np.zeros(p.shape, dtype=bool)
    found: NDArray[np.bool_] = p <= ordered[below[-1]]
    return found


def error_over_pairs(effects: Floats) -> float:
    """The standard error of the mean of a square table of pairs' effects, NaN where there is none; may be NaN itself.

    Pairs with a node in common may go up and down together: their products count too. Where that comes out below the
    error of independent pairs, the latter counts.
    """
    there = np.isfinite(effects)
    count = int(there.sum())
    if count < 2:
        return math.nan
    rest = np.where(there, effects - effects[there].mean(), 0.0)
    by_node = rest.sum(axis=0) + rest.sum(axis=1)
    # A pair and its way back stand in the sums of both their nodes: once is enough.
    pairs = rest + rest.T
    np.fill_diagonal(pairs, 2 * np.diagonal(rest))
    shared = float((by_node**2).sum() - (np.triu(pairs) ** 2).sum())
    alone = float((rest**2).sum()) * count / (count - 1)
    nodes = int((there.any(axis=0) | there.any(axis=1)).sum())
    return math.sqrt(max(shared * nodes / max(1, nodes - 1), alone)) / count


def two_sided(t: float, df: float) -> float:
    """The two-sided p of Student's t, 0.0 for an infinite one; 1.0 where it is not known."""
    if math.isnan(t) or df <= 0:
        return 1.0
    return 0.0 if math.isinf(t) else min(1.0, 2 * tail(abs(t), df))
