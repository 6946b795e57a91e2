"""Round trips and losses since the start, by node and by pair of zones: small histograms on a logarithmic scale. Pure.

They count round trips as reports bring them. A node's are those of the probes that it sent. What a node that is gone
had is forgotten; that of its zones stays, as a counter has to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.probing.windows import PeerReport

# 1, 2, 5 a decade from 10 µs to 1 s.
BOUNDS_SECONDS = (*(float(f"{digit}e{power}") for power in range(-5, 0) for digit in (1, 2, 5)), 1.0)


@dataclass(slots=True, eq=False)
class Row:
    """`counts` are round trips up to each bound and from the one before, the last those beyond all."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BOUNDS_SECONDS) + 1, np.int64))
    seconds: float = 0.0
    sent: int = 0
    lost: int = 0

    def add(self, times: NDArray[np.float64], sent: int, lost: int) -> None:
        """Counts round trips, and probes."""
        self.counts += np.bincount(np.searchsorted(BOUNDS_SECONDS, times), minlength=len(self.counts))
        self.seconds += float(times.sum())
        self.sent += sent
        self.lost += lost


class Totals:
    """The histograms of a mesh; `zones` are those of its nodes, in their order."""

    def __init__(self) -> None:
        self._nodes: dict[str, Row] = {}
        self._zones: dict[tuple[str, str], Row] = {}

    def add(self, nodes: tuple[str, ...], zones: tuple[str | None, ...], report: PeerReport) -> None:
        """Counts a node's report. Round trips that are below 0, which clocks may make of none, count as 0."""
        times = np.maximum(report.round_trips_seconds, 0.0)
        name = nodes[report.source]
        self._nodes.setdefault(name, Row()).add(times, int(report.sent.sum()), int(report.lost.sum()))
        source = zones[report.source] or ""
        number = {zone: place for place, zone in enumerate(dict.fromkeys(zones))}
        places = np.array([number[zone] for zone in zones], dtype=np.intp)[report.targets]
        owner = np.repeat(places, report.answered)
        for zone, place in number.items():
            mine = places == place
            if mine.any():
                row = self._zones.setdefault((source, zone or ""), Row())
                row.add(times[owner == place], int(report.sent[mine].sum()), int(report.lost[mine].sum()))

    def keep(self, nodes: tuple[str, ...], zones: tuple[str | None, ...]) -> None:
        """Forgets nodes that are gone, and zones without a node."""
        there = {zone or "" for zone in zones}
        self._nodes = {name: row for name, row in self._nodes.items() if name in set(nodes)}
        self._zones = {key: row for key, row in self._zones.items() if there.issuperset(key)}

    def by_node(self) -> Iterator[tuple[list[str], Row]]:
        """Each node's."""
        for name, row in sorted(self._nodes.items()):
            yield [name], row

    def by_zones(self) -> Iterator[tuple[list[str], Row]]:
        """Each ordered pair of zones."""
        for key, row in sorted(self._zones.items()):
            yield list(key), row
