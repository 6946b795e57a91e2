"""A queue on the way fills under load, and everything waits in it."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.latency import NETWORK, network
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen

# A queue of that much is felt by people and programs; a few ms are what a shaper needs.
_ADDED_SECONDS, _TIMES = 30e-3, 5.0


def judge(seen: Seen) -> Iterator[Claim]:
    """The network's round trip under load is far above the idle one: by STAMP beside TCP where that was measured, else
    by TCP's own round trip, which holds no program's waiting either.
    """
    idle = network(seen, "p50")
    for direction in DIRECTIONS:
        loaded, by = seen.value("udp-latency", NETWORK, direction, "p50", instrument="stamp", load=True), "STAMP"
        if loaded is None:
            loaded = seen.value("tcp-bandwidth", "round_trip_seconds", direction, "p50", streams=1)
            by = "TCP's own round trip"
        if idle is None or loaded is None or loaded - idle < _ADDED_SECONDS or loaded < _TIMES * idle:
            continue
        source, target = seen.ends(direction)
        yield Claim(
            {"source": source, "target": target},
            0.85,
            f"While TCP fills the way from {source} to {target}, packets wait {(loaded - idle) * 1e3:.0f} ms.",
            (Fact(what="network round trip under load, p50", measured=loaded, expected=idle, unit="s", source=by),),
        )


RULE = Rule(
    code="bufferbloat",
    needs=("probe", "bandwidth"),
    judge=judge,
    look=(
        "tc -s qdisc show",
        "sysctl net.core.default_qdisc net.ipv4.tcp_congestion_control",
    ),
    advice="Use a queue that keeps itself short (fq_codel, cake), or a smaller limit, where the way is slowest.",
)
