"""Intervals of means: against published tables, against scipy, and by the share of simulations that they cover."""

import math

import numpy as np
import pytest
from scipy import stats

from netmesh_controller.mesh.statistics import mean_interval, summarise, within_test_interval
from netmesh_controller.mesh.statistics.student import above, quantile, tail

# Critical values of Student's t: NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
PUBLISHED = {
    (1, 0.90): 3.078,
    (1, 0.975): 12.706,
    (2, 0.95): 2.920,
    (2, 0.975): 4.303,
    (4, 0.975): 2.776,
    (9, 0.975): 2.262,
    (10, 0.99): 2.764,
    (30, 0.995): 2.750,
    (100, 0.999): 3.174,
}


@pytest.mark.parametrize(("where", "published"), PUBLISHED.items())
def test_quantiles_are_those_of_the_published_table(where: tuple[int, float], published: float) -> None:
    df, probability = where
    assert quantile(probability, df) == pytest.approx(published, abs=0.0005)
    assert quantile(1 - probability, df) == pytest.approx(-published, abs=0.0005)


@pytest.mark.parametrize("df", [1, 2, 3.5, 10, 100, 10_000])
@pytest.mark.parametrize("probability", [0.4, 0.1, 0.025, 1e-3, 1e-6, 1e-12])
def test_the_far_tail_agrees_with_scipy(df: float, probability: float) -> None:
    t = above(probability, df)
    assert t == pytest.approx(stats.t.isf(probability, df), rel=1e-9)
    assert tail(t, df) == pytest.approx(probability, rel=1e-9)


def test_nist_reference_data_sets() -> None:
    """StRD univariate: NumAcc1 (certified mean 10000002, deviation 1) and NumAcc2 (1.2 and 0.1)."""
    first = summarise([10000001.0, 10000003.0, 10000002.0])
    assert (first.mean, first.stdev) == (10000002.0, 1.0)
    second = summarise([1.2] + [1.1, 1.3] * 500)
    assert second.mean == pytest.approx(1.2, rel=1e-15)
    assert second.stdev == pytest.approx(0.1, rel=1e-14)


def test_agrees_with_scipy_on_a_sample() -> None:
    sample = [9.41, 9.38, 9.45, 9.40, 8.9]
    interval = mean_interval(sample)
    assert interval is not None
    low, high = stats.t.interval(0.95, 4, loc=np.mean(sample), scale=stats.sem(sample))
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
    assert interval.relative == pytest.approx((high - low) / 2 / np.mean(sample))


def test_one_repeat_shows_no_interval() -> None:
    assert mean_interval([1.0]) is None
    with pytest.raises(ValueError, match="sample"):
        mean_interval([])
    with pytest.raises(ValueError, match="sample"):
        mean_interval([1.0, math.nan])


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_covers_the_true_mean_as_often_as_it_says(count: int) -> None:
    dice = np.random.default_rng(count)
    runs = 2000
    covered = 0
    for sample in dice.normal(10.0, 1.0, (runs, count)):
        interval = mean_interval(sample.tolist())
        assert interval is not None
        covered += interval.low <= 10.0 <= interval.high
    # Four standard errors of a share of 95 % over so many runs.
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))


def remembering(dice: np.random.Generator, memory: float, runs: int, count: int) -> np.ndarray:
    """Series that remember: each reading is `memory` times the one before, and news. The true mean is 100."""
    news = dice.normal(0.0, 1.0, (count, runs))
    readings = np.empty((count, runs))
    readings[0] = news[0] / math.sqrt(1 - memory**2)
    for step in range(1, count):
        readings[step] = memory * readings[step - 1] + news[step]
    return readings.T + 100.0


@pytest.mark.parametrize("memory", [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97])
@pytest.mark.parametrize("count", [50, 300])
def test_readings_that_remember_give_a_wide_interval_or_none(memory: float, count: int) -> None:
    runs = 300
    missed = known = naive = 0
    for readings in remembering(np.random.default_rng(7), memory, runs, count):
        interval = within_test_interval(readings.tolist())
        as_independent = mean_interval(readings.tolist())
        assert as_independent is not None
        naive += not as_independent.low <= 100.0 <= as_independent.high
        if interval is not None:
            known += 1
            missed += not interval.low <= 100.0 <= interval.high
    # An interval that is shown and wrong: 5 % is what it says, and the rest is what the simulation cannot tell, and
    # a little for series whose memory is not seen in them.
    assert missed / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    if memory <= 0.3:
        assert known / runs > 0.85
    if memory >= 0.7:
        assert naive / runs > 0.3, "readings that remember are no independent samples"


def test_too_few_or_missing_readings_are_unknown() -> None:
    steady = [float(value % 3) for value in range(50)]
    assert within_test_interval(steady) is not None
    assert within_test_interval(steady[:19]) is None
    assert within_test_interval([*steady[:-1], None]) is None
    assert within_test_interval([]) is None
    assert within_test_interval([float(value) for value in range(50)]) is None, "a drift has no mean to be known"
