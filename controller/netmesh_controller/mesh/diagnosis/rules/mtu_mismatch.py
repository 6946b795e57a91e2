"""The path carries less than the ends' devices say, or the ends differ."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """What passes is smaller than the sender's device, and larger packets are refused in words."""
    for direction in DIRECTIONS:
        source, target = seen.ends(direction)
        size = seen.value("path-mtu", "mtu_bytes", direction)
        device = seen.fact(source, "mtu_bytes")
        if size is None or device is None or seen.value("path-mtu", "black_hole", direction) != 0 or size >= device:
            continue
        yield Claim(
            {"source": source, "target": target},
            0.85,
            f"{source} sends packets of up to {device} bytes, and the way to {target} carries {size:.0f}: each new "
            "connection learns it by an ICMP error first.",
            (Fact(what="largest packet that passes", measured=size, expected=device, unit="bytes", source=source),),
        )


RULE = Rule(
    code="mtu_mismatch",
    needs=("mtu",),
    judge=judge,
    look=(
        "ip link show",
        "tracepath -n ADDRESS",
        "kubectl get configmaps -n kube-system",
    ),
    advice="Set one MTU on all nodes and in the network plugin, no larger than what the path carries.",
)
