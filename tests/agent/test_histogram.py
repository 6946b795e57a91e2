"""Histograms keep three digits, merge without loss, and are read by their format."""

from __future__ import annotations

import base64
import math
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_agent import histogram
from netmesh_agent.probes.samples import HIGHEST_NANOSECONDS, Samples

_NANOSECONDS = st.integers(1, 10**6) | st.integers(1, HIGHEST_NANOSECONDS)


def encoded(observations: list[int]) -> str:
    samples = Samples()
    samples.fresh.extend(observations)
    return samples.histogram()


def ranked(observations: list[int], percent: float) -> int:
    # The format's own rank: the count of the percentile, rounded to the nearest.
    return sorted(observations)[max(int(percent * len(observations) / 100 + 0.5), 1) - 1]


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.lists(_NANOSECONDS, min_size=1, max_size=60), min_size=1, max_size=4), data=st.data())
def test_percentiles_of_merged_histograms_are_those_of_the_pooled_observations(
    parts: list[list[int]], data: st.DataObject
) -> None:
    merged = histogram.merge(encoded(part) for part in parts)
    pooled = [one for part in parts for one in part]
    for percent in (0.1, 50.0, 90.0, 99.0, 99.9, 100.0, data.draw(st.floats(0.01, 100))):
        there = ranked(pooled, percent)
        assert there <= histogram.percentile(merged, percent) <= there * 1.001 + 1
    assert merged == encoded(pooled)


def test_the_encoding_is_v2_compressed() -> None:
    raw = base64.b64decode(encoded([1000]), validate=True)
    assert raw[:4] == bytes.fromhex("1c849314")
    payload = zlib.decompress(raw[8:])
    assert payload[:4] == bytes.fromhex("1c849313")
    assert int.from_bytes(payload[12:16], "big") == 3


def test_nothing_merges_into_nothing_and_has_no_percentile() -> None:
    empty = histogram.merge([])
    assert empty == encoded([])
    with pytest.raises(ValueError, match="no observations"):
        histogram.percentile(empty, 50)


@pytest.mark.parametrize("percent", [0, -1, 100.1, math.nan, math.inf])
def test_a_percentile_lies_above_0_and_up_to_100(percent: float) -> None:
    with pytest.raises(ValueError, match="percentile lies"):
        histogram.percentile(encoded([1]), percent)


@pytest.mark.parametrize(
    "text", ["", "no base64!", "AAAA", base64.b64encode(b"\x1c\x84\x93\x14\0\0\0\x04abcd").decode()]
)
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no HdrHistogram"):
        histogram.merge([text])
