"""Robust spread against scipy; merged distributions against the pooled observations; repeats kept apart."""

import math
from typing import Any

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from scipy import stats

from netmesh_controller.mesh.document import Cell, Parameters, Reason, Summary
from netmesh_controller.mesh.statistics import interquartile_range, mad, merged_percentiles, over_repeats


def test_robust_spread_agrees_with_scipy() -> None:
    sample = np.random.default_rng(3).lognormal(0.0, 1.0, 101).tolist()
    assert mad(sample) == pytest.approx(float(stats.median_abs_deviation(sample, scale="normal")), rel=1e-9)
    assert interquartile_range(sample) == pytest.approx(float(stats.iqr(sample)), rel=1e-12)


def test_half_of_the_samples_may_be_wild() -> None:
    assert mad([1.0, 1.1, 0.9, 1.0, 1.0, 1e9, -1e9]) < 0.2
    assert mad([5.0]) == 0.0
    with pytest.raises(ValueError, match="sample"):
        mad([])


def histogram(nanoseconds: np.ndarray) -> str:
    made = HdrHistogram(1, 60_000_000_000, 3)
    for value in nanoseconds:
        made.record_value(int(value))
    text: bytes = made.encode()
    return text.decode()


def test_a_percentile_of_several_tests_is_of_all_their_observations() -> None:
    """One test in ten is slow: the mean of ten p99s hides what the merged p99 shows."""
    dice = np.random.default_rng(5)
    tests = [dice.normal(100_000, 3_000, 500) for _ in range(9)] + [dice.normal(10_000_000, 300_000, 500)]
    percentiles, count = merged_percentiles(histogram(test) for test in tests)
    together = np.concatenate(tests)
    assert count == 5000
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        exact = float(np.quantile(together, part, method="inverted_cdf")) * 1e-9
        assert percentiles[name] == pytest.approx(exact, rel=2e-3)
    assert np.mean([np.quantile(test, 0.99) for test in tests]) * 1e-9 < percentiles["p99"] / 5
    assert "p9999" not in percentiles, "10,000 observations are needed"


def test_p9999_from_ten_thousand_on() -> None:
    values = np.arange(1, 10_001) * 1000
    percentiles, _ = merged_percentiles([histogram(values[:5000]), histogram(values[5000:])])
    assert percentiles["p9999"] == pytest.approx(9999e-6, rel=2e-3)


@pytest.mark.parametrize("wrong", [[], ["no histogram"], [histogram(np.array([]))]])
def test_refuses_what_is_no_distribution(wrong: list[str]) -> None:
    with pytest.raises(ValueError, match=r"Histogram|observations"):
        merged_percentiles(wrong)


def cell(repeat: int, mean: float | None, stdev: float | None = None, **fields: Any) -> Cell:
    measured = mean is not None
    return Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source="a",
        target="b",
        repeat=repeat,
        attempt=1,
        parameters=Parameters(instrument="iperf3"),
        outcome="measured" if measured else "failed",
        reason=None if measured else Reason(code="timeout", message="It is so."),
        values={"bits_per_second": Summary(mean=mean, stdev=stdev, count=50)} if mean is not None else {},
        **fields,
    )


def test_within_a_test_and_between_tests_are_kept_apart() -> None:
    """Each test is steady, and every test is another: readings say ± 1, repeats say ± 10."""
    cells = [cell(number, mean, 1.0) for number, mean in enumerate((90.0, 100.0, 110.0), 1)]
    found = over_repeats([*cells, cell(4, None)], "bits_per_second")
    assert found is not None
    assert found.means == (90.0, 100.0, 110.0)
    assert (found.mean, found.median, found.between_stdev, found.within_stdev) == (100.0, 100.0, 10.0, 1.0)
    assert found.between is not None
    assert found.between.half_width == pytest.approx(stats.t.ppf(0.975, 2) * 10 / math.sqrt(3))
    assert found.mad == pytest.approx(14.826, rel=1e-4)
    assert found.within is None
    assert found.percentiles == {}, "no repeat kept its observations"


def test_one_repeat_has_the_interval_of_its_own_readings() -> None:
    readings = np.random.default_rng(1).normal(100.0, 5.0, 50).tolist()
    one = cell(1, float(np.mean(readings)), 5.0, intervals={"bits_per_second": readings})
    found = over_repeats([one], "bits_per_second")
    assert found is not None
    assert found.between is None
    assert found.between_stdev is None
    assert found.within is not None
    assert found.within.low < 100.0 < found.within.high
    assert found.percentiles["p50"] == pytest.approx(float(np.median(readings)))
    assert found.observations == 50


def test_what_no_repeat_gives_is_unknown() -> None:
    assert over_repeats([cell(1, None)], "bits_per_second") is None
    assert over_repeats([cell(1, 5.0)], "retransmits") is None
