"""How many tests may run between two zones at once: what the zones' uplinks are to bear. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

Between = tuple[int, int]


class ZoneCaps:
    """At most `most` tests at once between the nodes of any two zones, either way.

    `zones` are the nodes' zones by number; what is within a zone, or has an end in none (None), is not counted.
    """

    def __init__(self, zones: Sequence[str | None], most: int) -> None:
        numbers = {
            zone: number for number, zone in enumerate(dict.fromkeys(zone for zone in zones if zone is not None))
        }
        self._zone = [None if zone is None else numbers[zone] for zone in zones]
        self.most = most
        self.running: Counter[Between] = Counter()
        # Seconds that wait, by pair of zones: who has most of them is behind.
        self._waiting: defaultdict[Between, float] = defaultdict(float)

    def between(self, a: int, b: int) -> Between | None:
        """The two zones that a pair of nodes crosses, the smaller first; None where it is not counted."""
        here, there = self._zone[a], self._zone[b]
        if here is None or there is None or here == there:
            return None
        return (here, there) if here < there else (there, here)

    def waits(self, a: int, b: int, seconds: float) -> None:
        """So much more work waits for a pair of nodes; less, where it is negative."""
        crossed = self.between(a, b)
        if crossed is not None:
            self._waiting[crossed] += seconds

    def needed_seconds(self, crossed: Between) -> float:
        """What waits between two zones takes at least so long."""
        return self._waiting[crossed] / self.most

    def begin(self, a: int, b: int) -> None:
        """A test of a pair of nodes begins."""
        crossed = self.between(a, b)
        if crossed is not None:
            self.running[crossed] += 1

    def end(self, a: int, b: int) -> list[int]:
        """It ends; the nodes that may have waited for its place."""
        crossed = self.between(a, b)
        if crossed is None:
            return []
        full = self.running[crossed] >= self.most
        self.running[crossed] -= 1
        return [node for node, zone in enumerate(self._zone) if zone == crossed[0]] if full else []

    def without(self, pairs: Iterable[tuple[int, int]]) -> Counter[Between]:
        """What would run between zones if the tests of these pairs of nodes had ended."""
        left = self.running.copy()
        left.subtract(crossed for a, b in pairs if (crossed := self.between(a, b)) is not None)
        return left
