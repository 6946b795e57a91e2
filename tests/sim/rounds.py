"""What the tests that ran would have taken otherwise: one after another, or in rounds that wait for their slowest."""

from __future__ import annotations

from collections.abc import Sequence

from tests.sim.hub import Ran


def sequential_seconds(ran: Sequence[Ran]) -> float:
    """One at a time."""
    return sum(one.seconds for one in ran)


def barrier_seconds(ran: Sequence[Ran]) -> float:
    """Rounds of pairs that share no node, filled first fit; each lasts as long as its slowest test."""
    rounds: list[tuple[set[str], float]] = []
    for one in ran:
        nodes = {one.source, one.target}
        place = next((number for number, (busy, _) in enumerate(rounds) if not busy & nodes), None)
        if place is None:
            rounds.append((nodes, one.seconds))
        else:
            rounds[place] = (rounds[place][0] | nodes, max(rounds[place][1], one.seconds))
    return sum(longest for _, longest in rounds)
