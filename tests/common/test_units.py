from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_common import units


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("100M", 100_000_000),
        ("64k", 64_000),
        ("64K", 64_000),
        ("1.5G", 1_500_000_000),
        ("2T", 2 * 10**12),
        ("9000", 9000),
        (" 10M ", 10_000_000),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_rates_are_decimal_bits(text: str, bits: int) -> None:
    assert units.parse_rate(text) == bits


@pytest.mark.parametrize("text", ["", "M", "-1M", "1m", "100Mbit", "1e9", "unlimited", "1,5G", "nan", "inf", "\uff11M"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate in bits a second such as 100M"):
        units.parse_rate(text)


@pytest.mark.parametrize(("text", "count"), [("64k", 65_536), ("1M", 1_048_576), ("1400", 1400), ("0.5k", 512)])
def test_sizes_are_binary_bytes(text: str, count: int) -> None:
    assert units.parse_size(text) == count


def test_what_is_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="'64q' is not a size in bytes such as"):
        units.parse_size("64q")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("2m", 120.0),
        ("0.1s", 0.1),
        ("500ms", 0.5),
        ("5", 5.0),
        ("1h", 3600.0),
        ("100us", 1e-4),
        ("2min", 120),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-5s", "5 parsecs", "1d", "inf", "5M", "9" * 400, "0." + "1" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 5s"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("bits", "shown"),
    [
        (956_000_000, "956 Mbit/s"),
        (956_400_000, "956 Mbit/s"),
        (94_120_000, "94.1 Mbit/s"),
        (9_412_345_678, "9.41 Gbit/s"),
        (999_950_000, "1.00 Gbit/s"),
        (0, "0 bit/s"),
        (64_000, "64 kbit/s"),
    ],
)
def test_rates_are_shown_with_three_digits(bits: float, shown: str) -> None:
    assert units.format_rate(bits) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0000521, "52.1 µs"),
        (0.00125, "1.25 ms"),
        (0.05, "50 ms"),
        (5.05, "5.05 s"),
        (0, "0 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (11_220, "3 h 07 min"),
    ],
)
def test_durations_are_shown_in_the_unit_that_fits(seconds: float, shown: str) -> None:
    assert units.format_duration(seconds) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (1_250_000_000, "1.25 GB"), (1500, "1.50 kB"), (12, "12 B")])
def test_data_is_shown_in_decimal_units(count: int, shown: str) -> None:
    assert units.format_bytes(count) == shown


@pytest.mark.parametrize(
    ("values", "unit", "label"),
    [
        ([941e6, 94e6, None], "bit/s", "Mbit/s"),
        ([941e6, 9.4e9], "bit/s", "Gbit/s"),
        ([52e-6, 90e-6], "s", "µs"),
        ([52e-6, 1.2e-3], "s", "ms"),
        ([21_000.0], "1/s", "k/s"),
        ([0.02], "1", ""),
        ([None], "bit/s", "bit/s"),
        ([0.0], "s", "s"),
        ([1400.0], "bytes", "bytes"),
    ],
)
def test_a_matrix_is_scaled_to_one_unit(values: list[float | None], unit: str, label: str) -> None:
    assert units.scale(values, unit)[1] == label


def test_the_factor_turns_base_units_into_the_label() -> None:
    factor, _ = units.scale([941e6], "bit/s")
    assert 941e6 * factor == pytest.approx(941)


@given(st.floats(min_value=1e-6, max_value=5e14))
def test_a_shown_rate_is_within_rounding_of_the_true_one(bits: float) -> None:
    number, label = units.format_rate(bits).split()
    prefix = label.removesuffix("bit/s")
    shown = float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert shown == pytest.approx(bits, rel=0.006, abs=0.006)
