"""Times kept by the programs: the same statistics as the rest of netmesh, exact, and a histogram that others read."""

from __future__ import annotations

import pytest

# The library has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from netmesh_agent.probes.samples import Samples
from netmesh_controller.mesh.statistics import summarise


def kept(times: list[int], *, folded: int = 0) -> Samples:
    samples = Samples()
    samples.fresh.extend(times[:folded])
    samples.fold()
    samples.fresh.extend(times[folded:])
    return samples


@given(times=st.lists(st.integers(1, 10**10), min_size=1, max_size=40), folded=st.integers(0, 40))
def test_a_summary_is_that_of_the_raw_times(times: list[int], folded: int) -> None:
    expected = summarise([time / 1e9 for time in times]).model_dump()
    summary = dict.fromkeys(expected) | kept(times, folded=folded).summary()
    for name, value in expected.items():
        assert summary[name] == (None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)), name


@pytest.mark.parametrize(("count", "given_percentiles"), [(99, set()), (100, {"p99"}), (1000, {"p99", "p999"})])
def test_percentiles_that_the_samples_cannot_show_are_left_out(count: int, given_percentiles: set[str]) -> None:
    summary = kept(list(range(1, count + 1))).summary()
    assert {name for name in ("p99", "p999") if summary[name] is not None} == given_percentiles


def test_the_histogram_holds_every_sample_within_three_digits() -> None:
    times = [1, 999, 20_000, 20_000, 1_234_567, 5_000_000_000, 10**12]
    encoded = kept(times).histogram()
    histogram = HdrHistogram.decode(encoded)
    assert histogram.get_total_count() == len(times)
    assert histogram.get_value_at_percentile(50) == pytest.approx(20_000, rel=1e-3)
    assert histogram.get_value_at_percentile(80) == pytest.approx(5_000_000_000, rel=1e-3)
    assert histogram.get_max_value() == pytest.approx(100e9, rel=1e-3)
    assert len(encoded) < 1000


def test_histograms_of_two_tests_merge() -> None:
    one, other = (HdrHistogram.decode(kept([time] * 10).histogram()) for time in (10_000, 30_000))
    one.add(other)
    assert one.get_total_count() == 20
    assert one.get_value_at_percentile(25) == pytest.approx(10_000, rel=1e-3)
    assert one.get_value_at_percentile(75) == pytest.approx(30_000, rel=1e-3)
