"""A port or a policy is in the way: one protocol passes, the other does not."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen

_NO_CONNECTION = ("refused", "timeout", "unreachable")
_REFUSED = {"refused": "refused"}


def judge(seen: Seen) -> Iterator[Claim]:
    """Probes are answered and connections are not, or the other way round."""
    probed = (seen.value("udp-latency", "messages_per_second", instrument="stamp") or 0) > 0
    for direction in DIRECTIONS:
        reason = seen.gap("tcp-connect", direction)
        if reason is not None and reason.code in _NO_CONNECTION and (probed or reason.code == "refused"):
            source, target = seen.ends(direction)
            yield Claim(
                {"source": source, "target": target, "protocol": "TCP"},
                0.9,
                f"Connections from {source} to {target} are {_REFUSED.get(reason.code, 'not answered')}, while probes "
                "by UDP are: a rule or policy is in the way.",
                (Fact(what=f"tcp-connect, {seen.arrow(direction)}: {reason.message}"),),
            )
    connected = seen.value("tcp-connect", "connect_seconds") is not None
    reason = seen.gap("udp-latency", "forward", instrument="stamp")
    if connected and reason is not None and reason.code in (*_NO_CONNECTION, "loss"):
        yield Claim(
            {"source": seen.source, "target": seen.target, "protocol": "UDP"},
            0.85,
            f"Probes by UDP from {seen.source} to {seen.target} are not answered, while connections are.",
            (Fact(what=f"udp-latency: {reason.message}"),),
        )


RULE = Rule(
    code="blocked",
    needs=("probe", "connect"),
    judge=judge,
    look=(
        "kubectl get networkpolicies -A",
        "iptables -S | grep -e DROP -e REJECT",
        "nft list ruleset | grep -e drop -e reject",
    ),
    advice="Look for a NetworkPolicy or a firewall rule between the two nodes that names the ports 61862 to 61870.",
    explains=("insufficient_evidence", "loss_on_path"),
)
