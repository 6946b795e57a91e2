"""Summaries of samples: against NumPy, against Python's own statistics, and at the edges."""

from __future__ import annotations

import math
import statistics as reference
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.statistics import mean, median, percentile, summarise

samples = st.lists(st.floats(min_value=-1e12, max_value=1e12, allow_subnormal=False), min_size=2, max_size=50)


@given(samples)
def test_agrees_with_the_references(values: list[float]) -> None:
    summary = summarise(values)
    scale = max(map(abs, values)) or 1.0
    # Squares of deviations below 1e-154 are smaller than the least double.
    least = 1e-150
    assert summary.mean == pytest.approx(reference.fmean(values), abs=scale * 1e-12)
    assert summary.stdev == pytest.approx(reference.stdev(values), abs=max(scale * 1e-7, least))
    for name, fraction in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
        assert getattr(summary, name) == pytest.approx(float(np.quantile(values, fraction)), abs=scale * 1e-12)
    assert (summary.min, summary.max, summary.count) == (min(values), max(values), len(values))


@given(samples)
def test_is_in_order_whatever_is_rounded(values: list[float]) -> None:
    summary = summarise(values)
    ladder = [summary.min, summary.p10, summary.p50, summary.p90, summary.max]
    known = [step for step in ladder if step is not None]
    assert len(known) == 5
    assert known == sorted(known)
    assert known[0] <= summary.mean <= known[-1]


def test_a_hand_computed_example() -> None:
    summary = summarise([4.0, 1.0, 3.0, 2.0])
    assert summary.mean == 2.5
    assert summary.stdev == pytest.approx(math.sqrt(5 / 3))
    # Position of p10 among four ordered samples: 3 x 0.1 = 0.3 of the way from the first to the second.
    assert summary.p10 == pytest.approx(1.3)
    assert summary.p50 == 2.5
    assert summary.p90 == pytest.approx(3.7)


@pytest.mark.parametrize(("count", "p99", "p999"), [(99, False, False), (100, True, False), (1000, True, True)])
def test_far_percentiles_only_where_samples_reach(count: int, p99: bool, p999: bool) -> None:
    summary = summarise(float(sample) for sample in range(count))
    assert (summary.p99 is not None, summary.p999 is not None) == (p99, p999)
    if summary.p99 is not None:
        assert summary.p99 == pytest.approx((count - 1) * 0.99)


def test_one_sample_shows_no_spread() -> None:
    assert summarise([7.0]).model_dump(exclude_none=True) == {"mean": 7.0, "count": 1}


@pytest.mark.parametrize("wrong", [[], [None], [1.0, None], [math.nan], [1.0, math.inf], [-math.inf]])
def test_refuses_what_is_no_sample(wrong: list[Any]) -> None:
    for statistic in (summarise, mean, median):
        with pytest.raises(ValueError, match="sample"):
            statistic(wrong)


def test_percentile_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile([1.0], 99)


def test_median_and_mean() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0]) == 2.5
    assert mean([0.1, 0.1, 0.1]) == 0.1
