"""Who probes whom: all pairs of a small mesh; of a large one as many peers for every node, changing slowly.

Peers are told by distances in a circle (`Ring`): a node probes those that stand so many places further. Every node
then probes equally many others and is probed by equally many (a circulant graph), which no choice node by node gives.
The distances are of three kinds. Near ones stay, so that most pairs have an unbroken history, and a node that joins or
leaves changes only the pairs that reach over its place. Some are chosen so that every zone probes every other. The
rest move on, turn by turn, until each ordered pair has had its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from netmesh_controller.mesh.probing.ring import Ring

ALL_PAIRS_UP_TO = 200
PEERS = 40
# Half of the peers stay.
STAYING_PART = 0.5
# At least this part of the peers moves on in every turn, whatever the zones ask for: the promise rests on it.
MOVING_PART = 0.25
TURN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Peering:
    """The distances of one turn, over a circle of nodes.

    `turns` is after how many turns every ordered pair has been probed for a whole turn, while no node comes or goes.
    `zones_missing` counts ordered pairs of zones that have no probing pair in this turn: more zones than peers.
    """

    ring: Ring
    distances: tuple[int, ...]
    turns: int
    zones_missing: int = 0

    def peers(self, place: int) -> tuple[str, ...]:
        """Whom the node at that place of the circle probes."""
        order = self.ring.order
        return tuple(order[(place + distance) % len(order)] for distance in self.distances)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every ordered pair that is probed in this turn."""
        for place, name in enumerate(self.ring.order):
            for peer in self.peers(place):
                yield name, peer

    @property
    def cover_seconds(self) -> float:
        """Within which time every ordered pair is probed, while no node comes or goes."""
        return self.turns * TURN_SECONDS


def peering(
    ring: Ring,
    zones: Mapping[str, str | None],
    turn: int,
    *,
    peers: int = PEERS,
    all_pairs_up_to: int = ALL_PAIRS_UP_TO,
) -> Peering:
    """Whom every node of `ring` probes in a turn (counted from 0).

    `zones` gives each node's zone. ValueError where fewer than 4 peers are asked for: none would be left to move on.
    """
    if peers < 4:
        raise ValueError(f"peers is at least 4, not {peers}")
    size = len(ring.order)
    if size <= max(all_pairs_up_to, peers + 1):
        return Peering(ring, tuple(range(1, size)), turns=1)
    staying = _near(int(peers * STAYING_PART), size)
    fewest_moving = max(1, int(peers * MOVING_PART))
    chosen, missing = _zone_distances(ring, zones, staying, most=peers - len(staying) - fewest_moving)
    fixed = {*staying, *chosen}
    others = [distance for distance in range(1, size) if distance not in fixed]
    moving = peers - len(fixed)
    start = turn * moving
    window = {others[(start + step) % len(others)] for step in range(moving)}
    return Peering(ring, tuple(sorted(fixed | window)), -(-len(others) // moving), missing)


def _near(count: int, size: int) -> tuple[int, ...]:
    """`count` distances close to a place, forward and backward in turn."""
    steps = [step for near in range(1, count // 2 + 2) for step in (near, size - near)]
    return tuple(sorted(steps[:count]))


def _zone_distances(
    ring: Ring, zones: Mapping[str, str | None], distances: Sequence[int], *, most: int
) -> tuple[list[int], int]:
    """Distances that make every zone probe every other, beyond those there are; and how many pairs stay without."""
    order = ring.order
    size = len(order)
    # A node without a zone is in none: there is nothing to cover.
    zone_at = [zones[name] for name in order]
    named = {zone for zone in zone_at if zone is not None}
    wanted = {(first, second) for first in named for second in named}
    alone = {zone for zone in named if zone_at.count(zone) == 1}
    wanted -= {(zone, zone) for zone in alone}

    def reached(distance: int) -> set[tuple[str | None, str | None]]:
        return {(zone_at[place], zone_at[(place + distance) % size]) for place in range(size)}

    for distance in distances:
        wanted -= reached(distance)
    chosen: list[int] = []
    while wanted and len(chosen) < most:
        first, second = min(wanted)
        sources = [place for place in range(size) if zone_at[place] == first]
        targets = [place for place in range(size) if zone_at[place] == second]
        # One pair of the two zones that stand closest: the shorter the distance, the longer it lives.
        distance = min(
            ((target - source) % size for source in sources for target in targets if source != target),
            key=lambda steps: min(steps, size - steps),
        )
        chosen.append(distance)
        wanted -= reached(distance)
    return chosen, len(wanted)
