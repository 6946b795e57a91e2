"""What tests' histograms say together: HdrHistograms of nanoseconds, V2 compressed encoding in base64.

All have one layout (see `netmesh_agent.probes.samples`), so that they merge count by count, and a percentile of the
merged one is that of the pooled observations to three digits.
"""

from __future__ import annotations

from collections.abc import Iterable

# The library has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from netmesh_agent.probes.samples import HIGHEST_NANOSECONDS, LOWEST_NANOSECONDS, SIGNIFICANT_DIGITS


def merge(encoded: Iterable[str]) -> str:
    """One histogram of all the observations; ValueError where a text is no histogram."""
    merged = HdrHistogram(LOWEST_NANOSECONDS, HIGHEST_NANOSECONDS, SIGNIFICANT_DIGITS)
    for text in encoded:
        merged.add(_read(text))
    together: bytes = merged.encode()
    return together.decode("ascii")


def percentile(encoded: str, percent: float) -> int:
    """The nanoseconds that `percent` (above 0, to 100) of the observations do not exceed, to three digits.

    It is the observation at that rank, not an interpolation between two. ValueError where there is none, where
    `percent` is outside, or where the text is no histogram.
    """
    histogram = _read(encoded)
    if not histogram.get_total_count():
        raise ValueError("a percentile of no observations does not exist")
    if not 0 < percent <= 100:
        raise ValueError(f"a percentile lies above 0 and up to 100, not at {percent}")
    return int(histogram.get_value_at_percentile(percent))


def _read(encoded: str) -> HdrHistogram:
    try:
        return HdrHistogram.decode(encoded)
    except Exception as error:  # the package raises its own, zlib's, binascii's and ctypes's, without a common base
        raise ValueError(f"this is no HdrHistogram: {error!r}") from error
