"""Middle and spread that a few wild values do not move."""

from __future__ import annotations

from collections.abc import Iterable

from netmesh_controller.mesh.statistics.summary import median, percentile

# What makes the median absolute deviation of normal numbers their standard deviation: 1 / the normal 0.75 quantile.
MAD_TO_STDEV = 1.482602218505602


def mad(samples: Iterable[float]) -> float:
    """The median absolute deviation from the median, times 1.4826: the standard deviation of normal samples.

    Up to half of the samples may be arbitrary. 0 where more than half are equal. ValueError where there is none.
    """
    values = list(samples)
    middle = median(values)
    return MAD_TO_STDEV * median(abs(value - middle) for value in values)


def interquartile_range(samples: Iterable[float]) -> float:
    """The width of the middle half: the 0.75 quantile less the 0.25 quantile (definition 7 of Hyndman and Fan)."""
    values = list(samples)
    median(values)  # the same complaint about what is no sample
    ordered = sorted(values)
    return percentile(ordered, 0.75) - percentile(ordered, 0.25)
