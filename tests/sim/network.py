"""A model network: nodes with a NIC each, zones with an uplink each; flows that run at once share what they cross.

Rates are max-min fair (progressive filling), and are integrated over time: a flow that shared a link for half of its
time shows it in its mean. A sweep that lets two tests meet at a node therefore shows wrong numbers, not only a long
time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Link = tuple[str, str]

# Round trips without other traffic, seconds: within a zone, and from zone to zone.
NEAR_SECONDS = 50e-6
FAR_SECONDS = 400e-6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands, and the rate of its NIC in each direction, bits a second."""

    zone: str
    bits_per_second: float


@dataclass(slots=True)
class Flow:
    """Traffic from one node to another. `most` is what it would have alone; `bits` were delivered until `since`."""

    links: tuple[Link, ...]
    most: float
    began: float
    since: float
    rate: float = 0.0
    bits: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a flow brought: its mean rate, and the rate that it would have had alone; bits a second."""

    bits_per_second: float
    alone_bits_per_second: float
    seconds: float


@dataclass
class Network:
    """`uplinks` are the rates of the zones' uplinks in each direction; a zone without one is not limited by it."""

    places: Mapping[str, Place]
    uplinks: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._flows: dict[str, Flow] = {}
        self._on: defaultdict[Link, set[str]] = defaultdict(set)
        self._wanted: defaultdict[Link, float] = defaultdict(float)

    def begin(self, name: str, source: str, target: str, now: float) -> None:
        """A flow begins; KeyError for a node that is not there, ValueError for a flow that runs already."""
        if name in self._flows:
            raise ValueError(f"{name} runs already")
        links = self._links(source, target)
        most = min(self._capacity(link) for link in links)
        self._flows[name] = Flow(links, most, now, now)
        for link in links:
            self._on[link].add(name)
            self._wanted[link] += most
        self._share(links, now)

    def end(self, name: str, now: float) -> Delivered:
        """A flow ends; KeyError where none of that name runs."""
        flow = self._flows[name]
        self._integrate([flow], now)
        was_shared = any(self._tight(link) for link in flow.links)
        del self._flows[name]
        for link in flow.links:
            self._on[link].discard(name)
            self._wanted[link] -= flow.most
        self._share(flow.links, now, was_shared=was_shared)
        seconds = now - flow.began
        return Delivered(flow.bits / seconds if seconds > 0 else 0.0, flow.most, seconds)

    def alone(self, source: str, target: str) -> float:
        """What a flow gets that shares nothing, bits a second."""
        return min(self._capacity(link) for link in self._links(source, target))

    def round_trip_seconds(self, source: str, target: str) -> float:
        """Of an idle path."""
        return NEAR_SECONDS if self.places[source].zone == self.places[target].zone else FAR_SECONDS

    def _links(self, source: str, target: str) -> tuple[Link, ...]:
        near: tuple[Link, ...] = (("out", source), ("in", target))
        a, b = self.places[source].zone, self.places[target].zone
        if a == b:
            return near
        return (*near, *((way, zone) for way, zone in (("up", a), ("down", b)) if zone in self.uplinks))

    def _capacity(self, link: Link) -> float:
        way, name = link
        return self.uplinks[name] if way in ("up", "down") else self.places[name].bits_per_second

    def _tight(self, link: Link) -> bool:
        """Whether its flows want more than it has: only then do they depend on each other through it."""
        return self._wanted[link] > self._capacity(link) * (1 + 1e-9)

    def _share(self, links: Iterable[Link], now: float, *, was_shared: bool = True) -> None:
        """Rates anew, of all flows that depend on those of `links`, directly or through others."""
        todo = list(links)
        seen: set[Link] = set(todo)
        names: set[str] = set()
        for link in todo:
            if not (was_shared or self._tight(link)):
                continue
            for name in self._on[link] - names:
                names.add(name)
                for other in self._flows[name].links:
                    if other not in seen and self._tight(other):
                        seen.add(other)
                        todo.append(other)
        flows = {name: self._flows[name] for name in names}
        self._integrate(flows.values(), now)
        self._fill(flows)

    @staticmethod
    def _integrate(flows: Iterable[Flow], now: float) -> None:
        for flow in flows:
            flow.bits += flow.rate * (now - flow.since)
            flow.since = now

    def _fill(self, flows: dict[str, Flow]) -> None:
        """Progressive filling: all grow alike until a link is full, whose flows then stay as they are."""
        room: dict[Link, float] = {}
        on: defaultdict[Link, set[str]] = defaultdict(set)
        for name, flow in flows.items():
            for link in flow.links:
                on[link].add(name)
        for link, members in on.items():
            others = sum(self._flows[name].rate for name in self._on[link] - members)
            room[link] = max(0.0, self._capacity(link) - others)
        growing = set(flows)
        while growing:
            share = min(room[link] / len(members) for link, members in on.items() if members)
            full = {
                name
                for link, members in on.items()
                if members and room[link] / len(members) <= share * (1 + 1e-9)
                for name in members
            }
            for name in full:
                flows[name].rate = share
                for link in flows[name].links:
                    on[link].discard(name)
                    room[link] = max(0.0, room[link] - share)
            growing -= full
