"""Host samples that travel together: a message of each costs both ends more than all that is in it."""

from __future__ import annotations

import math

from netmesh.v1 import agent_pb2
from netmesh_agent.errors import Refused

MOST_SECONDS = 5.0


class Batch:
    """Keeps samples for up to `seconds`; 0: none is kept. The first goes at once: its arrival tells the clocks apart.

    Refused where `seconds` is not between 0 and `MOST_SECONDS`.
    """

    def __init__(self, seconds: float) -> None:
        if not (math.isfinite(seconds) and 0 <= seconds <= MOST_SECONDS):
            raise Refused("refused", f"batch_seconds is between 0 and {MOST_SECONDS:g}", "batch_seconds")
        self._nanoseconds = round(seconds * 1e9)
        self._kept: list[agent_pb2.HostSample] = []
        self._sent: int | None = None

    def add(self, sample: agent_pb2.HostSample) -> agent_pb2.HostSample | None:
        """Takes a sample; the message to send now, if it is time for one."""
        now = sample.monotonic_nanoseconds
        if self._sent is not None and now - self._sent < self._nanoseconds:
            self._kept.append(sample)
            return None
        self._sent = now
        sample.earlier.extend(self.rest())
        return sample

    def rest(self) -> list[agent_pb2.HostSample]:
        """What is kept, in order; it is kept no longer."""
        kept, self._kept = self._kept, []
        return kept

    def last(self) -> agent_pb2.HostSample | None:
        """What is kept, as one message."""
        kept = self.rest()
        if not kept:
            return None
        *earlier, sample = kept
        sample.earlier.extend(earlier)
        return sample
