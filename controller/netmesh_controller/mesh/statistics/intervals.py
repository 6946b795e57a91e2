"""How well a mean is known: its confidence interval, over repeats and within one test.

Repeats are tests of their own, minutes apart, and count as independent: Student's interval of their mean. The
readings within a test are not independent: a TCP flow that is slow now is slow a tenth of a second later, and
Student's interval of 50 such readings would be several times too narrow. Batch means (Schmeiser, "Batch Size Effects in
the Analysis of Simulation Output", 1982) take runs of readings that are long enough to forget each other; where none
are, the interval is not known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from netmesh_controller.mesh.statistics.student import quantile
from netmesh_controller.mesh.statistics.summary import mean

LEVEL = 0.95
# Schmeiser: beyond 10 to 30 batches nothing is won, and fewer than 5 widen the interval for nothing but lack of data.
_BATCHES = (20, 10, 5)
_READINGS_IN_A_BATCH = 4
_MEMORIES_IN_A_BATCH = 2.5


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval that holds the true one with probability `level`, in the samples' unit."""

    mean: float
    low: float
    high: float
    level: float
    count: int

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2

    @property
    def relative(self) -> float | None:
        """The half width as a part of the mean; None where the mean is 0."""
        return self.half_width / abs(self.mean) if self.mean else None


def mean_interval(samples: Iterable[float], level: float = LEVEL) -> Interval | None:
    """Student's interval of the mean of independent samples; None for fewer than two, which show no spread.

    ValueError where a sample is not a finite number, or where there is none.
    """
    values = list(samples)
    middle = mean(values)
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {level}")
    count = len(values)
    if count < 2:
        return None
    deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (count - 1))
    half = quantile((1 + level) / 2, count - 1) * deviation / math.sqrt(count)
    return Interval(middle, middle - half, middle + half, level, count)


def within_test_interval(readings: Sequence[float | None], level: float = LEVEL) -> Interval | None:
    """The interval of the mean of one test's own readings, evenly spaced in time, by batch means.

    None (unknown) where a reading is missing, where there are fewer than 20, or where even 5 batches still depend on
    each other. `count` is the number of batches. It says nothing of how far another test would be off.
    """
    values = [reading for reading in readings if reading is not None]
    if len(values) != len(readings):
        return None
    if len(values) < min(_BATCHES) * _READINGS_IN_A_BATCH:
        return None
    needed = max(_READINGS_IN_A_BATCH, _MEMORIES_IN_A_BATCH * _memory(values))
    for batches in _BATCHES:
        length = len(values) // batches
        if length < needed:
            continue
        # What does not fill a batch is at the beginning, nearest to the warm-up.
        counted = values[len(values) - batches * length :]
        means = [mean(counted[start : start + length]) for start in range(0, len(counted), length)]
        if _independent(means):
            return mean_interval(means, level)
    return None


def _independent(means: Sequence[float]) -> bool:
    """Whether neighbours differ as much as strangers: von Neumann's ratio (1941), one-sided at 5 %.

    The ratio of the mean squared difference of neighbours to the variance is about 2 for independent numbers, with a
    variance of about 4 (n - 2) / (n² - 1).
    """
    count, middle = len(means), mean(means)
    spread = math.fsum((value - middle) ** 2 for value in means)
    if spread == 0:
        return True
    ratio = math.fsum((after - before) ** 2 for before, after in pairwise(means)) / spread
    return ratio * count / (count - 1) > 2 * count / (count - 1) - 1.645 * math.sqrt(4 * (count - 2) / (count**2 - 1))


def _memory(values: Sequence[float]) -> float:
    """For how many readings one is remembered: the autocorrelation time (1 + r) / (1 - r) of a process AR(1).

    r is the correlation of neighbours, with its bias of about (1 + 4 r) / n in short series added back.
    """
    count, middle = len(values), mean(values)
    spread = math.fsum((value - middle) ** 2 for value in values)
    if spread == 0:
        return 1.0
    r = math.fsum((b - middle) * (a - middle) for b, a in pairwise(values)) / spread
    r = (r + 1 / count) / (1 - 4 / count)
    if r >= 1:
        return math.inf
    return max(1.0, (1 + r) / (1 - r))
