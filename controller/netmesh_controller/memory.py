"""How the process gives memory back that it does not need any more."""

from __future__ import annotations

import ctypes

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES, _KEPT_BYTES = 1 << 20, 16 << 20


def give_back_large_arrays() -> None:
    """Every array of a megabyte or more is a mapping of its own from now on, and ends with it (mallopt(3)).

    By default the C library learns from the first large arrays that are freed to keep such ones in its heap, where
    what is between them stays: of a thousand nodes' windows that was 130 of 330 MB. Nothing is done where it has no
    such call.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
