"""One direction carries much less than the other."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

_RATIO = 0.7


def judge(seen: Seen) -> Iterator[Claim]:
    """The slower direction gets less than 70 % of the faster."""
    there = seen.value("tcp-bandwidth", "bits_per_second", "forward", streams=1)
    back = seen.value("tcp-bandwidth", "bits_per_second", "back", streams=1)
    if there is None or back is None or min(there, back) >= _RATIO * max(there, back):
        return
    source, target = seen.ends("forward" if there < back else "back")
    yield Claim(
        {"source": source, "target": target},
        0.7,
        f"{source} to {target} gets {min(there, back) / 1e6:.0f} Mbit/s, the other way {max(there, back) / 1e6:.0f}.",
        (
            Fact(
                what=f"received, {source} -> {target}",
                measured=min(there, back),
                expected=max(there, back),
                unit="bit/s",
                source="the other direction",
            ),
        ),
    )


RULE = Rule(
    code="asymmetric",
    needs=("bandwidth",),
    judge=judge,
    look=(
        "ip route get ADDRESS",
        "tc -s qdisc show",
        "tracepath -n ADDRESS",
    ),
    advice="Compare the routes and the shaping of both directions.",
)
