"""When something is so far out of the ordinary that it is stated, and with which confidence.

The noise of networks has heavy tails: a normal distribution would call a cell in every healthy mesh of a hundred nodes
a fault. Thresholds are quantiles of Student's t, whose degrees of freedom are read from the noise itself where there is
enough of it, and are cautious where there is not. The probability that any of all the comparisons of a run is beyond
its threshold by chance (Bonferroni) is `ALPHA`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from netmesh_controller.mesh.statistics.student import above, quantile, tail
from netmesh_controller.mesh.table import Floats

# By chance, in a whole run: 1 %. The promise is 5 %; the rest is for noise that is worse than any that was thought of.
ALPHA = 0.01
_CAUTIOUS = 4.0
_LIGHTEST = 8.0
# The middle one of three tests or more is wild only where two of them are: its tail is twice as light.
_STEADIER = 2.0
_STEADY_TESTS = 3
_HEAVIEST = 2.5
# From so many numbers on, 2 % of one side's are enough to see how heavy it is.
_ENOUGH = 400
_MIDDLE, _FAR = 0.75, 0.98
_SUREST = 0.9999


def tail_of(rest: Floats, tests: int = 1) -> float:
    """The degrees of freedom of a t distribution that is as heavy as the worse side of the rest.

    Each number is the median of so many `tests`.
    """
    worse = rest[np.isfinite(rest) & (rest > 0)]
    lighter = _STEADIER if tests >= _STEADY_TESTS else 1.0
    if len(worse) * 2 < _ENOUGH:
        return _CAUTIOUS * lighter
    # The quantiles of one side of a symmetric distribution.
    middle, far = np.quantile(worse, [2 * _MIDDLE - 1, 2 * _FAR - 1])
    seen = float(far / middle) if middle > 0 else np.inf
    candidates = np.arange(_HEAVIEST, _LIGHTEST * lighter + 0.25, 0.25)
    ratios = np.array([quantile(_FAR, df) / quantile(_MIDDLE, df) for df in candidates])
    # Heavier tails have larger ratios; the heaviest that is not heavier than what is seen.
    fitting = candidates[ratios <= seen]
    return float(fitting[0]) if len(fitting) else _LIGHTEST * lighter


def threshold(comparisons: int, alpha: float, df: float, *, twice: bool = False) -> float:
    """How many standard deviations one of so many comparisons may be off by chance, in all with probability `alpha`.

    `twice`: two independent figures are both off at least so far.
    """
    probability = min(0.5, alpha / max(1, comparisons))
    return above(float(np.sqrt(probability)) if twice else probability, df)


def passing(comparisons: int, alpha: float, *, once_in: float, mean: float, tests: int) -> float:
    """How far off one of so many figures may be by what only passes, in all with probability `alpha`.

    One test in `once_in` is disturbed by an exponential with this `mean`; a figure is disturbed where at least half of
    the `tests` that it is made of are, and then by the least of those.
    """
    needed = (tests + 1) // 2
    often = comparisons * math.comb(tests, needed) * once_in**-needed
    return mean / needed * math.log(often / alpha) if often > alpha else 0.0


def confidence(deviations: float, comparisons: int, df: float, *, twice: bool = False) -> float:
    """1 less the probability that chance alone puts any of so many comparisons so many deviations off.

    0.9999 at most: nobody has seen the tail of the noise farther out.
    """
    one = tail(deviations, df)
    chance = comparisons * (one * one if twice else one)
    return round(min(_SUREST, max(0.0, 1.0 - chance)), 6)


def spread_of_few(values: Sequence[float] | Floats) -> float:
    """The robust standard deviation of what may be a handful of numbers, one of them a fault; 0 for fewer than 3."""
    there = np.asarray(values, dtype=np.float64)
    there = there[np.isfinite(there)]
    if len(there) < 3:
        return 0.0
    return 1.482602218505602 * float(np.median(np.abs(there - np.median(there))))
