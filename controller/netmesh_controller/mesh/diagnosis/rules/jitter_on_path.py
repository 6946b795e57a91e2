"""The way takes now short, now long."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.latency import before, network, of_others
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

_TIMES, _LEAST_SECONDS = 3.0, 0.7e-3


def judge(seen: Seen) -> Iterator[Claim]:
    """The spread of the network's round trip (p90 less p10) is far above its middle and that of other pairs."""
    high, low, middle = (network(seen, statistic) for statistic in ("p90", "p10", "p50"))
    if high is None or low is None or middle is None:
        return
    spread = high - low
    others = of_others(seen, "p90")
    lows = of_others(seen, "p10")
    best = min((value - lows[pair] for pair, value in others.items() if pair in lows), default=None)
    origin = "others now, by STAMP"
    past = (before(seen, "p90"), before(seen, "p10"))
    if best is None and past[0] is not None and past[1] is not None:
        best, origin = past[0][0] - past[1][0], past[0][1]
    if spread < _LEAST_SECONDS or spread < 0.3 * middle or (best is not None and spread < _TIMES * best):
        return
    usual = min(of_others(seen, "p50").values(), default=None)
    if usual is not None and low - usual > spread:
        return  # it is always long: delay_on_path
    # Only pairs that share an end with this one can show that neither end is the cause.
    between = {seen.source, seen.target} <= {node for pair in others for node in pair}
    yield Claim(
        {"source": seen.source, "target": seen.target},
        0.85 if between else 0.7 if best is not None else 0.6,
        f"The network's round trip between {seen.source} and {seen.target} varies by {spread * 1e3:.2f} ms.",
        (Fact(what="network round trip, p90 - p10", measured=spread, expected=best, unit="s", source=origin),),
    )


RULE = Rule(
    code="jitter_on_path",
    needs=("probe",),
    judge=judge,
    look=(
        "tc -s qdisc show dev DEVICE",
        "tracepath -n ADDRESS",
        "cat /proc/interrupts",
    ),
    advice="A queue fills and empties: look for bursts of other traffic, or for unlike paths in one way.",
    explains=("delay_on_path", "rate_limited", "asymmetric", "bufferbloat"),
)
