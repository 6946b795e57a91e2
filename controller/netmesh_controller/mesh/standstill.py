"""Did a ping-pong stand still at its end? Pure.

qperf's udp_lat waits for ever for a datagram that was lost, counts the rest of its time in, and says nothing of it:
its counts are those of a healthy run. While it waits, nothing is sent and nothing is computed, and that shows in the
samples of its host.
"""

from __future__ import annotations

from netmesh_controller.mesh.hostsamples import Sample, Samples

# The last stretch of the test that is looked at, less what the reading of the samples and the end of the tool blur.
LAST_SECONDS = 0.45
MARGIN_SECONDS = 0.03
# With fewer packets, or less CPU time, than this in such a stretch on average nothing can be told from it.
_LEAST_PACKETS = 10
_LEAST_CPU_SECONDS = 0.05
_STILL = 0.3


def stood_still(samples: Samples, start: float, end: float) -> bool:
    """Whether the source sent far less, or its tool worked far less, in the last stretch than in all of the test.

    `start` and `end` of the test are on the samples' own clock. False where the samples cannot tell: a loss in the
    last 0.3 s of a test is not seen, and makes its latency too large by that share of its time at most.
    """
    whole = samples.between(start, end - MARGIN_SECONDS)
    last = samples.between(max(start, end - MARGIN_SECONDS - LAST_SECONDS), end - MARGIN_SECONDS)
    if len(last) < 2 or len(whole) <= len(last):
        return False
    share = float(last.moments[-1] - last.moments[0]) / float(whole.moments[-1] - whole.moments[0])
    first, turn, until = whole[0], last[0], whole[-1]
    return _stopped(_sent(first, until), _sent(turn, until), share, _LEAST_PACKETS) or _stopped(
        _used(first, until), _used(turn, until), share, _LEAST_CPU_SECONDS
    )


def _stopped(whole: float | None, last: float | None, share: float, least: float) -> bool:
    if whole is None or last is None or whole * share < least:
        return False
    return last < _STILL * whole * share


def _sent(first: Sample, last: Sample) -> float | None:
    before, after = first.device.get("sent_packets"), last.device.get("sent_packets")
    return after - before if isinstance(before, int) and isinstance(after, int) else None


def _used(first: Sample, last: Sample) -> float | None:
    before, after = first.tool_cpu_seconds, last.tool_cpu_seconds
    return after - before if before is not None and after is not None else None
