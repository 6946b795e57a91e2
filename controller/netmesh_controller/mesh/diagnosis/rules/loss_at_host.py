"""Packets reach the host and are given up there."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.loss import HOST_DROPS, Lost, earlier_loss, losses
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """Probes are lost one way, and the receiving host's own counters account for at least half of them."""
    for lost in losses(seen):
        if not lost.is_hosts:
            continue
        source, target = seen.ends(lost.direction)
        counted = seen.probed.get(target, {})
        facts = [
            Fact(what=name, measured=float(counted[name]), expected=0.0, source=f"/proc/net on {target}")
            for name in HOST_DROPS
            if counted.get(name)
        ]
        if lost.no_room:
            facts.append(
                Fact(what="no room in the probes' socket", measured=float(lost.no_room), expected=0.0, source=target)
            )
        yield Claim(
            {"node": target},
            0.85,
            _sentence(lost, source, target),
            (
                Fact(
                    what="loss, both ways" if lost.no_room else f"loss, {source} -> {target}",
                    measured=lost.ratio,
                    expected=0.0,
                ),
                *earlier_loss(seen),
                *facts,
            ),
        )


def _sentence(lost: Lost, source: str, target: str) -> str:
    if not lost.no_room:
        return f"{lost.ratio:.2%} of the probes from {source} reach {target} and are dropped there."
    return (
        f"The socket at {target} had no room for {lost.no_room} packets while it was probed, and {lost.ratio:.2%} of "
        "the probes had no answer."
    )


RULE = Rule(
    code="loss_at_host",
    needs=("probe",),
    judge=judge,
    look=(
        "nstat -az UdpRcvbufErrors IpInDiscards TcpExtTCPBacklogDrop",
        "cat /proc/net/softnet_stat",
        "ethtool -g DEVICE",
    ),
    advice="Raise net.core.rmem_max and net.core.netdev_max_backlog, spread interrupts, or free CPU on that node.",
    explains=("rate_limited", "asymmetric", "jitter_on_path", "slow_node"),
)
