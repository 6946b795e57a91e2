"""Facts of hosts and agents that are not the same everywhere in a mesh. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netmesh_controller.mesh.document import Node

# What is each node's own by nature, or changes while nobody changes anything.
NODES_OWN: frozenset[str] = frozenset(
    {
        "node",
        "role",
        "address",
        "addresses",
        "boot_id",
        "clock_offset_seconds",
        "clock_error_seconds",
        "idle_busy_cores",
        "started_at",
    }
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact with more than one answer: each answer and the nodes that give it, the commonest first.

    `fact` is the fact's name, with dots where it lies within another (`tools.iperf3`); `role` the agents that say it,
    None where it is of the node.
    """

    fact: str
    role: str | None
    answers: tuple[tuple[str, tuple[str, ...]], ...]


def differences(nodes: Sequence[Node]) -> list[Difference]:
    """The facts that differ between the nodes; an agent's is left out where its node says the same."""
    of_nodes = _differing([(node.name, node.facts) for node in nodes])
    found = [Difference(fact, None, answers) for fact, answers in of_nodes.items()]
    for role in ("pod", "peer", "host"):
        agents = [(node.name, agent.facts) for node in nodes if (agent := node.agent(role)) is not None]
        found += [
            Difference(fact, role, answers)
            for fact, answers in _differing(agents).items()
            if of_nodes.get(fact) != answers
        ]
    return found


def flat(
    facts: Mapping[str, Any], own: Collection[str] = NODES_OWN, before: str = ""
) -> Iterator[tuple[str, str | None]]:
    """Each fact that is not named in `own`, with dots where it lies within another, and its answer; None if unknown."""
    for name, answer in facts.items():
        if name in own:
            continue
        if isinstance(answer, Mapping):
            yield from flat(answer, own, f"{before}{name}.")
        elif isinstance(answer, list | tuple):
            yield f"{before}{name}", ", ".join(sorted(map(str, answer)))
        else:
            yield f"{before}{name}", None if answer is None else str(answer)


def _differing(
    told: Iterable[tuple[str, Mapping[str, Any]]],
) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    answers: dict[str, dict[str, list[str]]] = {}
    names: list[str] = []
    for name, facts in told:
        names.append(name)
        for fact, answer in flat(facts):
            answers.setdefault(fact, {}).setdefault("unknown" if answer is None else answer, []).append(name)
    found = {}
    for fact, by_answer in answers.items():
        said = {name for each in by_answer.values() for name in each}
        silent = [name for name in names if name not in said]
        if silent:
            by_answer["unknown"] = [*by_answer.get("unknown", []), *silent]
        if len(by_answer) > 1:
            ordered = sorted(by_answer.items(), key=lambda item: -len(item[1]))
            found[fact] = tuple((answer, tuple(each)) for answer, each in ordered)
    return found
