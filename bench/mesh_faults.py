"""Faults that a lab's mesh can have, each at another place in every run, and what a finding of each says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

NODES, ZONED = 6, 9
_RATE = "100M"

# The kind and the place that a finding has to name; nothing for a healthy mesh.
Right = tuple[str, Mapping[str, str]] | None


@dataclass(frozen=True)
class Case:
    """A lab of so many nodes, its file and the right finding by the number of the run."""

    name: str
    nodes: int
    shape: Callable[[int], str]
    right: Callable[[int], Right]


def of(case: Case, run: int) -> str:
    """The lab file of a run."""
    return f"nodes: {case.nodes}\n{case.shape(run)}"


def _links(nodes: int, more: Mapping[int, str] | None = None) -> str:
    shaped = ", ".join(f"node-{one}: {{{(more or {}).get(one, f'rate: {_RATE}')}}}" for one in range(1, nodes + 1))
    return f"links: {{{shaped}}}\n"


def _place(run: int, nodes: int = NODES) -> int:
    return run % nodes + 1


def _ends(run: int) -> tuple[int, int]:
    """Another ordered pair each run, of nodes that are 1 to 5 apart."""
    source = _place(run)
    return source, (source + run // NODES % (NODES - 1)) % NODES + 1


def _zones(nodes: int) -> tuple[str, dict[str, list[int]]]:
    members = {zone: list(range(1 + 3 * place, 4 + 3 * place)) for place, zone in enumerate("abc"[: nodes // 3])}
    text = ", ".join(f"{zone}: [{', '.join(f'node-{one}' for one in those)}]" for zone, those in members.items())
    return f"zones: {{{text}}}\n", members


def _crossing(sources: list[int], targets: list[int], what: str) -> list[str]:
    return [f"{{from: node-{a}, to: node-{b}, {what}}}" for a in sources for b in targets]


def _node(name: str, link: str, kind: str, direction: str | None) -> Case:
    def right(run: int) -> Right:
        where = {"node": f"node-{_place(run)}"}
        return kind, where if direction is None else {**where, "direction": direction}

    return Case(name, NODES, lambda run: _links(NODES, {_place(run): link}), right)


def _pair(name: str, what: str, kind: str, direction: str) -> Case:
    def right(run: int) -> Right:
        source, target = _ends(run)
        if direction == "both":  # round trips tell no way: the ends in the order of the mesh
            source, target = min(source, target), max(source, target)
        return kind, {"source": f"node-{source}", "target": f"node-{target}", "direction": direction}

    def shape(run: int) -> str:
        source, target = _ends(run)
        return f"{_links(NODES)}pairs: [{{from: node-{source}, to: node-{target}, {what}}}]"

    return Case(name, NODES, shape, right)


def _zone_pair(run: int) -> tuple[str, str]:
    return (("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("c", "b"))[run % 6]


def _slow_zones(what: str) -> Callable[[int], str]:
    def shape(run: int) -> str:
        text, members = _zones(ZONED)
        source, target = _zone_pair(run)
        return f"{text}{_links(ZONED)}pairs: [{', '.join(_crossing(members[source], members[target], what))}]"

    return shape


def _right_zones(kind: str) -> Callable[[int], Right]:
    def right(run: int) -> Right:
        source, target = _zone_pair(run)
        return kind, {"source_zone": source, "target_zone": target, "direction": "forward"}

    return right


def _far_zones(_run: int) -> str:
    text, members = _zones(NODES)
    ways = _crossing(members["a"], members["b"], "delay: 1ms") + _crossing(members["b"], members["a"], "delay: 1ms")
    return f"{text}{_links(NODES)}pairs: [{', '.join(ways)}]"


def _healthy(name: str, shape: Callable[[int], str], nodes: int = NODES) -> Case:
    return Case(name, nodes, shape, lambda _run: None)


CASES = (
    _healthy("healthy, 100 Mbit/s", lambda _run: _links(NODES)),
    _node("a node out: half the rate", "rate: 50M, direction: out", "slow_node", "out"),
    _node("a node in: half the rate", "rate: 50M, direction: in", "slow_node", "in"),
    _pair("a pair one way: 0.3 of the rate", "rate: 30M", "slow_pair", "forward"),
    _healthy("healthy, the lab's own rates", lambda _run: ""),
    _node("a node in: 5 % lost", f"rate: {_RATE}, loss: 0.05, direction: in", "lossy_node", "in"),
    _pair("a pair one way: 5 % lost", "loss: 0.05", "lossy_pair", "forward"),
    _node("a node: 3 ms more each way", f"rate: {_RATE}, delay: 3ms", "slow_node", "unknown"),
    _pair("a pair one way: 3 ms more", "delay: 3ms", "slow_pair", "both"),
    _healthy("healthy, two zones 2 ms apart", _far_zones),
    _node("a node: a narrow link (MTU 1400)", f"rate: {_RATE}, mtu: 1400", "odd_mtu", None),
    Case("two zones one way: half the rate", ZONED, _slow_zones("rate: 50M"), _right_zones("slow_zone_pair")),
    Case("two zones one way: 5 % lost", ZONED, _slow_zones("loss: 0.05"), _right_zones("lossy_zone_pair")),
)
