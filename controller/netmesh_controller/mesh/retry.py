"""Which failures are tried again: those that a second try can mend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

# Attempts that may end so. `busy` is a normal answer (another controller measures there); `refused`, `tool_failed` are
# what a stranger's connection to a waiting server leaves behind, `timeout` what one that holds it does, or the loss
# of the one unprotected datagram that opens an iperf3 UDP test.
_ATTEMPTS = {"busy": 8, "refused": 3, "tool_failed": 3, "timeout": 2, "agent_lost": 3}
_DELAY_SECONDS = {"busy": 2.0}


class Tries:
    """How the attempts at one measurement ended that gave no value."""

    def __init__(self) -> None:
        self._ended_with = Counter[str]()

    def again(self, codes: Set[str], held_seconds: float = 0.0) -> bool:
        """Whether it is tried again after one more attempt that ended with these codes.

        Each code counts by itself: who waited for a busy agent has not failed yet. `held_seconds` is for how long an
        agent may yet keep what a controller that was killed had opened there: until then `busy` says nothing of anybody
        who measures.
        """
        self._ended_with.update(codes)
        return all(
            self._ended_with[code] < _ATTEMPTS.get(code, 1) or (code == "busy" and held_seconds > 0) for code in codes
        )


def retry_delay_seconds(code: str) -> float:
    """How long to wait before that, before jitter."""
    return _DELAY_SECONDS.get(code, 0.0)
