"""The way between two zones is slow, whoever uses it."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rates import TEST, VALUE, shortfalls
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """Other pairs of the same two zones are as slow, and pairs within a zone are not."""
    for short in shortfalls(seen):
        source, target = seen.ends(short.direction)
        zones = (seen.zone(source), seen.zone(target))
        if None in zones or zones[0] == zones[1]:
            continue
        others = seen.others(TEST, VALUE)
        between = [value for pair, value in others.items() if (seen.zone(pair[0]), seen.zone(pair[1])) == zones]
        within = [value for pair, value in others.items() if seen.zone(pair[0]) == seen.zone(pair[1])]
        if between and within and max(between) < 1.25 * short.here and min(within) > 1.25 * short.here:
            yield Claim(
                {"source_zone": str(zones[0]), "target_zone": str(zones[1])},
                0.85,
                f"From zone {zones[0]} to zone {zones[1]} {max(between) / 1e6:.0f} Mbit/s get through at most, "
                f"within a zone {min(within) / 1e6:.0f}.",
                (
                    short.fact(seen),
                    Fact(what="other pairs of these zones", measured=max(between), expected=min(within), unit="bit/s"),
                ),
            )


RULE = Rule(
    code="slow_zone_pair",
    needs=("bandwidth", "others"),
    judge=judge,
    look=(
        "netmesh-controller sweep --pairs zones",
        "tracepath -n ADDRESS",
    ),
    advice="Look at what connects the two zones: its capacity, its load, who else pays for it.",
    explains=("asymmetric", "rate_limited", "slow_node", "bufferbloat"),
)
