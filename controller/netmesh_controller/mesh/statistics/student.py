"""Student's t distribution: its tail and its quantiles.

The tail is the regularised incomplete beta function I_x(df/2, 1/2) / 2 with x = df / (df + t²) (NIST Digital Library of
Mathematical Functions, 8.17), by its continued fraction 8.17.22. Relative error below 1e-9 where the tests look:
1 to 10,000 degrees of freedom, tails from 0.4 down to 1e-12.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TERMS = 500
_TINY = 1e-300


def tail(t: float, df: float) -> float:
    """The probability that a t-distributed number with `df` degrees of freedom (> 0) is above t."""
    if not df > 0:
        raise ValueError(f"degrees of freedom are above 0, not {df}")
    if t < 0:
        return 1 - tail(-t, df)
    return _incomplete_beta(df / (df + t * t), df / 2, 0.5) / 2


@lru_cache(maxsize=4096)
def quantile(probability: float, df: float) -> float:
    """The t below which a t-distributed number lies with this probability, strictly between 0 and 1."""
    if not 0 < probability < 1:
        raise ValueError(f"a probability lies strictly between 0 and 1, not at {probability}")
    if probability < 0.5:
        return -above(probability, df)
    return above(1 - probability, df)


@lru_cache(maxsize=4096)
def above(probability: float, df: float) -> float:
    """The t (≥ 0) above which a t-distributed number lies with this probability, up to 0.5; exact in the far tail."""
    if not 0 < probability <= 0.5:
        raise ValueError(f"the probability of a tail lies above 0 and up to 0.5, not at {probability}")
    low, high = 0.0, 1.0
    while tail(high, df) > probability:
        low, high = high, high * 2
    # Halving is slow and sure; 200 steps are beyond the digits of a double.
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if tail(middle, df) > probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(x: float, a: float, b: float) -> float:
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    # The fraction converges fast on this side of the mean; the other side is its mirror.
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _fraction(x, a, b) / a
    return 1 - math.exp(log_front) * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction by the modified Lentz method."""
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d or _TINY)
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or _TINY)
            c = (1 + term / c) or _TINY
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
