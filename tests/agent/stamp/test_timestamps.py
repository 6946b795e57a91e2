"""Stamps and error estimates against figures of their RFCs, and there and back again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_agent.stamp import timestamps as ts

SECOND = 1_000_000_000
HALF_ERA = 2**31 * SECOND
NOW = 1_795_000_000 * SECOND
# RFC 5905 figure 4: the last second of era 0 is 2036-02-07 06:28:15 UTC.
ERA_CHANGE = int(datetime(2036, 2, 7, 6, 28, 16, tzinfo=UTC).timestamp()) * SECOND


def test_ntp_stamp_of_known_moments() -> None:
    assert ts.ntp_from_nanoseconds(0) == 2_208_988_800 << 32
    assert ts.ntp_from_nanoseconds(SECOND // 2) == 2_208_988_800 << 32 | 1 << 31


def test_ptp_stamp_of_known_moments() -> None:
    assert ts.ptp_from_nanoseconds(5 * SECOND + 17) == 5 << 32 | 17


def test_era_change_of_2036() -> None:
    assert ts.ntp_from_nanoseconds(ERA_CHANGE) == 0
    assert ts.ntp_from_nanoseconds(ERA_CHANGE - SECOND) == 0xFFFFFFFF << 32
    before, after = ERA_CHANGE - 1_000, ERA_CHANGE + 1_000
    for near in (before, after):
        assert ts.nanoseconds_from_ntp(ts.ntp_from_nanoseconds(before), near) == before
        assert ts.nanoseconds_from_ntp(ts.ntp_from_nanoseconds(after), near) == after


@given(
    st.integers(min_value=0, max_value=2**62),
    st.integers(min_value=-HALF_ERA + SECOND, max_value=HALF_ERA - SECOND),
)
def test_both_formats_come_back_exactly(moment: int, apart: int) -> None:
    assert ts.nanoseconds_from_ntp(ts.ntp_from_nanoseconds(moment), moment + apart) == moment
    assert ts.nanoseconds_from_ptp(ts.ptp_from_nanoseconds(moment), moment + apart) == moment


def test_each_party_is_read_by_its_own_flag() -> None:
    for ptp in (False, True):
        field = ts.encode_error_estimate(None, ptp=ptp)
        stamp = ts.stamp_from_nanoseconds(NOW + 123, ptp=ptp)
        assert ts.nanoseconds_from_stamp(stamp, field, NOW) == NOW + 123


def test_no_stamp_and_no_ptp_stamp_are_missing() -> None:
    assert ts.nanoseconds_from_stamp(0, 0, NOW) is None
    assert ts.nanoseconds_from_stamp(0xFFFFFFFF, ts.PTP_FORMAT, NOW) is None


@given(st.floats(min_value=0, max_value=1e9))
def test_error_estimate_is_never_smaller_than_the_error(error: float) -> None:
    told = ts.decode_error_estimate(ts.encode_error_estimate(error))
    assert told.synchronized
    assert told.error_seconds is not None
    assert error <= told.error_seconds <= max(error * 1.01, error + 2.0**-32)


def test_error_estimate_layout() -> None:
    # RFC 4656 §4.1.2: S, Z, 6 bits of scale, 8 bits of multiplier, in units of 2^-32 s.
    assert ts.encode_error_estimate(2.0**-32) == 0x8001
    assert ts.encode_error_estimate(1.0) == 0x8000 | 25 << 8 | 128
    assert ts.encode_error_estimate(1.0, ptp=True) == 0xC000 | 25 << 8 | 128


def test_a_clock_that_nobody_keeps_is_not_called_synchronized() -> None:
    told = ts.decode_error_estimate(ts.encode_error_estimate(None))
    assert not told.synchronized
    assert told.error_seconds == 255 * 2.0**31


def test_a_multiplier_of_zero_is_no_estimate() -> None:
    assert ts.decode_error_estimate(0x8000).error_seconds is None


@pytest.mark.parametrize("field", [0, 0x3FFF, 0xFFFF])
def test_every_field_can_be_read(field: int) -> None:
    assert ts.decode_error_estimate(field).ptp == bool(field & 0x4000)
