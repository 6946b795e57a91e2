"""The CPU of the end that receives is what limits."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.cpu import bound
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """The tool had no more of a core there."""
    yield from bound(seen, "target")


RULE = Rule(
    code="cpu_bound_receiver",
    needs=("bandwidth",),
    judge=judge,
    look=(
        "top -H",
        "mpstat -P ALL 1",
        "ethtool -k DEVICE",
    ),
    advice="See what else runs on that node, give the workload more streams, and check that offloads are on.",
    explains=("rate_limited", "asymmetric", "jitter_on_path", "slow_node", "bufferbloat", "slow_zone_pair"),
)
