"""Statistics over the samples of one test, and over the repeats of one cell.

Percentiles are linear interpolations between order statistics: definition 7 of Hyndman and Fan, "Sample
Quantiles in Statistical Packages" (1996), the default of NumPy and R. A percentile needs samples on both sides
of it, so p99 is given from 100 samples on and p99.9 from 1000 on; below that the maximum says as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from netmesh_controller.mesh.document import Summary

SAMPLES_FOR_P99 = 100
SAMPLES_FOR_P999 = 1000


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` (0 to 1) of the samples lie; `ordered` is ascending and not empty."""
    if not ordered:
        raise ValueError("a percentile of no samples does not exist")
    if not 0 <= fraction <= 1:
        raise ValueError(f"a percentile's fraction lies between 0 and 1, not at {fraction}")
    position = (len(ordered) - 1) * fraction
    below = math.floor(position)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    # Rounding of the interpolation must not leave the interval: percentiles stay in order.
    return min(max(low + (high - low) * (position - below), low), high)


def mean(samples: Iterable[float]) -> float:
    """The arithmetic mean, of one sample at least; ValueError where one is not a finite number."""
    checked = _finite(samples)
    return min(max(math.fsum(checked) / len(checked), min(checked)), max(checked))


def median(samples: Iterable[float]) -> float:
    """The middle sample, or the mean of the two in the middle."""
    return percentile(sorted(_finite(samples)), 0.5)


def summarise(samples: Iterable[float]) -> Summary:
    """The distribution of the samples, in their own unit; `stdev` is the sample's (n - 1).

    One sample gives a mean and a count only, since it shows no spread. ValueError where there is no sample, or
    where one is None, NaN or infinite: what was not measured is left out by the caller, knowingly.
    """
    ordered = sorted(_finite(samples))
    count, average = len(ordered), mean(ordered)
    if count == 1:
        return Summary(mean=average)
    return Summary(
        mean=average,
        stdev=math.sqrt(math.fsum((sample - average) ** 2 for sample in ordered) / (count - 1)),
        min=ordered[0],
        p10=percentile(ordered, 0.1),
        p50=percentile(ordered, 0.5),
        p90=percentile(ordered, 0.9),
        p99=percentile(ordered, 0.99) if count >= SAMPLES_FOR_P99 else None,
        p999=percentile(ordered, 0.999) if count >= SAMPLES_FOR_P999 else None,
        max=ordered[-1],
        count=count,
    )


def _finite(samples: Iterable[float | None]) -> list[float]:
    checked: list[float] = []
    for sample in samples:
        if sample is None or not math.isfinite(sample):
            raise ValueError(f"a sample is a finite number, not {sample}")
        checked.append(float(sample))
    if not checked:
        raise ValueError("statistics of no samples do not exist")
    return checked
