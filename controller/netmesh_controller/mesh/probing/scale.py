"""Times as small whole numbers on a logarithmic scale: two bytes a time instead of eight, with a stated error.

Code 0 is unknown. Codes 1 to 65535 are the times from 100 ns to 100 s in equal ratios, so that a time read back is off
by at most `RELATIVE_ERROR` (0.016 %); shorter and longer ones become the first and the last code.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.uint16]
UNKNOWN = 0
SHORTEST_SECONDS = 100e-9
LONGEST_SECONDS = 100.0
_STEPS = 65534
_STEP = math.log(LONGEST_SECONDS / SHORTEST_SECONDS) / _STEPS
RELATIVE_ERROR = math.expm1(_STEP / 2)


def encode(seconds: ArrayLike) -> Codes:
    """Codes of times in seconds; not-a-number is unknown, and so is a time that is not above 0."""
    times = np.asarray(seconds, dtype=np.float64)
    known = times > 0
    bounded = np.clip(np.where(known, times, SHORTEST_SECONDS), SHORTEST_SECONDS, LONGEST_SECONDS)
    codes = np.rint(np.log(bounded / SHORTEST_SECONDS) / _STEP).astype(np.uint16) + np.uint16(1)
    return np.where(known, codes, np.uint16(UNKNOWN)).astype(np.uint16)


def decode(codes: ArrayLike) -> NDArray[np.float64]:
    """Times in seconds of codes; unknown is not-a-number."""
    numbers = np.asarray(codes, dtype=np.float64)
    times = SHORTEST_SECONDS * np.exp((numbers - 1) * _STEP)
    return np.where(numbers == UNKNOWN, np.nan, times)
