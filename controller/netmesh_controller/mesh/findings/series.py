"""One value of one series, fitted: what its findings are read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.catalogue import UNITS
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.findings.blocks import pairs_of_zones
from netmesh_controller.mesh.findings.fit import Fit, fit
from netmesh_controller.mesh.findings.places import BadNode, BadPair, BadZones, bad_nodes, bad_pairs, bad_zones
from netmesh_controller.mesh.findings.scale import PACKETS_A_SECOND, SAYS_MORE, Looked, looked_at
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Floats, Series

Bad: TypeAlias = BadNode | BadPair | BadZones

# Below this many remote cells nothing is told from anything.
_LEAST_CELLS = 8
# A loss that is certain: what was lost less three standard deviations of that count (Poisson).
_DEVIATIONS_OF_A_COUNT = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The fit of one value: `values` (n, n) are the middle ones of `tests` repeats, in the value's unit."""

    series: Series
    looked: Looked
    names: tuple[str, ...]
    zones: tuple[str, ...]
    values: Floats
    fit: Fit
    tests: int

    @property
    def about(self) -> dict[str, str]:
        """What every finding of it says of where it is."""
        return {"path": self.series.path, "test": self.series.test}

    @property
    def measured(self) -> dict[str, Any]:
        """What every finding of it says of what was measured."""
        parameters = {name: what for name, what in self.series.parameters.model_dump().items() if what is not None}
        unit = UNITS[self.looked.value]
        return {"value": self.looked.value, "unit": unit, "parameters": parameters, "repeats": self.tests}


@dataclass(frozen=True, slots=True)
class Places:
    """All that is out of the ordinary in one fitted value."""

    nodes: list[BadNode]
    zones: list[BadZones]
    pairs: list[BadPair]

    @property
    def every(self) -> list[Bad]:
        """All of it, in the order of blame."""
        return [*self.nodes, *self.zones, *self.pairs]


def zone_numbers(names: Sequence[str], nodes: Sequence[Node]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """The zones' names and each node's place among them; nodes without a zone are one more zone, called ''."""
    of_node = {node.name: node.zone or "" for node in nodes}
    zones = tuple(sorted({of_node[name] for name in names}))
    return zones, np.array([zones.index(of_node[name]) for name in names], dtype=np.intp)


def fitted(one: Gathered, nodes: Sequence[Node], duration_seconds: float) -> list[Fitted]:
    """What is looked at of a series; nothing where its targets are no nodes or where it has too few remote cells.

    `duration_seconds` is how long each test ran: what a rate of packets is packets by.
    """
    if one.targets != one.names or not one.names:
        return []
    zones, zone = zone_numbers(one.names, nodes)
    made: list[Fitted] = []
    for looked in looked_at(one.series.test):
        if looked.value not in one.value_names or SAYS_MORE.get(looked.value) in {each.looked.value for each in made}:
            continue
        repeats = one.repeats(looked.value)
        judged = repeats
        if looked.kind == "lossy":
            judged = certain_losses(repeats, _packets(one, duration_seconds))
        # What is shown is what was measured; what is judged may be less.
        values, cells = middle(repeats), looked.badness(middle(judged))
        np.fill_diagonal(cells, np.nan)
        if np.count_nonzero(np.isfinite(cells)) >= _LEAST_CELLS:
            tests = int(np.median(np.count_nonzero(np.isfinite(repeats), axis=0)[np.isfinite(cells)]))
            fit_of = fit(cells, zone, looked.noise)
            made.append(Fitted(one.series, looked, one.names, zones, values, fit_of, max(1, tests)))
    return made


def places(one: Fitted, alpha: float, again: Floats | None = None) -> Places:
    """What is out of the ordinary; by chance, with probability `alpha` in all. `again`: `bad_pairs`, in its unit."""
    each = alpha / 3
    nodes = bad_nodes(one.fit, one.looked, each)
    zones = bad_zones(one.fit, one.looked, each)
    once_more = None if again is None else one.looked.badness(again)
    pairs = bad_pairs(one.fit, one.looked, each, nodes=nodes, tests=one.tests, again=once_more)
    filled, pairs = pairs_of_zones(one.fit, pairs)
    known = {(found.source, found.target) for found in zones}
    return Places(nodes, zones + [found for found in filled if (found.source, found.target) not in known], pairs)


def middle(repeats: Floats) -> Floats:
    """The median over repeats of what is finite: (repeats, n, n) to (n, n); of one repeat no copy."""
    if not len(repeats):
        return np.full(repeats.shape[1:], np.nan)
    if len(repeats) == 1:
        alone: Floats = repeats[0]
        return alone
    ordered = np.sort(repeats, axis=0)
    counts = np.count_nonzero(np.isfinite(repeats), axis=0)
    low = np.take_along_axis(ordered, (np.maximum(counts - 1, 0) // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(counts // 2, len(repeats) - 1)[None], axis=0)[0]
    made: Floats = np.where(counts > 0, (low + high) / 2, np.nan)
    return made


def certain_losses(loss: Floats, packets: Floats) -> Floats:
    """Losses less what chance may have added to the count of what was lost; NaN where nobody says of how many.

    One datagram lost of ten is 10 %, and says nothing.
    """
    lost = loss * packets
    with np.errstate(invalid="ignore", divide="ignore"):
        made: Floats = np.maximum(0.0, lost - _DEVIATIONS_OF_A_COUNT * np.sqrt(lost)) / packets
    return np.where(packets > 0, made, np.nan)


def _packets(one: Gathered, duration_seconds: float) -> Floats:
    shape = one.repeats("loss_ratio")
    # What was offered stands where the rate was not measured, as of probes at a pace.
    offered = one.series.parameters.offered_per_second
    packets = np.full_like(shape, np.nan if offered is None else offered * duration_seconds)
    for name in PACKETS_A_SECOND.values():
        if name in one.value_names:
            measured = one.repeats(name) * duration_seconds
            packets = np.where(np.isfinite(measured), measured, packets)
    return packets


def by_series(gathered: Mapping[Series, Gathered], nodes: Sequence[Node], duration_seconds: float) -> list[Fitted]:
    """All that is looked at of a run."""
    return [found for one in gathered.values() for found in fitted(one, nodes, duration_seconds)]
