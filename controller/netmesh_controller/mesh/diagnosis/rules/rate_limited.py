"""A rate is held to: a shaper, a policer, a slow link on this way alone."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rates import others_from, others_to, shortfalls, steadiness
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.udp import udp_facts

_STEADY = 0.25


def judge(seen: Seen) -> Iterator[Claim]:
    """A steady rate below what both ends reach with others, which more streams do not lift."""
    for short in shortfalls(seen):
        source, target = seen.ends(short.direction)
        elsewhere = [*others_from(seen, source), *others_to(seen, target)]
        if elsewhere and any(value < 1.25 * short.here for value in elsewhere):
            continue  # an end is slow with others too: slow_node
        steady = steadiness(seen, short.direction)
        four = seen.value("tcp-bandwidth", "bits_per_second", short.direction, streams=4)
        lifted = four is not None and four > 1.5 * short.here
        if lifted:
            continue
        confidence = 0.65 + (0.1 if four is not None else 0.0) + (0.1 if elsewhere else 0.0)
        confidence += 0.1 if steady is not None and steady < _STEADY else -0.05
        yield Claim(
            {"source": source, "target": target},
            confidence,
            f"{source} reaches {target} with {short.here / 1e6:.0f} Mbit/s at most, others with "
            f"{short.expected / 1e6:.0f}; more streams get no more.",
            (
                short.fact(seen),
                Fact(what="four streams together", measured=four, expected=short.expected, unit="bit/s"),
                Fact(what="spread of its intervals", measured=steady, expected=_STEADY, source="iperf3"),
                *udp_facts(seen, short.direction),
            ),
        )


RULE = Rule(
    code="rate_limited",
    needs=("bandwidth", "others", "streams"),
    judge=judge,
    look=(
        "tc -s qdisc show",
        "tc -s filter show dev DEVICE",
        "kubectl get pod POD -o jsonpath='{.metadata.annotations}'",
    ),
    advice="Look for a shaper or policer on this way (tc qdisc, the pods' bandwidth annotations, a cloud's limits).",
    explains=("asymmetric", "bufferbloat"),
)
