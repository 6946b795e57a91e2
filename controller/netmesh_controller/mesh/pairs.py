"""Which pairs of nodes are measured: all, rounds of perfect matchings, one pair a pair of zones, or those listed.

Nodes are numbers here, their positions in the list of nodes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

# The ordered pairs of one unordered pair, which are measured one after the other: ((a, b), (b, a)) or ((a, b),).
# A local cell is ((a, a),).
Block: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What `--pairs` says: `rounds` belongs to "sample", `listed` (source, target) to "list"."""

    kind: Literal["all", "sample", "zones", "list"]
    rounds: int = 0
    listed: tuple[tuple[str, str], ...] = ()


def parse_pairs(text: str) -> Choice:
    """The choice that the text makes; ValueError with a sentence where it makes none."""
    if text in ("all", "zones"):
        return Choice("all" if text == "all" else "zones")
    if text.startswith("sample:"):
        rounds = text.removeprefix("sample:")
        if not (rounds.isascii() and rounds.isdigit() and int(rounds) >= 1):
            raise ValueError(f"'{text}' names no number of rounds ≥ 1, such as sample:3")
        return Choice("sample", rounds=int(rounds))
    listed = []
    for entry in text.split(","):
        source, colon, target = entry.strip().partition(":")
        if not (colon and source and target) or ":" in target:
            raise ValueError(
                f"'{entry.strip()}' is not all, sample:K, zones, or a list such as node-1:node-2,node-2:node-1"
            )
        listed.append((source, target))
    return Choice("list", listed=tuple(dict.fromkeys(listed)))


def blocks(choice: Choice, names: Sequence[str], zones: Sequence[str | None]) -> Iterator[Block]:
    """The chosen pairs of the nodes, each once, in an order that a schedule can follow; local cells come last.

    Raises ValueError with a sentence where the nodes do not allow the choice.
    """
    match choice.kind:
        case "all":
            return _all(len(names))
        case "sample":
            return _sample(choice.rounds, len(names))
        case "zones":
            return _between_zones(names, zones)
        case "list":
            return _listed(choice.listed, names)


def alone(choice: Choice, names: Sequence[str]) -> Iterator[int]:
    """The nodes that measure by themselves, to what is no node: all, or of a list of pairs its sources."""
    sources = {source for source, _ in choice.listed}
    return (node for node, name in enumerate(names) if choice.kind != "list" or name in sources)


def rounds(count: int) -> Iterator[list[tuple[int, int]]]:
    """Rounds of perfect matchings of `count` nodes that together are every unordered pair once: the circle method.

    An odd number of nodes has `count` rounds, and each round leaves out another node; an even one has `count` - 1.
    """
    places = count + count % 2
    for turn in range(places - 1):
        # One place stands still, the others turn around it; the odd one out meets nobody.
        met = [(places - 1, turn)] if count % 2 == 0 else []
        met += [((turn + step) % (places - 1), (turn - step) % (places - 1)) for step in range(1, places // 2)]
        yield [(min(a, b), max(a, b)) for a, b in met]


def _all(count: int) -> Iterator[Block]:
    for met in rounds(count):
        for a, b in met:
            yield ((a, b), (b, a))
    for node in range(count):
        yield ((node, node),)


def _sample(wanted: int, count: int) -> Iterator[Block]:
    available = count - 1 + count % 2
    if count < 2 or wanted > available:
        most = f"{count} nodes have {available} rounds" if count > 1 else "one node has no pair"
        raise ValueError(f"sample:{wanted} cannot be had: {most}")
    # The same nodes give the same sample, so that two runs can be compared. Shuffled, because neighbours in the
    # list of nodes are often neighbours in the network.
    label = list(range(count))
    random.Random(count).shuffle(label)  # noqa: S311  # not a secret
    return (
        ((label[a], label[b]), (label[b], label[a]))
        for met, _ in zip(rounds(count), range(wanted), strict=False)
        for a, b in met
    )


def _between_zones(names: Sequence[str], zones: Sequence[str | None]) -> Iterator[Block]:
    if not any(zones):
        raise ValueError("zones cannot be had: no node says in which zone it is")
    members: dict[str, list[int]] = {}
    for node, zone in enumerate(zones):
        # Nodes without a zone are compared with the others as one more zone.
        members.setdefault(zone or "", []).append(node)
    used = [0] * len(names)
    chosen: dict[frozenset[int], list[tuple[int, int]]] = {}
    for here in sorted(members):
        for there in sorted(members):
            if here == there and len(members[here]) < 2:
                continue
            source = min(members[here], key=lambda node: used[node])
            used[source] += 1
            target = min((node for node in members[there] if node != source), key=lambda node: used[node])
            used[target] += 1
            chosen.setdefault(frozenset((source, target)), []).append((source, target))
    return (tuple(orders) for orders in chosen.values())


def _listed(listed: Sequence[tuple[str, str]], names: Sequence[str]) -> Iterator[Block]:
    position = {name: node for node, name in enumerate(names)}
    chosen: dict[frozenset[int], list[tuple[int, int]]] = {}
    for pair in listed:
        for name in pair:
            if name not in position:
                known = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
                raise ValueError(f"there is no node '{name}'; the nodes are {known}")
        source, target = position[pair[0]], position[pair[1]]
        chosen.setdefault(frozenset((source, target)), []).append((source, target))
    ordered = sorted(chosen.values(), key=lambda orders: orders[0][0] == orders[0][1])
    return (tuple(orders) for orders in ordered)
