"""Units at the edge: what people type becomes SI base units, and SI base units become what people read.

Rates are decimal bits a second, sizes binary bytes, durations seconds, as iperf3 and tc take them. Inside, and in
every file, values stay in SI base units.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

# More digits than any quantity has are no number: some hundred of them are beyond every float.
_NUMBER = re.compile(r"([0-9]{1,30}(?:\.[0-9]{1,30})?|\.[0-9]{1,30})\s*([A-Za-zµ]*)")
_DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"": 1, "k": 2**10, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# How many of a unit make a second: dividing by them keeps 100ms the same float as 0.1s.
_PER_SECOND = {"": 1, "s": 1, "ms": 10**3, "us": 10**6, "µs": 10**6}
_SECONDS = {"m": 60, "min": 60, "h": 3600}

# From small to large: (how many of the base unit make one of this, its label).
_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "bit/s": ((1.0, "bit/s"), (1e3, "kbit/s"), (1e6, "Mbit/s"), (1e9, "Gbit/s"), (1e12, "Tbit/s")),
    "s": ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "B": ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB")),
    "1/s": ((1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")),
}


def parse_rate(text: str) -> int:
    """Bits a second of a decimal rate: `100M` is 100,000,000. Raises ValueError with a sentence."""
    return _whole(text, _DECIMAL, "a rate in bits a second such as 100M, 1.5G or 64k")


def parse_size(text: str) -> int:
    """Bytes of a binary size: `64k` is 65,536. Raises ValueError with a sentence."""
    return _whole(text, _BINARY, "a size in bytes such as 1400, 64k or 1M")


def parse_duration(text: str) -> float:
    """Seconds of `5s`, `500ms`, `2m`, `1h` or a plain number of seconds. Raises ValueError with a sentence."""
    match = _NUMBER.fullmatch(text.strip())
    if match is not None:
        number, suffix = float(match[1]), match[2]
        if suffix in _PER_SECOND:
            return number / _PER_SECOND[suffix]
        if suffix in _SECONDS:
            return number * _SECONDS[suffix]
    raise ValueError(f"'{text}' is not a duration such as 5s, 0.1s, 500ms or 2m")


def _whole(text: str, multipliers: dict[str, int], wanted: str) -> int:
    match = _NUMBER.fullmatch(text.strip())
    if match is None or match[2] not in multipliers:
        raise ValueError(f"'{text}' is not {wanted}")
    number, multiplier = match[1], multipliers[match[2]]
    # Whole numbers stay exact beyond 2^53.
    return int(number) * multiplier if number.isdigit() else round(float(number) * multiplier)


def scale(values: Iterable[float | None], unit: str) -> tuple[float, str]:
    """The factor and the label that show all `values`, given in the SI `unit`, in one readable unit.

    The unit is chosen so that the largest value is at least 1 of it: scale([941e6, 94e6], "bit/s") is
    (1e-6, "Mbit/s"). A unit that is not scaled ("1": counts and ratios) has the factor 1 and itself as label.
    """
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    divisor, label = _unit_for(max(known, default=0.0), unit)
    return 1 / divisor, label


def _unit_for(largest: float, unit: str) -> tuple[float, str]:
    if unit not in _SCALES:
        return 1.0, "" if unit == "1" else unit
    if largest == 0:
        return next(step for step in _SCALES[unit] if step[0] == 1.0)
    chosen = _SCALES[unit][0]
    for step in _SCALES[unit]:
        # 999.9 k is shown as 1.00 M: what counts is the value after rounding to three digits.
        if largest >= step[0] * 0.9995:
            chosen = step
    return chosen


def _three_digits(value: float) -> str:
    """The value, below 1,000, with three significant digits: 1.23, 12.3, 123."""
    for bound, places in ((9.995, 2), (99.95, 1)):
        if abs(value) < bound:
            return f"{value:.{places}f}"
    return f"{value:.0f}"


def _scaled(value: float, unit: str) -> str:
    divisor, label = _unit_for(abs(value), unit)
    number = value / divisor
    exact = number == int(number) and abs(number) < 1000
    return f"{int(number) if exact else _three_digits(number)} {label}"


def format_rate(bits_per_second: float) -> str:
    """A rate for people: 956 Mbit/s."""
    return _scaled(bits_per_second, "bit/s")


def format_bytes(count: float) -> str:
    """An amount of data for people, in decimal units: 1.25 GB."""
    return _scaled(count, "B")


def format_duration(seconds: float) -> str:
    """A time for people: 52.1 µs, 5.05 s, 2 min 05 s, 3 h 07 min."""
    if abs(seconds) < 59.95:
        return _scaled(seconds, "s")
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"
