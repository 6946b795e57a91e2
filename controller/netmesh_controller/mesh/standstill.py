"""Did a ping-pong stand still at its end? Pure.

qperf's udp_lat waits for ever for a datagram that was lost, counts the rest of its time in, and says nothing of it:
its counts are those of a healthy run. While it waits, nothing is sent and nothing is computed, and that shows in the
samples of its host.
"""

from __future__ import annotations

from collections.abc import Sequence

from netmesh_controller.mesh.hostwindow import Sample

# The last stretch of the test that is looked at, less what the reading of the samples and the end of the tool blur.
LAST_SECONDS = 0.45
MARGIN_SECONDS = 0.03
# With fewer packets, or less CPU time, than this in such a stretch on average nothing can be told from it.
_LEAST_PACKETS = 10
_LEAST_CPU_SECONDS = 0.05
_STILL = 0.3


def stood_still(samples: Sequence[Sample], start: float, end: float) -> bool:
    """Whether the source sent far less, or its tool worked far less, in the last stretch than in all of the test.

    `start` and `end` of the test are on the samples' own clock. False where the samples cannot tell: a loss in the
    last 0.3 s of a test is not seen, and makes its latency too large by that share of its time at most.
    """
    whole = [one for one in samples if start <= one.monotonic_seconds <= end - MARGIN_SECONDS]
    last = [one for one in whole if one.monotonic_seconds >= end - MARGIN_SECONDS - LAST_SECONDS]
    if len(last) < 2 or len(whole) <= len(last):
        return False
    seconds = last[-1].monotonic_seconds - last[0].monotonic_seconds
    share = seconds / (whole[-1].monotonic_seconds - whole[0].monotonic_seconds)
    return _stopped(_sent(whole), _sent(last), share, _LEAST_PACKETS) or _stopped(
        _used(whole), _used(last), share, _LEAST_CPU_SECONDS
    )


def _stopped(whole: float | None, last: float | None, share: float, least: float) -> bool:
    if whole is None or last is None or whole * share < least:
        return False
    return last < _STILL * whole * share


def _sent(samples: Sequence[Sample]) -> float | None:
    first, last = (one.device.get("sent_packets") for one in (samples[0], samples[-1]))
    return last - first if isinstance(first, int) and isinstance(last, int) else None


def _used(samples: Sequence[Sample]) -> float | None:
    first, last = samples[0].tool_cpu_seconds, samples[-1].tool_cpu_seconds
    return last - first if first is not None and last is not None else None
