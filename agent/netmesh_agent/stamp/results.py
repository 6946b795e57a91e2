"""Distributions of a test: exact figures, and HdrHistograms in nanoseconds that travel and merge. Pure.

One-way delays may be negative, so the durations here are signed; the histograms have the layout of all tests'.
"""

from __future__ import annotations

import itertools
import math
import statistics
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

# The package has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from netmesh_agent.probes.samples import (
    HIGHEST_NANOSECONDS,
    LOWEST_NANOSECONDS,
    SAMPLES_FOR_P99,
    SAMPLES_FOR_P999,
    SIGNIFICANT_DIGITS,
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Figures of a set of durations, in seconds. What too few durations carry is None."""

    count: int
    mean: float
    stdev: float | None = None
    min: float | None = None
    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


def histogram(nanoseconds: Iterable[int]) -> str:
    """The durations as an HdrHistogram (V2 compressed encoding, base64); one beyond its range stands at its end."""
    made = HdrHistogram(LOWEST_NANOSECONDS, HIGHEST_NANOSECONDS, SIGNIFICANT_DIGITS)
    for value in nanoseconds:
        made.record_value(min(max(value, LOWEST_NANOSECONDS), HIGHEST_NANOSECONDS))
    encoded: bytes = made.encode()
    return encoded.decode("ascii")


def distribution(nanoseconds: array[int]) -> Distribution | None:
    """The exact figures; None where there are no durations.

    Percentiles are linear interpolations between order statistics (definition 7 of Hyndman and Fan, 1996).
    """
    ordered = sorted(nanoseconds)
    count = len(ordered)
    if count < 2:
        return Distribution(1, ordered[0] * 1e-9) if ordered else None

    def percentile(fraction: float) -> float:
        position = (count - 1) * fraction
        below = math.floor(position)
        low, high = ordered[below], ordered[min(below + 1, count - 1)]
        return (low + (high - low) * (position - below)) * 1e-9

    return Distribution(
        count=count,
        mean=statistics.fmean(ordered) * 1e-9,
        stdev=statistics.stdev(ordered) * 1e-9,
        min=ordered[0] * 1e-9,
        p10=percentile(0.1),
        p50=percentile(0.5),
        p90=percentile(0.9),
        p99=percentile(0.99) if count >= SAMPLES_FOR_P99 else None,
        p999=percentile(0.999) if count >= SAMPLES_FOR_P999 else None,
        max=ordered[-1] * 1e-9,
    )


def jitter_seconds(series: Iterable[array[int]]) -> float | None:
    """The mean difference between one probe's network time and the next one's on the same path, without its sign
    (the delay variation of RFC 5481 §4.1, from packet to packet); None where no two came.
    """
    apart = [abs(b - a) for one in series for a, b in itertools.pairwise(one)]
    return statistics.fmean(apart) * 1e-9 if apart else None
