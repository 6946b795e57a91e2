"""Asymmetric pairs: one way is far worse than the way back, more than both nodes' own sending and receiving explain."""

from __future__ import annotations

import numpy as np

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.outstanding import confidence, passing, tail_of, threshold
from netmesh_controller.mesh.findings.places import LEAST_NODES, BadPair, better
from netmesh_controller.mesh.findings.series import Fitted, Places
from netmesh_controller.mesh.findings.words import figure
from netmesh_controller.mesh.table import Floats


def has_two_ways(one: Fitted) -> bool:
    """Whether a figure is looked at for pairs whose two ways differ: one way's own, of a mesh that is large enough."""
    return not one.looked.round_trip and one.looked.kind != "lossy" and len(one.names) >= LEAST_NODES


def uneven_pairs(one: Fitted, known: Places, alpha: float, again: Floats | None = None) -> list[BadPair]:
    """The ordered pairs that are far worse than their way back, by how much. Only one-way figures can tell.

    A pair that is bad one way and well the other is one; so is a pair of which one way is worse and the other better
    than usual, neither of them by enough for itself. Pairs of bad nodes and zones are not looked at. `again` has what
    was measured once more (n, n), in the value's unit: the better of the two counts.
    """
    if not has_two_ways(one):
        return []
    rest = better(one.fit, None if again is None else one.looked.badness(again))
    for node in known.nodes:
        rest[node.node, :] = rest[:, node.node] = np.nan
    for zones in known.zones:
        rest[np.ix_(one.fit.zone == zones.source, one.fit.zone == zones.target)] = np.nan
    difference = rest - rest.T
    comparisons = int(np.count_nonzero(np.isfinite(difference))) // 2
    if not comparisons:
        return []
    noise, df = one.fit.noise * np.sqrt(2), tail_of(one.fit.rest, one.tests)
    by_chance = passing(
        2 * comparisons,
        alpha,
        once_in=one.looked.disturbed_in,
        mean=one.looked.disturbance,
        tests=one.tests,
    )
    least = max(one.looked.one_way, threshold(comparisons, alpha, df) * noise, by_chance)
    far = np.nan_to_num(difference, nan=-np.inf) >= least
    places = {(int(a), int(b)) for a, b in np.argwhere(far)} | {
        (bad.source, bad.target) for bad in known.pairs if _one_way(bad, rest)
    }
    sizes = {place: float(difference[place]) for place in sorted(places)}
    return [BadPair(a, b, False, size, confidence(size / noise, comparisons, df)) for (a, b), size in sizes.items()]


def _one_way(bad: BadPair, rest: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> bool:
    back = rest[bad.target, bad.source]
    return not bad.both_ways and bool(np.isfinite(back)) and bool(back < bad.size / 2)


def of_uneven(one: Fitted, bad: BadPair) -> Finding:
    """The finding of such a pair."""
    source, target = one.names[bad.source], one.names[bad.target]
    there, back = float(one.values[bad.source, bad.target]), float(one.values[bad.target, bad.source])
    value = one.looked.value
    return Finding(
        kind="asymmetric_pair",
        where={"source": source, "target": target, **one.about},
        size=float(f"{there / back:.4g}"),
        evidence={
            **one.measured,
            "seen": there,
            "way_back": back,
            "deviation": float(f"{bad.size:.4g}"),
            "noise": float(f"{one.fit.noise:.4g}"),
        },
        confidence=bad.confidence,
        sentence=(
            f"{source} -> {target} and back differ: {figure(value, there)} there, {figure(value, back)} back "
            f"({one.series.test}, {one.series.path}, {one.series.parameters.instrument})."
        ),
    )
