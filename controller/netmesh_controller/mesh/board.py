"""Who is free and what waits: the state that a schedule decides on, and the rule by which it decides.

Nodes and measurements are numbers here. What waits for an unordered pair of nodes is a linked list in flat arrays,
so that a mesh of 1,000 nodes with a million measurements takes about 30 MB, and a decision looks at free nodes only.
The pair arrays take 8 bytes a pair of nodes: 8 MB for 1,000 nodes, 200 MB for 5,000.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from netmesh_controller.mesh.zonecaps import Between, ZoneCaps

_NONE = -1
# A local cell fills a gap that is at least this part of its own length; shorter gaps are waits for a partner that is
# about to be free, and a local cell started there would make both late.
_FILLS_FROM = 0.2


class Board:
    """The state. `ends[i]` are the node numbers of measurement i, twice the same for a local cell.

    `now` is a clock of expectations: it is where it would be if every measurement took `seconds[i]`. It orders
    what runs; nobody reads it as time. `caps` bound what runs between zones.
    """

    def __init__(
        self, count: int, ends: Sequence[tuple[int, int]], seconds: Sequence[float], caps: ZoneCaps | None = None
    ) -> None:
        self.count = count
        self.caps = caps
        self.first = array("i", (min(a, b) for a, b in ends))
        self.second = array("i", (max(a, b) for a, b in ends))
        self.seconds = array("d", seconds)
        self.now = 0.0
        self.expected_end: dict[int, float] = {}
        self.free: set[int] = set(range(count))
        # Free nodes that may have a startable partner; any two others are known to have nothing waiting together.
        self.fresh: set[int] = set(self.free)
        self.work = [0.0] * count
        # Nodes whose local cell waits.
        self.local: set[int] = set()
        # By pair (smaller number * count + larger): the first that waits, and the seconds of all that wait; by
        # measurement: the next that waits for the same pair.
        self.head = array("i", [_NONE]) * (count * count)
        self.pair_seconds = array("f", [0.0]) * (count * count)
        self.following = array("i", [_NONE]) * len(self.seconds)

    def append(self, ends: tuple[int, int], seconds: float) -> None:
        """One more measurement, which does not wait yet; its number is the next."""
        self.first.append(min(ends))
        self.second.append(max(ends))
        self.seconds.append(seconds)
        self.following.append(_NONE)

    def copy(self) -> Board:
        """A board that can be played on without a change to this one; measurements are shared, caps are left out."""
        other = Board.__new__(Board)
        other.caps = None
        other.count, other.first, other.second, other.seconds = self.count, self.first, self.second, self.seconds
        other.now = self.now
        other.expected_end = dict(self.expected_end)
        other.free, other.fresh = set(self.free), set(self.fresh)
        other.work, other.local = list(self.work), set(self.local)
        other.head, other.pair_seconds, other.following = self.head[:], self.pair_seconds[:], self.following[:]
        return other

    def put(self, index: int) -> None:
        """Lets a measurement wait, before what waits for its pair already."""
        a, b = self.first[index], self.second[index]
        pair = a * self.count + b
        self.following[index] = self.head[pair]
        self.head[pair] = index
        self._add(a, b, pair, self.seconds[index])
        if a in self.free:
            self.fresh.add(a)
        if b in self.free:
            self.fresh.add(b)

    def begin(self, index: int) -> None:
        """Takes the first measurement of its pair out of the queue and lets it run."""
        a, b = self.first[index], self.second[index]
        self._unlink(a, b)
        self.run(index, self.now + self.seconds[index])

    def run(self, index: int, expected_end: float) -> None:
        """Lets a measurement that does not wait run, until then as far as is known."""
        self.expected_end[index] = expected_end
        if self.caps is not None:
            self.caps.begin(self.first[index], self.second[index])
        for node in (self.first[index], self.second[index]):
            self.free.discard(node)
            self.fresh.discard(node)

    def end(self, index: int) -> None:
        """Frees the nodes of a running measurement."""
        self.now = max(self.now, self.expected_end.pop(index))
        for node in (self.first[index], self.second[index]):
            self.free.add(node)
            self.fresh.add(node)
        if self.caps is not None:
            self.fresh |= self.free.intersection(self.caps.end(self.first[index], self.second[index]))

    def take_all(self, node: int) -> list[int]:
        """Takes out everything that waits for the node."""
        taken = []
        for other in range(self.count):
            a, b = min(node, other), max(node, other)
            while (index := self.head[a * self.count + b]) != _NONE:
                self._unlink(a, b)
                taken.append(index)
        return taken

    def waits_for(self, a: int, b: int) -> int | None:
        """The measurement that is next for the pair (a local cell's where both are the same), or None."""
        index = self.head[min(a, b) * self.count + max(a, b)]
        return None if index == _NONE else index

    def could_start(self, index: int) -> bool:
        """Whether a waiting measurement between two nodes is the next of its pair, and both are free."""
        a, b = self.first[index], self.second[index]
        return a != b and a in self.free and b in self.free and self.head[a * self.count + b] == index

    def matches(
        self,
        free: Collection[int],
        fresh: Collection[int],
        favoured: Collection[int] = (),
        crossing: Counter[Between] | None = None,
    ) -> Iterator[int]:
        """What should start on the `free` nodes: until it is exhausted, no two of them are left that could start.

        The node with the most work waiting chooses first, and chooses the partner with the most work, counting
        what waits for the two together once more: who is behind must never wait for a partner at the end. Equal
        choices follow the plan's order. `favoured` measurements were promised, and weigh one measurement more.
        Only pairs with a node of `fresh` are looked at. Under caps a pair between zones that still have much to do
        together counts for more; `crossing` is what runs between zones, where that is not as it is now.
        """
        taken: set[int] = set()
        caps = self.caps
        runs: Counter[Between] = Counter()
        if caps is not None:
            runs = caps.running.copy() if crossing is None else crossing
        for node in sorted((node for node in free if self.work[node] > 0), key=lambda node: (-self.work[node], node)):
            if node in taken:
                continue
            best: tuple[float, int] | None = None
            partner = _NONE
            for other in free if node in fresh else fresh:
                if other == node or other in taken:
                    continue
                pair = node * self.count + other if node < other else other * self.count + node
                index = self.head[pair]
                if index == _NONE:
                    continue
                weight = self.work[other] + self.pair_seconds[pair]
                if caps is not None and (crossed := caps.between(node, other)) is not None:
                    if runs[crossed] >= caps.most:
                        continue
                    weight += caps.needed_seconds(crossed)
                if favoured and index in favoured:
                    weight += self.seconds[index]
                if best is None or (-round(weight, 3), index) < best:
                    best, partner = (-round(weight, 3), index), other
            if best is not None:
                taken.update((node, partner))
                if caps is not None and (crossed := caps.between(node, partner)) is not None:
                    runs[crossed] += 1
                yield best[1]

    def start(self, most: int, favoured: Collection[int] = ()) -> list[int]:
        """Begins what should start now, at most `most` measurements; returns them."""
        started = []
        if most > 0:
            for index in self.matches(tuple(self.free), tuple(self.fresh), favoured):
                self.begin(index)
                started.append(index)
                if len(started) == most:
                    return started
            self.fresh.clear()
            for index in self._fillers():
                if len(started) == most:
                    break
                self.begin(index)
                started.append(index)
        return started

    def _fillers(self) -> Iterable[int]:
        """Local cells that fit into the time in which their node has to wait anyway."""
        waiting = [(node, self.head[node * self.count + node]) for node in sorted(self.free & self.local)]
        if not waiting:
            return []
        # What should have ended lately ends at any moment; what is late by more is late by nobody knows how much.
        gap = min(
            (
                max(0.0, end - self.now)
                for index, end in self.expected_end.items()
                if end > self.now - _FILLS_FROM * self.seconds[index]
            ),
            default=float("inf"),
        )
        return [
            index for node, index in waiting if gap >= _FILLS_FROM * self.seconds[index] or not self.has_pairs(node)
        ]

    def has_pairs(self, node: int) -> bool:
        """Whether anything but a local cell waits for the node."""
        local = self.pair_seconds[node * self.count + node]
        return self.work[node] - local > 1e-3

    def _unlink(self, a: int, b: int) -> None:
        pair = a * self.count + b
        index = self.head[pair]
        self.head[pair] = self.following[index]
        self._add(a, b, pair, -self.seconds[index])

    def _add(self, a: int, b: int, pair: int, seconds: float) -> None:
        self.pair_seconds[pair] += seconds
        if self.caps is not None:
            self.caps.waits(a, b, seconds)
        self.work[a] += seconds
        if a != b:
            self.work[b] += seconds
        elif self.head[pair] == _NONE:
            self.local.discard(a)
        else:
            self.local.add(a)
