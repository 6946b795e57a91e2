"""Which failures are tried again: those that a second try can mend."""

from __future__ import annotations

# Attempts in all. `busy` is a normal answer (another controller measures there); `refused` and `tool_failed` are
# what a stranger's connection to a waiting server leaves behind, `timeout` what one that holds it does, or the loss
# of the one unprotected datagram that opens an iperf3 UDP test.
_ATTEMPTS = {"busy": 8, "refused": 3, "tool_failed": 3, "timeout": 2, "agent_lost": 3}
_DELAY_SECONDS = {"busy": 2.0}


def may_retry(code: str, attempt: int, held_seconds: float = 0.0) -> bool:
    """Whether the cell whose `attempt`-th attempt (1, 2, …) ended with `code` is tried again.

    `held_seconds` is for how long an agent may yet keep what a controller that was killed had opened there: until then
    `busy` says nothing of anybody who measures.
    """
    return attempt < _ATTEMPTS.get(code, 1) or (code == "busy" and held_seconds > 0)


def retry_delay_seconds(code: str) -> float:
    """How long to wait before that, before jitter."""
    return _DELAY_SECONDS.get(code, 0.0)
