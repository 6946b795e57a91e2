"""Distributions of a test: summaries, and HdrHistograms in nanoseconds that travel and merge. Pure."""

from __future__ import annotations

import itertools
import math
import statistics
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # the package has no types

# From 1 ns to a minute, with 3 significant digits.
_LOWEST, _HIGHEST, _DIGITS = 1, 60_000_000_000, 3

_PERCENTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def histogram(nanoseconds: Iterable[int]) -> HdrHistogram:
    """The distribution of durations; a negative one, which a clock's rate can make, is not in it."""
    made = HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)
    for value in nanoseconds:
        made.record_value(min(value, _HIGHEST))
    return made


def encode_histogram(made: HdrHistogram) -> str:
    """HdrHistogram's V2 compressed encoding, in base64."""
    encoded: bytes = made.encode()
    return encoded.decode("ascii")


def merge_histograms(encoded: Iterable[str]) -> HdrHistogram:
    """One distribution out of several that were encoded; ValueError or zlib.error where one is none."""
    total = HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)
    for each in encoded:
        total.decode_and_add(each.encode("ascii"))
    return total


@dataclass(frozen=True, slots=True)
class Distribution:
    """Figures of a set of durations, in seconds. A percentile that too few durations carry is None."""

    count: int
    mean: float
    stdev: float | None
    min: float
    max: float
    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None


def distribution(nanoseconds: array[int]) -> Distribution | None:
    """Exact figures by nearest rank; None where there are no durations."""
    ordered = sorted(nanoseconds)
    count = len(ordered)
    if not count:
        return None
    ranks = {
        name: ordered[math.ceil(share * count) - 1] * 1e-9
        for name, share in _PERCENTILES.items()
        if count * min(share, 1 - share) >= 1 - 1e-9
    }
    return Distribution(
        count=count,
        mean=statistics.fmean(ordered) * 1e-9,
        stdev=statistics.stdev(ordered) * 1e-9 if count > 1 else None,
        min=ordered[0] * 1e-9,
        max=ordered[-1] * 1e-9,
        **ranks,
    )


def jitter_seconds(series: Iterable[array[int]]) -> float | None:
    """The mean difference between one probe's network time and the next one's on the same path, without its sign
    (the delay variation of RFC 5481 §4.1, from packet to packet); None where no two came.
    """
    apart = [abs(b - a) for one in series for a, b in itertools.pairwise(one)]
    return statistics.fmean(apart) * 1e-9 if apart else None
