"""What is not the same in the runs beside their figures: read before any figure is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netmesh_controller.mesh.comparison.shapes import Fact, Side
from netmesh_controller.mesh.differences import NODES_OWN, flat
from netmesh_controller.mesh.natural import natural

# What is another one in each run or on each node by nature, or changes while nobody changes anything.
_OWN: frozenset[str] = NODES_OWN | {
    *("hostname", "remarks", "source", "clock", "delays", "controller", "name", "pod", "pod_uid", "uid")
}


def different_facts(sides: Sequence[Side]) -> tuple[Fact, ...]:
    """The facts that are not the same in all runs: each run's answers, over all of its nodes."""
    told = [_facts(side) for side in sides]
    names = sorted({name for facts in told for name in facts}, key=natural)
    found = []
    for name in names:
        answers = tuple(tuple(sorted(facts.get(name, ()), key=natural)) for facts in told)
        if len(set(answers)) > 1:
            found.append(Fact(name, answers))
    return tuple(found)


def _facts(side: Side) -> dict[str, set[str]]:
    facts: dict[str, set[str]] = {"netmesh": {side.run.netmesh_version}}

    def add(told: Mapping[str, Any], before: str = "") -> None:
        for name, answer in flat(told, _OWN, before):
            if answer is not None:
                facts.setdefault(name, set()).add(answer)

    add(side.run.facts)
    add({name: value for name, value in side.run.plan.asked.items() if name != "max_traffic"}, "asked.")
    for node in side.nodes:
        add(node.facts)
        for agent in node.agents:
            # A pod's MTU is not its host's.
            add({name: fact for name, fact in agent.facts.items() if node.facts.get(name) != fact}, f"{agent.role}.")
    return facts
