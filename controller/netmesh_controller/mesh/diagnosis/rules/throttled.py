"""A pod's CPU limit holds the measuring processes up."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen

# Part of a test's window in which a cgroup stood still, from which on the test shows the limit and not the network.
_MARKED, _SURE = 0.05, 0.25
# Of 0.1 s each; fewer with work in them say nothing.
_PERIODS = 10


def judge(seen: Seen) -> Iterator[Claim]:
    """The kernel counts how long each end's cgroup was throttled in each test."""
    worst: dict[str, tuple[float, str]] = {}
    for cell in seen.cells:
        for node, host in ((cell.source, cell.hosts.source), (cell.target, cell.hosts.target)):
            if node in (seen.source, seen.target) and host and host.throttled_seconds and host.window_seconds:
                part = min(1.0, host.throttled_seconds / host.window_seconds)
                worst[node] = max(worst.get(node, (0.0, "")), (part, cell.test))
    for node in (seen.source, seen.target):
        counted = seen.counted(node)
        periods = counted.get("cgroup.periods", 0)
        if periods >= _PERIODS:
            held = counted.get("cgroup.throttled_periods", 0) / periods
            # Of a test that gave nothing there is no window; the group's own count has no such gap.
            if held >= _SURE and held > worst.get(node, (0.0, ""))[0]:
                worst[node] = (held, "its scheduling periods")
    for node, (part, test) in worst.items():
        if part >= _MARKED:
            yield Claim(
                {"node": node},
                0.95 if part >= _SURE else 0.75,
                f"The pod on {node} stood still for {part:.0%} of {test}, held up by its CPU limit.",
                (Fact(what=f"throttled in {test}", measured=part, expected=0.0, source=f"cpu.stat of {node}"),),
            )


RULE = Rule(
    code="throttled",
    needs=(),
    judge=judge,
    look=(
        "kubectl get pod POD -o jsonpath='{.spec.containers[*].resources}'",
        "cat /sys/fs/cgroup/cpu.stat",
    ),
    advice="Raise or remove the pod's CPU limit (resources.limits.cpu); requests are enough to share fairly.",
    explains=(
        *("cpu_bound_sender", "cpu_bound_receiver", "rate_limited", "slow_node", "asymmetric", "bufferbloat"),
        *("jitter_on_path", "delay_on_path", "window_limited", "loss_at_host", "loss_on_path", "service_cost"),
        *("slow_zone_pair", "overlay_cost", "insufficient_evidence"),
    ),
)
