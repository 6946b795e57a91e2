"""Large packets vanish without a word."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """`path-mtu` says so itself: larger packets were neither answered nor refused."""
    for direction in DIRECTIONS:
        if seen.value("path-mtu", "black_hole", direction) == 1:
            source, target = seen.ends(direction)
            size = seen.value("path-mtu", "mtu_bytes", direction)
            device = seen.fact(source, "mtu_bytes")
            yield Claim(
                {"source": source, "target": target},
                0.95,
                f"Packets larger than {size:.0f} bytes from {source} to {target} vanish without an ICMP error: "
                "transfers hang, small messages pass.",
                (Fact(what="largest packet that passes", measured=size, expected=device, unit="bytes", source=source),),
            )


RULE = Rule(
    code="mtu_black_hole",
    needs=("mtu",),
    judge=judge,
    look=(
        "ip link show dev DEVICE",
        "tracepath -n ADDRESS",
        "iptables -S | grep icmp",
        "sysctl net.ipv4.tcp_mtu_probing",
    ),
    advice="Give both ends the path's MTU, or let the ICMP errors 'fragmentation needed' and 'packet too big' pass "
    "(RFC 4821 section 1, RFC 2923).",
    explains=("rate_limited", "slow_node", "asymmetric", "insufficient_evidence", "mtu_mismatch", "slow_zone_pair"),
)
