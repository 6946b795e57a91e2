"""Nodes in a circle, zones taking turns: the order from which probing peers are told by their distance in it.

A node that joins or leaves moves nobody else, so that few pairs change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ring:
    """Names in the order of the circle."""

    order: tuple[str, ...] = ()

    def updated(self, zones: Mapping[str, str | None]) -> Ring:
        """The circle of exactly the nodes in `zones` (name to zone): those that are gone taken out, new ones put in.

        A new node stands where the next of its own zone is farthest away. An empty circle is made with every zone
        spread evenly over it.
        """
        order = [name for name in self.order if name in zones]
        if not order:
            return Ring(tuple(_interleaved(zones)))
        there = set(order)
        for name in sorted(name for name in zones if name not in there):
            order.insert(_place(order, zones, zones[name]), name)
        return Ring(tuple(order))


def _interleaved(zones: Mapping[str, str | None]) -> list[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(zones):
        members[zones[name] or ""].append(name)
    spread = [
        ((rank + 0.5) / len(names), zone, name) for zone, names in members.items() for rank, name in enumerate(names)
    ]
    return [name for _, _, name in sorted(spread)]


def _place(order: Sequence[str], zones: Mapping[str, str | None], zone: str | None) -> int:
    """Where in `order` to insert a node of `zone`: in the middle of the widest gap between two of its zone."""
    places = [place for place, name in enumerate(order) if zones[name] == zone]
    if not places:
        return len(order)
    gaps = [(_forward(first, second, len(order)), first) for first, second in _pairs(places)]
    width, start = max(gaps, key=lambda gap: (gap[0], -gap[1]))
    return (start + (width + 1) // 2) % len(order)


def _pairs(places: Sequence[int]) -> Iterable[tuple[int, int]]:
    return zip(places, [*places[1:], places[0]], strict=True)


def _forward(first: int, second: int, size: int) -> int:
    """Steps from one place forward to another; a whole turn where they are the same."""
    return (second - first) % size or size
