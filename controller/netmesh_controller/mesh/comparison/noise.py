"""How noisy single cells are, learnt from their repeats and from each other.

Two or three repeats say little of one cell's noise, many cells together say much: each cell's variance is drawn to
what is common (Smyth, "Linear Models and Empirical Bayes Methods", 2004). What all cells of a pass have in common, such
as a busy hour, is taken off first and counted apart: it is no news of any one cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.comparison.significance import Floats, means_of

# However alike the cells' noises look, no more is believed of one of them: readings have wilder tails than the normal.
_MOST_PRIOR_DF = 8.0


@dataclass(frozen=True, slots=True)
class Noise:
    """`variance`: of one repeat of each cell; `df`: how well that is known. `common`, `common_df`: of a whole pass."""

    variance: Floats
    df: Floats
    common: float
    common_df: int


def noise_of(runs: tuple[Floats, Floats]) -> Noise | None:
    """From the repeats of both runs, each (repeats, cells) with NaN for none; None where no cell was repeated."""
    residuals = []
    common, common_df = 0.0, 0
    for repeats in runs:
        # Means: a cell's median is the figure of one pass, which would then show no deviation.
        centred = repeats - means_of(repeats)
        passes = _medians(centred)
        known = passes[np.isfinite(passes)]
        if len(known) > 1:
            # The median over the cells follows a pass; its own scatter is in it, which makes this rather too much.
            common += float(((known - known.mean()) ** 2).sum())
            common_df += len(known) - 1
        rest = centred - passes[:, None]
        residuals.append(rest - means_of(rest))
    counts = [np.isfinite(repeats).sum(axis=0) for repeats in runs]
    df = sum(np.maximum(count - 1, 0) for count in counts).astype(np.float64)
    if not (df > 0).any():
        return None
    squares = sum(np.nansum(rest**2, axis=0) for rest in residuals)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(df > 0, squares / df, np.nan)
    variance, df = _drawn_together(variance, df)
    return Noise(variance, df, common / common_df if common_df else 0.0, common_df)


def _drawn_together(variance: Floats, df: Floats) -> tuple[Floats, Floats]:
    usable = (df > 0) & (variance > 0)
    if usable.sum() < 3:
        return variance, df
    own = df[usable]
    logs = np.log(variance[usable]) - _digamma(own / 2) + np.log(own / 2)
    spread = float(((logs - logs.mean()) ** 2).sum() / (len(logs) - 1) - _trigamma(own / 2).mean())
    prior_df = min(_MOST_PRIOR_DF, 2 * _trigamma_inverse(spread)) if spread > 0 else _MOST_PRIOR_DF
    middle = math.exp(float(logs.mean() + _digamma(np.array([prior_df / 2]))[0] - math.log(prior_df / 2)))
    own_part = np.where(df > 0, df * np.nan_to_num(variance), 0.0)
    # A cell that was measured once takes over what is known of the others.
    return (prior_df * middle + own_part) / (prior_df + df), prior_df + df


def _medians(values: Floats) -> Floats:
    """Of each row's numbers; NaN where a row has none."""
    made = np.full(len(values), np.nan)
    some = np.isfinite(values).any(axis=1)
    made[some] = np.nanmedian(values[some], axis=1)
    return made


def _digamma(x: Floats) -> Floats:
    """The derivative of log gamma, for x > 0: recurrence to x ≥ 8, then the asymptotic series (DLMF 5.11.2)."""
    moved, x = np.zeros_like(x), x.copy()
    for _ in range(8):
        moved, x = moved - 1 / x, x + 1
    square = 1 / (x * x)
    return moved + np.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252))


def _trigamma(x: Floats) -> Floats:
    """The derivative of digamma, for x > 0."""
    moved, x = np.zeros_like(x), x.copy()
    for _ in range(8):
        moved, x = moved + 1 / (x * x), x + 1
    square = 1 / (x * x)
    return moved + 1 / x + square / 2 + square / x * (1 / 6 - square * (1 / 30 - square / 42))


def _trigamma_inverse(y: float) -> float:
    """The x > 0 whose trigamma is y; trigamma falls, so that halving finds it."""
    low, high = 1e-6, 1e9
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _trigamma(np.array([middle]))[0] > y else (low, middle)
    return math.sqrt(low * high)
