"""What is said of a whole group of cells: the mean effect, its error, its p, and the interval that agrees with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.comparison.noise import Noise
from netmesh_controller.mesh.comparison.shapes import How
from netmesh_controller.mesh.comparison.significance import Floats, error_over_pairs, signed_rank, two_sided
from netmesh_controller.mesh.statistics.robust import MAD_TO_STDEV
from netmesh_controller.mesh.statistics.student import above

# Half of the 5 % for what is said of whole paths, half for what is said of single cells.
RATE = 0.025
# How far two runs of one test each may lie apart by what nobody repeated: the hour, the CPU's clock, a neighbour.
SINGLE_REPEAT_FLOOR = 0.05
_FEWEST_PAIRS = 6
# Of fewer the signed-rank test has no p that is small enough among many comparisons: of 6 pairs 0.03 at least. Three
# repeats tell without it.
_FEWEST_TO_RANK = 12
_TELLING_REPEATS = 3
_STRAY = 3.0
_HALVINGS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """The mean effect (log ratio or difference), its p, and `why` nothing can be told, where that is so.

    `error` and `df` are the mean's, NaN where they are not known; `ranked` are the effects that the signed-rank test
    looked at too.
    """

    size: float
    p: float
    why: str | None = None
    error: float = math.nan
    df: float = math.nan
    ranked: Floats | None = None

    def interval(self, level: float) -> tuple[float | None, float | None, str | None]:
        """The ends of what the tests behind `p` do not reject at the `level` (0 to 1), None where that is no interval.

        0 lies in it exactly where p is above the level. The third says why nothing can be told, where that is so.
        """
        if math.isnan(self.error):
            return None, None, self.why
        half = above(level / 2, max(1.0, self.df)) * self.error
        low, high = self.size - half, self.size + half
        if self.ranked is None or low <= 0 <= high or signed_rank(self.ranked) <= level:
            return low, high, self.why
        # The ranks do not reject 0, which the t test does: what either has in belongs to it.
        end = _end_of_ranks(self.ranked, level, math.copysign(1.0, self.size))
        if end is None:
            return None, None, f"{len(self.ranked)} pairs are too few to tell among so many comparisons; use --repeat 3"
        return (end, high, self.why) if self.size > 0 else (low, end, self.why)


def _end_of_ranks(there: Floats, level: float, sign: float) -> float | None:
    """How far beyond 0, seen from a mean of this sign, the ranks do not reject; None where there is no end of it."""
    edge = float(there.min() if sign > 0 else there.max())
    beyond = min(0.0, edge) if sign > 0 else max(0.0, edge)
    beyond -= sign * max(1e-9, abs(beyond))
    if signed_rank(there - beyond) > level:
        return None
    inside = 0.0
    for _ in range(_HALVINGS):
        middle = (inside + beyond) / 2
        inside, beyond = (middle, beyond) if signed_rank(there - middle) > level else (inside, middle)
    return beyond


def whole_of(effects: Floats, noise: Noise | None, most: tuple[int, int], how: How, *, exact: bool) -> Whole:
    """From the effects of a table of pairs, NaN for none, with up to so many repeats of a cell in either run."""
    # One pair that changed by itself is told as a cell; it neither moves nor hides what all the others did.
    effects = effects if exact else _without_strays(effects)
    there = effects[np.isfinite(effects)]
    count, size = len(there), float(there.mean())
    if exact:
        return Whole(size, 0.0 if (there != 0).any() else 1.0)
    square = effects.shape[0] == effects.shape[1]
    scatter = error_over_pairs(effects) if square else _independent_error(there)
    nodes = int((np.isfinite(effects).any(axis=0) | np.isfinite(effects).any(axis=1)).sum()) if square else count
    repeated = noise is not None and noise.common_df > 0 and min(most) > 1
    if repeated and noise is not None:
        common = noise.common * (1 / most[0] + 1 / most[1])
        scatter = 0.0 if math.isnan(scatter) else scatter
        error = math.sqrt(scatter**2 + common)
        parts = (scatter**2) ** 2 / max(1, nodes - 1) + common**2 / noise.common_df
        df = error**4 / parts if parts > 0 else float(noise.common_df)
        fewest = _FEWEST_TO_RANK if min(most) >= _TELLING_REPEATS else _FEWEST_PAIRS
        ranked = there if count >= fewest else None
    else:
        error, df, ranked = scatter, float(nodes - 1), there
    if math.isnan(error) or df <= 0:
        return Whole(size, 1.0, "a single pair, measured once, shows no noise")
    if not repeated and count < _FEWEST_PAIRS:
        return Whole(size, 1.0, f"{count} pairs without repeats are too few to tell; use --repeat")
    p = two_sided(size / error if error > 0 else math.copysign(math.inf, size), df) if size else 1.0
    p = p if ranked is None else max(p, signed_rank(ranked))
    if not repeated and how == "ratio" and p <= RATE and abs(math.expm1(size)) < SINGLE_REPEAT_FLOOR:
        why = f"the pairs agree, but runs without repeats may differ by {SINGLE_REPEAT_FLOOR:.0%} anyway; use --repeat"
        # How they differ is known of the pairs alone: no interval of the mean has that in it.
        return Whole(size, 1.0, why)
    return Whole(size, p, None, error, df, ranked)


def _without_strays(effects: Floats) -> Floats:
    """Effects that are far out are drawn in to `_STRAY` robust deviations from the median (Winsor)."""
    there = effects[np.isfinite(effects)]
    middle = float(np.median(there))
    reach = _STRAY * MAD_TO_STDEV * float(np.median(np.abs(there - middle)))
    return np.clip(effects, middle - reach, middle + reach) if len(there) >= _FEWEST_PAIRS and reach > 0 else effects


def _independent_error(there: Floats) -> float:
    return float(there.std(ddof=1) / math.sqrt(len(there))) if len(there) > 1 else math.nan
