"""A stream waits for its window: the buffers are too small for the way's bandwidth and delay."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.latency import network
from netmesh_controller.mesh.diagnosis.rates import shortfalls
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

_LIFTED = 2.0


def judge(seen: Seen) -> Iterator[Claim]:
    """Four streams get several times as much as one, without loss: bandwidth x delay (RFC 1323 section 1.1)."""
    for short in shortfalls(seen):
        four = seen.value("tcp-bandwidth", "bits_per_second", short.direction, streams=4)
        round_trip = network(seen, "p50")
        if four is None or round_trip is None or four < _LIFTED * short.here:
            continue
        source, target = seen.ends(short.direction)
        window = short.here * round_trip / 8
        limits = [(node, name, seen.setting(node, name)) for node, name in ((target, "tcp_rmem"), (source, "tcp_wmem"))]
        small = [
            (node, name, int(text.split()[-1]))
            for node, name, text in limits
            if text and int(text.split()[-1]) < 2 * short.expected * round_trip / 8
        ]
        facts = [
            Fact(what=f"largest {name}", measured=float(size), unit="bytes", source=node) for node, name, size in small
        ]
        yield Claim(
            {"source": source, "target": target},
            0.9 if small else 0.7,
            f"One stream from {source} to {target} gets {short.here / 1e6:.0f} Mbit/s and four get {four / 1e6:.0f}: "
            f"a window of about {window / 1024:.0f} KiB is too small for a round trip of {round_trip * 1e3:.2f} ms.",
            (
                short.fact(seen),
                Fact(what="four streams together", measured=four, expected=4 * short.here, unit="bit/s"),
                Fact(what="network round trip, p50", measured=round_trip, unit="s", source="STAMP"),
                *facts,
            ),
        )


RULE = Rule(
    code="window_limited",
    needs=("bandwidth", "streams"),
    judge=judge,
    look=(
        "sysctl net.ipv4.tcp_rmem net.ipv4.tcp_wmem net.core.rmem_max",
        "ss -tin dst ADDRESS",
    ),
    advice="Raise net.ipv4.tcp_rmem and tcp_wmem above bandwidth x round trip, or use several streams.",
    explains=("asymmetric", "rate_limited", "slow_node", "delay_on_path", "slow_zone_pair"),
)
