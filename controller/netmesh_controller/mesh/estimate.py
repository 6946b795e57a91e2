"""What a plan will cost: how many measurements, how long at least and probably, how much traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.cells import TOOL_OVERHEAD_SECONDS
from netmesh_controller.mesh.document import Node

if TYPE_CHECKING:
    from netmesh_controller.mesh.plan import Measurement

# What a sweep takes beyond its lower bound: waiting for a partner, and the calls between two tests.
_EXPECTED_OVER_BOUND = 1.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """Cost of a plan. No schedule can be shorter than `lower_bound_seconds`, if the tests take what they should.

    `traffic_bytes` None means that it is not known; `traffic_note` says why, or what the figure is.
    """

    measurements: int
    cells: int
    lower_bound_seconds: float
    expected_seconds: float
    traffic_bytes: int | None
    traffic_note: str


def estimate(measurements: Sequence[Measurement], nodes: Sequence[Node], max_concurrent: int | None) -> Estimate:
    """The cost of the measurements on these nodes, at most `max_concurrent` at once (None: as many as fit)."""
    bound = lower_bound_seconds(((one.nodes, one.seconds) for one in measurements), max_concurrent)
    traffic_bytes, note = _traffic(measurements, nodes)
    return Estimate(
        measurements=len(measurements),
        cells=sum(_directions(one) if one.source != one.target else 1 for one in measurements),
        lower_bound_seconds=bound,
        expected_seconds=bound * _EXPECTED_OVER_BOUND,
        traffic_bytes=traffic_bytes,
        traffic_note=note,
    )


def lower_bound_seconds(work: Iterable[tuple[Sequence[str], float]], max_concurrent: int | None = None) -> float:
    """The time below which no schedule of `work`, (nodes, seconds) each, can be.

    It is the largest of: the busiest node's work; all work over the most that may run at once; and the work that
    takes two nodes over half of the nodes that it is on, rounded down, since no more pairs fit beside each other
    (of an odd number of nodes one is always left over).
    """
    per_node: defaultdict[str, float] = defaultdict(float)
    paired: set[str] = set()
    paired_seconds = total = 0.0
    for nodes, seconds in work:
        total += seconds
        for node in nodes:
            per_node[node] += seconds
        if len(nodes) == 2:
            paired.update(nodes)
            paired_seconds += seconds
    bounds = [max(per_node.values(), default=0.0)]
    if paired:
        bounds.append(paired_seconds / (len(paired) // 2))
    if max_concurrent is not None:
        bounds.append(total / max_concurrent)
    return max(bounds)


def _directions(measurement: Measurement) -> int:
    return 2 if measurement.variant.parameters.direction == "bidirectional" else 1


def _traffic(measurements: Sequence[Measurement], nodes: Sequence[Node]) -> tuple[int | None, str]:
    """Bytes of data, and what that figure is. What stays within a node and has no known rate is left out."""
    line_rates = {node.name: node.facts.get("line_rate_bits_per_second") for node in nodes}
    local_rates = {node.name: node.facts.get("local_rate_bits_per_second") for node in nodes}
    bits = 0.0
    bounded = latency = inside = False
    for one in measurements:
        variant = one.variant
        if TESTS[variant.test].kind == "latency":
            latency = True
            continue
        rate = variant.parameters.offered_bits_per_second
        if rate is None and one.source == one.target:
            rate = local_rates[one.source]
            if rate is None:
                inside = True
                continue
            bounded = True
        elif rate is None:
            known = [line_rate for node in one.nodes if (line_rate := line_rates[node]) is not None]
            if len(known) < len(one.nodes):
                return None, "as much as goes through, and the rate of the links is not known"
            rate, bounded = min(known), True
        bits += rate * _directions(one) * (variant.seconds - TOOL_OVERHEAD_SECONDS)
    note = "at most, by the links' rates" if bounded else "at the asked rate"
    if bits == 0:
        note = "one small message at a time" if latency else "none"
        if inside:
            note = "as much as goes through, but it stays within the nodes"
        return (None, note) if latency or inside else (0, note)
    note += ", without what stays within a node" if inside else ""
    return round(bits / 8), note + (", and the latency tests' small messages" if latency else "")
