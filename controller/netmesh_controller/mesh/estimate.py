"""What a plan will cost: how many measurements, how long at least and probably, how much traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from netmesh_controller.mesh.plan import Measurement

# What a sweep takes beyond its lower bound: waiting for a partner, and the calls between two tests.
_EXPECTED_OVER_BOUND = 1.05
# A message of up to this size is small: it fits into a packet, and its test into a sentence of the estimate.
_SMALL_MESSAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cost of a plan. No schedule can be shorter than `lower_bound_seconds`, if the tests take what they should.

    `traffic_bytes` None means that there is no figure; `traffic_note` says why, or what the figure is, and
    `traffic_unknown` is true where more than small messages cannot be told. `traffic_by_path` has the same a path,
    `traffic_by_zone_pair` the same a (sender's zone, receiver's zone), since clouds bill what crosses; it is empty
    where no node says its zone.
    """

    measurements: int
    cells: int
    lower_bound_seconds: float
    expected_seconds: float
    traffic_bytes: int | None
    traffic_note: str
    traffic_unknown: bool = False
    traffic_by_path: Mapping[str, int | None] = field(default_factory=dict)
    traffic_by_zone_pair: Mapping[tuple[str, str], int | None] = field(default_factory=dict)


def estimate(
    measurements: Sequence[Measurement],
    nodes: Sequence[Node],
    max_concurrent: int | None,
    *,
    per_zone_pair: int | None = None,
    idle_cells: int = 0,
    idle_seconds: float = 0.0,
) -> Estimate:
    """The cost of the measurements on these nodes, at most `max_concurrent` at once (None: as many as fit).

    At most `per_zone_pair` of them run between two zones.

    Before them `idle_cells` are watched at once for `idle_seconds`.
    """
    zones = {node.name: node.zone for node in nodes}
    work = ((one.nodes, one.seconds) for one in measurements)
    bound = lower_bound_seconds(work, max_concurrent, per_zone_pair=per_zone_pair, zones=zones)
    traffic: defaultdict[str, _Traffic] = defaultdict(_Traffic)
    rates = _Rates(nodes)
    crossing: defaultdict[tuple[str, str], _Traffic] = defaultdict(_Traffic)
    for one in measurements:
        traffic[one.variant.path].add(one, rates)
        here, there = zones.get(one.source), zones.get(one.target)
        if here is not None and there is not None:
            crossing[here, there].add(one, rates, crossing[there, here])
    whole = _Traffic()
    for part in traffic.values():
        whole.join(part)
    return Estimate(
        measurements=len(measurements),
        cells=idle_cells + sum(_directions(one) if one.source != one.target else 1 for one in measurements),
        lower_bound_seconds=idle_seconds + bound,
        expected_seconds=idle_seconds + bound * _EXPECTED_OVER_BOUND,
        traffic_bytes=whole.bytes,
        traffic_note=whole.note,
        traffic_unknown=whole.unknown,
        traffic_by_path={path: part.bytes for path, part in traffic.items()},
        traffic_by_zone_pair={pair: crossing[pair].bytes for pair in sorted(crossing)},
    )


def lower_bound_seconds(
    work: Iterable[tuple[Sequence[str], float]],
    max_concurrent: int | None = None,
    *,
    per_zone_pair: int | None = None,
    zones: Mapping[str, str | None] | None = None,
) -> float:
    """The time below which no schedule of `work`, (nodes, seconds) each, can be.

    It is the largest of: the busiest node's work; all work over the most that may run at once; and the work that
    takes two nodes over half of the nodes that it is on, rounded down, since no more pairs fit beside each other
    (of an odd number of nodes one is always left over); and the work between two zones over what may run there.
    """
    per_node: defaultdict[str, float] = defaultdict(float)
    paired: set[str] = set()
    paired_seconds = total = 0.0
    zone_of = zones or {}
    crossing: defaultdict[tuple[str, str], float] = defaultdict(float)
    for nodes, seconds in work:
        total += seconds
        for node in nodes:
            per_node[node] += seconds
        if len(nodes) == 2:
            paired.update(nodes)
            paired_seconds += seconds
            here, there = zone_of.get(nodes[0]), zone_of.get(nodes[1])
            if here is not None and there is not None and here != there:
                crossing[min(here, there), max(here, there)] += seconds
    bounds = [max(per_node.values(), default=0.0)]
    if paired:
        bounds.append(paired_seconds / (len(paired) // 2))
    if max_concurrent is not None:
        bounds.append(total / max_concurrent)
    if per_zone_pair is not None and crossing:
        bounds.append(max(crossing.values()) / per_zone_pair)
    return max(bounds)


def _directions(measurement: Measurement) -> int:
    return 2 if measurement.variant.parameters.direction == "bidirectional" else 1


class _Rates:
    """What nodes can send at, to others and within themselves; None where that is not known."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._line = {node.name: node.facts.get("line_rate_bits_per_second") for node in nodes}
        self._local = {node.name: node.facts.get("local_rate_bits_per_second") for node in nodes}

    def of(self, one: Measurement) -> float | None:
        """As much as goes through between the ends of a measurement, bits a second."""
        if one.source == one.target:
            return self._local[one.source]
        known = [rate for node in one.nodes if (rate := self._line[node]) is not None]
        return min(known) if len(known) == len(one.nodes) else None


@dataclass(slots=True)
class _Traffic:
    """Bits of data. What stays within a node and has no known rate is left out."""

    bits: float = 0.0
    bounded: bool = False  # some of it is what the links allow
    small: bool = False  # there are tests of small messages beside it
    inside: bool = False  # something that stays within a node is left out
    unknown: bool = False

    def add(self, one: Measurement, rates: _Rates, back: _Traffic | None = None) -> None:
        """Adds a measurement's traffic; what goes from target to source is added to `back`, where that is given."""
        variant = one.variant
        other = back if _directions(one) == 2 else None
        load = variant.load
        if load is not None:
            self._flow(one, rates, load.parameters.offered_bits_per_second, load.duration_seconds, other)
        if TESTS[variant.test].kind == "bandwidth":
            seconds = variant.seconds - INSTRUMENTS[variant.parameters.instrument].overhead_seconds
            self._flow(one, rates, variant.parameters.offered_bits_per_second, seconds, other)
        elif (size := variant.parameters.message_bytes or 0) > _SMALL_MESSAGE_BYTES:
            # Each message comes back. Without a pace, the two directions take turns.
            paced = variant.parameters.offered_per_second
            self._flow(one, rates, None if paced is None else 2 * 8 * size * paced, variant.seconds, back)
        else:
            self.small = True
            if back is not None:
                back.small = True

    def _flow(
        self, one: Measurement, rates: _Rates, offered: float | None, seconds: float, back: _Traffic | None
    ) -> None:
        parts = [self] if back is None else [self, back]
        rate = rates.of(one) if offered is None else offered
        for part in parts:
            if rate is None:
                part.inside |= one.source == one.target
                part.unknown |= one.source != one.target
            else:
                part.bounded |= offered is None
                part.bits += rate * _directions(one) * seconds / len(parts)

    def join(self, other: _Traffic) -> None:
        self.bits += other.bits
        self.bounded |= other.bounded
        self.small |= other.small
        self.inside |= other.inside
        self.unknown |= other.unknown

    @property
    def bytes(self) -> int | None:
        if self.unknown or (self.bits == 0 and (self.small or self.inside)):
            return None
        return round(self.bits / 8)

    @property
    def note(self) -> str:
        if self.unknown:
            return "as much as goes through, and the rate of the links is not known"
        if self.bits == 0:
            if self.inside:
                return "as much as goes through, but it stays within the nodes"
            return "one small message at a time" if self.small else "none"
        note = "at most, by the links' rates" if self.bounded else "at the asked rate"
        note += ", without what stays within a node" if self.inside else ""
        return note + (", and the latency tests' small messages" if self.small else "")
