"""Notices that this host's wall clock was set: times from before and after that do not compare."""

from __future__ import annotations

import time

# A clock was set when it moved by more than this beyond what two readings of it can be apart: slewing is slower.
_SET_NANOSECONDS = 1_000_000
# NTP slews by at most 500 ppm (adjtimex(2)).
_SLEWED_ONE_IN = 1000


class ClockWatch:
    """Counts how often the wall clock was set, as far as it was looked at: it is held against the monotonic one."""

    __slots__ = ("_last", "sets")

    def __init__(self) -> None:
        self.sets = 0
        self._last: tuple[int, int, int] | None = None

    def look(self) -> int:
        """How often it has been set up to now."""
        before = time.monotonic_ns()
        offset = time.time_ns() - before
        apart = time.monotonic_ns() - before
        last, self._last = self._last, (before, offset, apart)
        if last is not None:
            slewed = (before - last[0]) // _SLEWED_ONE_IN
            if abs(offset - last[1]) > apart + last[2] + slewed + _SET_NANOSECONDS:
                self.sets += 1
        return self.sets
