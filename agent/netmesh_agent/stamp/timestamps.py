"""The time stamps of STAMP and their error estimates. Pure; times are integer nanoseconds of the Unix epoch (UTC).

Two formats: the NTP 64-bit one (RFC 5905 §6, seconds since 1900 and a binary fraction) and the truncated one of PTPv2
(RFC 8186 §2, seconds and nanoseconds). Each packet says by the Z flag of its own error estimate which one it uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NANOSECONDS = 1_000_000_000
# Seconds from 1900-01-01 to 1970-01-01 (RFC 5905, figure 4).
NTP_EPOCH_SECONDS = 2_208_988_800

_ERA_SECONDS = 1 << 32
_MASK_32 = _ERA_SECONDS - 1
_MASK_64 = (1 << 64) - 1
_HALF_32, _HALF_64 = 1 << 31, 1 << 63
_NTP_EPOCH_NANOSECONDS = NTP_EPOCH_SECONDS * NANOSECONDS

# RFC 4656 §4.1.2, RFC 8186 §2.3: S | Z | Scale (6 bits) | Multiplier (8 bits).
SYNCHRONIZED = 0x8000
PTP_FORMAT = 0x4000
_LARGEST_SCALE = 63


@dataclass(frozen=True, slots=True)
class ErrorEstimate:
    """A party's word on its clock.

    `synchronized`: its clock is kept to UTC by an external source. `ptp`: its stamps have the truncated PTPv2 format.
    `error_seconds` is None where the field is not a valid one (a multiplier of 0, RFC 4656 §4.1.2).
    """

    synchronized: bool
    ptp: bool
    error_seconds: float | None


def ntp_from_nanoseconds(nanoseconds: int) -> int:
    """The 64 bits of an NTP stamp; seconds wrap with the era (first in February 2036)."""
    return (((nanoseconds + _NTP_EPOCH_NANOSECONDS) << 32) // NANOSECONDS) & _MASK_64


def ptp_from_nanoseconds(nanoseconds: int) -> int:
    """The 64 bits of a truncated PTPv2 stamp; seconds wrap in 2106."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return (seconds & _MASK_32) << 32 | rest


def nanoseconds_from_ntp(stamp: int, near: int) -> int:
    """The moment that an NTP stamp names, in the era that brings it within 68 years of `near`.

    Rounded to the nearest nanosecond, so that what `ntp_from_nanoseconds` made comes back exactly.
    """
    # Since 1900 in units of 2^-32 s, without the wrap.
    units = ((near + _NTP_EPOCH_NANOSECONDS) << 32) // NANOSECONDS
    units += ((stamp - units + _HALF_64) & _MASK_64) - _HALF_64
    return ((units * NANOSECONDS + _HALF_32) >> 32) - _NTP_EPOCH_NANOSECONDS


def nanoseconds_from_ptp(stamp: int, near: int) -> int | None:
    """The moment that a truncated PTPv2 stamp names within 68 years of `near`; None where it is not one."""
    seconds, rest = stamp >> 32, stamp & _MASK_32
    if rest >= NANOSECONDS:
        return None
    near_seconds = near // NANOSECONDS
    distance = (seconds - near_seconds) & _MASK_32
    if distance >> 31:
        distance -= _ERA_SECONDS
    return (near_seconds + distance) * NANOSECONDS + rest


def nanoseconds_from_stamp(stamp: int, error_estimate: int, near: int) -> int | None:
    """The moment of a stamp in the format that its party's `error_estimate` names.

    None for 0, which says that there is none, and for what is no stamp of that format.
    """
    if stamp == 0:
        return None
    if error_estimate & PTP_FORMAT:
        return nanoseconds_from_ptp(stamp, near)
    return nanoseconds_from_ntp(stamp, near)


def stamp_from_nanoseconds(nanoseconds: int, *, ptp: bool) -> int:
    """The 64 bits of a stamp in the format asked for."""
    return ptp_from_nanoseconds(nanoseconds) if ptp else ntp_from_nanoseconds(nanoseconds)


def encode_error_estimate(error_seconds: float | None, *, ptp: bool = False) -> int:
    """The 16 bits of an error estimate: never smaller than `error_seconds`, larger by less than 1 % or 2^-32 s.

    None (nobody keeps this clock) sets no S flag, and the largest error that the field can state.
    """
    flags = PTP_FORMAT if ptp else 0
    if error_seconds is None:
        return flags | _LARGEST_SCALE << 8 | 0xFF
    units = max(1, math.ceil(error_seconds * 2**32))
    scale = max(0, units.bit_length() - 8)
    multiplier = -(-units >> scale)
    if multiplier > 0xFF:
        scale, multiplier = scale + 1, -(-units >> scale + 1)
    if scale > _LARGEST_SCALE:
        return flags | _LARGEST_SCALE << 8 | 0xFF
    return flags | SYNCHRONIZED | scale << 8 | multiplier


def decode_error_estimate(field: int) -> ErrorEstimate:
    """What 16 bits of an error estimate say."""
    multiplier, scale = field & 0xFF, field >> 8 & 0x3F
    error = multiplier * 2.0 ** (scale - 32) if multiplier else None
    return ErrorEstimate(bool(field & SYNCHRONIZED), bool(field & PTP_FORMAT), error)
