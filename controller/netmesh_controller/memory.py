"""How the process gives memory back that it does not need any more."""

from __future__ import annotations

import ctypes
from typing import Any

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES, _KEPT_BYTES = 1 << 20, 16 << 20


def give_back_large_arrays() -> None:
    """Every array of a megabyte or more is a mapping of its own from now on, and ends with it (mallopt(3)).

    By default the C library learns from the first large arrays that are freed to keep such ones in its heap, where
    what is between them stays: of a thousand nodes' windows that was 130 of 330 MB. Nothing is done where it has no
    such call.
    """
    mallopt = _call("mallopt")
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """What was freed goes back to the system now (malloc_trim(3)): of a thousand connections that ended, 100 MB."""
    trim = _call("malloc_trim")
    if trim is not None:
        trim(0)


def _call(name: str) -> Any:
    """A call of the C library; None where it has no such call."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
