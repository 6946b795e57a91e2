"""Times of one kind, kept exactly: their distribution in seconds, and their HdrHistogram."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from itertools import accumulate

# A percentile needs samples on both sides of it.
SAMPLES_FOR_P99 = 100
SAMPLES_FOR_P999 = 1000

# 1 ns to 100 s in 3 significant digits: 27 buckets of 1,024 counters, some kilobytes once they are compressed.
LOWEST_NANOSECONDS = 1
HIGHEST_NANOSECONDS = 100_000_000_000
SIGNIFICANT_DIGITS = 3


class Samples:
    """Nanoseconds, each kept: `fresh` as they come, older ones counted by value, so that a long test stays small."""

    __slots__ = ("_counted", "fresh")

    def __init__(self) -> None:
        self.fresh = array("Q")
        self._counted: Counter[int] = Counter()

    def fold(self) -> None:
        """Counts the fresh ones by value. Takes some 50 ns each: for a moment in which nothing is timed."""
        self._counted.update(self.fresh)
        del self.fresh[:]

    def summary(self) -> dict[str, float | int | None]:
        """Mean, sample standard deviation, extremes and percentiles in seconds, and the count, of at least one sample.

        Percentiles are linear interpolations between order statistics (definition 7 of Hyndman and Fan, 1996); one
        that the samples cannot show is None.
        """
        self.fold()
        ordered = sorted(self._counted)
        # How many samples are at or below each value.
        ranks = list(accumulate(self._counted[value] for value in ordered))
        count = ranks[-1]
        mean = sum(value * self._counted[value] for value in ordered) / count
        if count == 1:
            return {"mean": mean / 1e9, "count": 1}
        squares = math.fsum(self._counted[value] * (value - mean) ** 2 for value in ordered)

        def percentile(fraction: float) -> float:
            position = (count - 1) * fraction
            below = math.floor(position)
            low = ordered[bisect_right(ranks, below)]
            high = ordered[bisect_right(ranks, min(below + 1, count - 1))]
            return (low + (high - low) * (position - below)) / 1e9

        return {
            "mean": min(max(mean, ordered[0]), ordered[-1]) / 1e9,
            "stdev": math.sqrt(squares / (count - 1)) / 1e9,
            "min": ordered[0] / 1e9,
            "p10": percentile(0.1),
            "p50": percentile(0.5),
            "p90": percentile(0.9),
            "p99": percentile(0.99) if count >= SAMPLES_FOR_P99 else None,
            "p999": percentile(0.999) if count >= SAMPLES_FOR_P999 else None,
            "max": ordered[-1] / 1e9,
            "count": count,
        }

    def histogram(self) -> str:
        """All samples as an HdrHistogram (V2 compressed encoding, base64); one beyond its range stands at its end."""
        # Loaded when the measurement is over: a program is to begin fast, and its server needs none. It has no types.
        from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # noqa: PLC0415

        self.fold()
        histogram = HdrHistogram(LOWEST_NANOSECONDS, HIGHEST_NANOSECONDS, SIGNIFICANT_DIGITS)
        for value, count in self._counted.items():
            histogram.record_value(min(max(value, LOWEST_NANOSECONDS), HIGHEST_NANOSECONDS), count)
        encoded: bytes = histogram.encode()
        return encoded.decode("ascii")
