"""Which other nodes are measured beside the pair: they tell what is right, and which end is at fault."""

from __future__ import annotations

from netmesh_controller.mesh.diagnosis.seen import Direction, Seen


def _candidates(seen: Seen) -> list[str]:
    """Nodes beside the pair that can take part."""
    return [
        name
        for name, node in seen.nodes.items()
        if name not in (seen.source, seen.target) and name not in seen.unreachable and node.agent("pod") is not None
    ]


def references(seen: Seen, direction: Direction) -> list[tuple[str, str]]:
    """Pairs that share one end each with the pair, by other nodes; such of that end's own zone first."""
    source, target = seen.ends(direction)
    others = _candidates(seen)
    if not others:
        return []
    first = min(others, key=lambda name: (seen.zone(name) != seen.zone(source), name))
    rest = [name for name in others if name != first] or others
    second = min(rest, key=lambda name: (seen.zone(name) != seen.zone(target), name))
    return [(source, first), (second, target)]


def apart(seen: Seen) -> list[tuple[str, str]]:
    """A pair of two other nodes, of the same zones as the pair: it can be measured meanwhile. None where there is none.

    It tells what is right; which end is at fault it cannot.
    """
    others = _candidates(seen)
    if len(others) < 2:
        return []
    first = min(others, key=lambda name: (seen.zone(name) != seen.zone(seen.source), name))
    rest = [name for name in others if name != first]
    return [(first, min(rest, key=lambda name: (seen.zone(name) != seen.zone(seen.target), name)))]


def crosses_zones(seen: Seen) -> bool:
    """Whether the pair's ends are known to be in two zones."""
    zones = (seen.zone(seen.source), seen.zone(seen.target))
    return None not in zones and zones[0] != zones[1]
