"""Distributions of several tests put together, and percentiles read from the whole.

A percentile of several tests is that of all their observations. The mean of each test's p99 is none: where one test in
ten is slow, it hides nearly all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# The library has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from netmesh_controller.mesh.statistics.summary import percentile

# Names as in the document, with the part of the observations that is not above.
PERCENTILES: dict[str, float] = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}
_NANOSECONDS = 1e-9


def merged(histograms: Iterable[str]) -> HdrHistogram | None:
    """All observations of some HdrHistograms (base64, nanoseconds) in one; None where there is no histogram.

    ValueError where a text is none.
    """
    whole: HdrHistogram | None = None
    for text in histograms:
        read = _read(text)
        if whole is None:
            whole = read
        else:
            whole.add(read)
    return whole


def merged_percentiles(histograms: Iterable[str]) -> tuple[dict[str, float], int]:
    """Percentiles (seconds) of all observations of some HdrHistograms (base64, nanoseconds), and how many there are.

    A percentile is left out where fewer observations than 1 / (1 - it) cannot show it: p99 needs 100, p99.99 10,000.
    ValueError where a text is no histogram, where there is none, or where they hold no observation.
    """
    whole = merged(histograms)
    count = 0 if whole is None else int(whole.get_total_count())
    if whole is None or not count:
        raise ValueError("a percentile of no observations does not exist")
    return {
        name: int(whole.get_value_at_percentile(100 * part)) * _NANOSECONDS
        for name, part in PERCENTILES.items()
        if enough(count, part)
    }, count


def pooled_percentiles(series: Iterable[Sequence[float | None]]) -> tuple[dict[str, float], int]:
    """Percentiles of all readings of some tests, in their unit, and how many there are; missing readings are left out.

    ValueError where there is no reading.
    """
    ordered = sorted(reading for readings in series for reading in readings if reading is not None)
    if not ordered:
        raise ValueError("a percentile of no observations does not exist")
    return {name: percentile(ordered, part) for name, part in PERCENTILES.items() if enough(len(ordered), part)}, len(
        ordered
    )


def enough(count: int, part: float) -> bool:
    """Whether so many observations reach a percentile: one of them at least is beyond it."""
    return part <= 0.9 or count * (1 - part) >= 1 - 1e-9


def _read(encoded: str) -> HdrHistogram:
    try:
        return HdrHistogram.decode(encoded)
    except Exception as error:  # the package raises its own, zlib's, binascii's, ctypes': no common base
        raise ValueError(f"this is no HdrHistogram: {error!r}") from error
