"""Nothing gets from one end to the other."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """The agent of an end does not answer; or neither a probe nor a connection came through."""
    silent = [name for name in (seen.source, seen.target) if name in seen.unreachable]
    for name in silent:
        yield Claim({"node": name}, 0.95, f"The agent of {name} does not answer: {seen.unreachable[name].message}.")
    if silent:
        return
    asked = [cell for cell in seen.cells if {cell.source, cell.target} == {seen.source, seen.target}]
    reasons = [(cell, cell.reason) for cell in asked if cell.reason is not None]
    tests = {cell.test for cell, _ in reasons}
    if len(reasons) < len(asked) or not {"udp-latency", "tcp-connect"} <= tests:
        return
    if any(reason.code == "refused" for _, reason in reasons):
        return  # somebody was there to refuse
    which = {"source": seen.source, "target": seen.target}
    sentence = f"Neither probes nor connections between {seen.source} and {seen.target} are answered."
    facts = tuple(
        Fact(what=f"{cell.test}, {cell.source} -> {cell.target}: {reason.message}") for cell, reason in reasons
    )
    yield Claim(which, 0.9, sentence, facts)


RULE = Rule(
    code="unreachable",
    needs=(),
    judge=judge,
    look=(
        "ip route get ADDRESS",
        "ip neigh show",
        "kubectl get networkpolicies -A",
        "kubectl get nodes -o wide",
    ),
    advice="Look at routes, the pods' network and the nodes' links; both agents answer the controller, so that the way "
    "between the two nodes is what is broken, or a policy drops all of it.",
    explains=("blocked", "loss_on_path", "delay_on_path", "rate_limited", "slow_node", "insufficient_evidence"),
)
