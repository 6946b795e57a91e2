"""Nothing gets from one end to the other."""

from __future__ import annotations

from collections.abc import Iterator

from netmesh_controller.mesh.diagnosis.document import Fact
from netmesh_controller.mesh.diagnosis.rule import Claim, Rule
from netmesh_controller.mesh.diagnosis.seen import DIRECTIONS, Seen


def judge(seen: Seen) -> Iterator[Claim]:
    """The agent of an end does not answer; or neither a probe nor a connection came through."""
    silent = [name for name in (seen.source, seen.target) if name in seen.unreachable]
    for name in silent:
        yield Claim({"node": name}, 0.95, f"The agent of {name} does not answer: {seen.unreachable[name].message}.")
    if silent:
        return
    probes = [seen.gap("udp-latency", direction, instrument="stamp") for direction in DIRECTIONS]
    connects = [seen.gap("tcp-connect", direction) for direction in DIRECTIONS]
    answered = seen.value("udp-latency", "messages_per_second", instrument="stamp")
    if answered or any(reason is None for reason in connects) or probes[0] is None:
        return
    if any(reason is not None and reason.code == "refused" for reason in connects):
        return
    which = {"source": seen.source, "target": seen.target}
    sentence = f"Neither probes nor connections between {seen.source} and {seen.target} are answered."
    facts = tuple(
        Fact(what=f"{test}, {seen.arrow(direction)}: {reason.message}", unit="1")
        for test, reasons in (("udp-latency", probes), ("tcp-connect", connects))
        for direction, reason in zip(DIRECTIONS, reasons, strict=True)
        if reason is not None
    )
    yield Claim(which, 0.9, sentence, facts)


RULE = Rule(
    code="unreachable",
    needs=(),
    judge=judge,
    advice="Look at routes, the pods' network and the nodes' links; both agents answer the controller, so that the way "
    "between the two nodes is what is broken, or a policy drops all of it.",
    explains=("blocked", "loss_on_path", "delay_on_path", "rate_limited", "slow_node", "insufficient_evidence"),
)
