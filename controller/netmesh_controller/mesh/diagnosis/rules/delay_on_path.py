"""The way itself takes long."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.latency import before, network, of_others, one_way
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

# So much more than others', and at least that: a rack further away is no fault.
_TIMES, _LEAST_SECONDS = 3.0, 0.5e-3
# Without others to compare with: no network within a site takes that long.
_LONG_SECONDS = 5e-3


def judge(seen: Seen) -> Iterator[Claim]:
    """The network's median round trip is far above that of other pairs."""
    here, others = network(seen, "p50"), of_others(seen, "p50")
    if here is None:
        return
    best = min(others.values(), default=None)
    past = before(seen, "p50")
    origin = "others now, by STAMP"
    if best is None and past is not None:
        best, origin = past
        if here < _TIMES * best or here - best < _LEAST_SECONDS:
            return
        confidence = 0.75
    elif best is None:
        if here < _LONG_SECONDS:
            return
        confidence = 0.6
    elif here < _TIMES * best or here - best < _LEAST_SECONDS:
        return
    else:
        # Only pairs that share an end with this one can show that neither end is the cause.
        ends = {seen.source, seen.target}
        confidence = 0.9 if ends <= {node for pair in others for node in pair} else 0.7
    low, high = network(seen, "p10"), network(seen, "p90")
    if best is not None and low is not None and high is not None and low - best < high - low:
        return  # at its best it is short: jitter_on_path
    shared = [pair for pair, value in others.items() if value > 0.5 * here]
    if shared:
        return  # the end that they have in common is slow, which slow_node says
    there, back = one_way(seen, "forward_delay_seconds"), one_way(seen, "return_delay_seconds")
    where = {"source": seen.source, "target": seen.target}
    way = f"between {seen.source} and {seen.target}"
    if there is not None and back is not None and max(there, back) > 3 * min(there, back):
        where = where if there > back else {"source": seen.target, "target": seen.source}
        way = f"from {where['source']} to {where['target']}"
    yield Claim(
        where,
        confidence,
        f"The network takes {here * 1e3:.2f} ms for the way {way} and back"
        + (
            f", and {best * 1e3:.2f} ms {'between others' if others else 'in earlier runs'}."
            if best is not None
            else "."
        ),
        (
            Fact(what="network round trip, p50", measured=here, expected=best, unit="s", source=origin),
            *(
                [Fact(what="the same before", measured=past[0], unit="s", source=past[1])]
                if past is not None and others
                else []
            ),
            Fact(what="one way there", measured=there, unit="s", source="STAMP"),
            Fact(what="one way back", measured=back, unit="s", source="STAMP"),
        ),
    )


RULE = Rule(
    code="delay_on_path",
    needs=("probe",),
    judge=judge,
    look=(
        "ip route get ADDRESS",
        "tracepath -n ADDRESS",
        "tc -s qdisc show dev DEVICE",
    ),
    advice="Compare the routes of both directions; a detour, a tunnel or a queue that never empties stands in the way.",
    explains=("window_limited", "rate_limited", "asymmetric", "slow_zone_pair", "jitter_on_path", "service_cost"),
)
