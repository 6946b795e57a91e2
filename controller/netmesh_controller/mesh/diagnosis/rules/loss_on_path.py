"""Packets are lost between the two hosts."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.loss import DEVICE_ERRORS, earlier_loss, losses
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """Probes are lost one way, and the receiving host counts no drops of its own that would explain it."""
    for lost in losses(seen):
        if lost.is_hosts:
            continue
        source, target = seen.ends(lost.direction)
        yield Claim(
            {"source": source, "target": target},
            min(0.95, 0.7 + lost.ratio * lost.sent / 100),
            f"{lost.ratio:.2%} of the probes from {source} to {target} are lost on the way.",
            (
                Fact(what=f"loss, {source} -> {target}", measured=lost.ratio, expected=0.0, source="STAMP's sequences"),
                *earlier_loss(seen),
                *_dropped(target, lost.at_target),
                *(
                    Fact(what=f"{name.removeprefix('device.')}", measured=float(count), expected=0.0, source=target)
                    for name, count in seen.host_probed.get(target, {}).items()
                    if name in DEVICE_ERRORS and count
                ),
            ),
        )


def _dropped(target: str, count: int | None) -> Iterator[Fact]:
    if count is not None:
        yield Fact(what=f"dropped by {target} itself", measured=float(count), expected=0.0, source=target)


RULE = Rule(
    code="loss_on_path",
    needs=("probe",),
    judge=judge,
    look=(
        "ip -s -s link show dev DEVICE",
        "ethtool -S DEVICE | grep -i -e err -e crc",
        "ethtool -m DEVICE",
    ),
    advice="Look at the errors and drops of the devices and switch ports in between, cables and optics first.",
    explains=(
        *("rate_limited", "asymmetric", "slow_node", "jitter_on_path", "window_limited", "slow_zone_pair"),
        # What is lost is sent again, and costs both ends CPU.
        *("cpu_bound_sender", "cpu_bound_receiver", "softirq_bound"),
    ),
)
