"""Findings in the document's shape: where, how much, the evidence in numbers, and one sentence."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from netmesh_common.units import scale
from netmesh_controller.mesh.catalogue import UNITS
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.places import BadNode, BadPair, BadZones, between
from netmesh_controller.mesh.findings.series import Fitted

_DO = {
    "out": "to the others",
    "in": "from the others",
    "both": "to and from the others",
    "unknown": "with the others (round trips do not tell which way)",
}


def figure(value: str, number: float) -> str:
    """A number with its unit, as a sentence has it: three digits."""
    if value.endswith("loss_ratio"):
        return f"{number * 100:.3g} %"
    factor, unit = scale([abs(number)] if number else [], UNITS[value])
    return f"{number * factor:.3g} {unit}".rstrip()


def of_node(one: Fitted, bad: BadNode) -> Finding:
    """A slow or lossy node."""
    seen, usual = _of_node_and_others(one, bad)
    name = one.names[bad.node]
    where = {"node": name, "direction": bad.direction, **one.about}
    if zone := one.zones[one.fit.zone[bad.node]]:
        where["zone"] = zone
    way = _DO[bad.direction]
    # In a mesh of a few nodes there may be no other pair of the same kind to be beside.
    among = f", in {bad.worse_cells} of {bad.cells} pairs" if bad.cells else ""
    return Finding(
        kind=f"{one.looked.kind}_node",
        where=where,
        size=_size_of_node(one, bad, seen, usual),
        evidence={
            **one.measured,
            "seen": seen,
            "usual": usual,
            "cells": bad.cells,
            "worse_cells": bad.worse_cells,
            **_method(one, bad.size),
        },
        confidence=bad.confidence,
        sentence=(
            f"{name} is {_adjective(one)} {way}: {_beside(one, seen, usual)} at the median{among} ({_what(one)})."
        ),
    )


def of_pair(one: Fitted, bad: BadPair) -> Finding:
    """A slow or lossy pair, one way or both ways."""
    source, target = one.names[bad.source], one.names[bad.target]
    cells = ([bad.source, bad.target], [bad.target, bad.source])
    seen, usual = _of_cells(one, *(cells if bad.both_ways else ([bad.source], [bad.target])))
    back = _number(one.values[bad.target, bad.source])
    evidence = {**one.measured, "seen": seen, "usual": usual, "way_back": back, **_method(one, bad.size)}
    both = " in both directions" if bad.both_ways else ""
    return Finding(
        kind=f"{one.looked.kind}_pair",
        where={"source": source, "target": target, "direction": "both" if bad.both_ways else "forward", **one.about},
        size=_size(one, bad.size),
        evidence=evidence,
        confidence=bad.confidence,
        sentence=(
            f"{source} -> {target} is {_adjective(one)}{both}: {_beside(one, seen, usual)}, by what both nodes reach "
            f"with others{_way_back(one, back) if not bad.both_ways else ''} ({_what(one)})."
        ),
    )


def of_zones(one: Fitted, bad: BadZones) -> Finding:
    """A slow or lossy pair of zones."""
    source, target = one.zones[bad.source], one.zones[bad.target]
    rows, columns = np.nonzero(between(one.fit, one.looked, bad.source, bad.target))
    seen = _number(np.median(one.values[rows, columns]))
    usual = None if seen is None else one.looked.natural(float(one.looked.badness(np.array(seen))) - bad.size)
    both = " in both directions" if bad.both_ways else ""
    return Finding(
        kind=f"{one.looked.kind}_zone_pair",
        where={
            "source_zone": source,
            "target_zone": target,
            "direction": "both" if bad.both_ways else "forward",
            **one.about,
        },
        size=_size(one, bad.size),
        evidence={**one.measured, "seen": seen, "usual": usual, "cells": bad.cells, **_method(one, bad.size)},
        confidence=bad.confidence,
        sentence=(
            f"Zone {source} -> zone {target} is {_adjective(one)}{both}: {_beside(one, seen, usual)} by the other "
            f"zones, at the median of {bad.cells} pairs ({_what(one)})."
        ),
    )


def _cells_of_node(one: Fitted, bad: BadNode) -> tuple[list[int], list[int]]:
    rows: list[int] = []
    columns: list[int] = []
    others = [node for node in range(len(one.names)) if node != bad.node]
    if bad.direction != "in":
        rows += [bad.node] * len(others)
        columns += others
    if bad.direction != "out":
        rows += others
        columns += [bad.node] * len(others)
    return rows, columns


def _of_node_and_others(one: Fitted, bad: BadNode) -> tuple[float | None, float | None]:
    """The median of a node's cells, and that of what the others have among themselves between the same zones.

    Both were measured: in a zone of a few nodes the fit's level of a zone is partly the bad node's own.
    """
    rows, columns = _cells_of_node(one, bad)
    there = np.isfinite(one.fit.cells)
    known = there[rows, columns]
    if not known.any():
        return None, None
    others = there.copy()
    others[bad.node, :] = others[:, bad.node] = False
    zone = one.fit.zone
    # Once for each pair of zones: a node of a large mesh has thousands of cells.
    crossed = Counter(zip(zone[rows][known].tolist(), zone[columns][known].tolist(), strict=True))
    usual: list[float] = []
    for (a, b), count in crossed.items():
        block = np.ix_(zone == a, zone == b)
        figures = one.values[block][others[block]]
        if figures.size:
            usual += [float(np.median(figures))] * count
    if not usual and others.any():
        usual = [float(np.median(one.values[others]))]
    return float(np.median(one.values[rows, columns][known])), float(np.median(usual)) if usual else None


def _of_cells(one: Fitted, rows: list[int], columns: list[int]) -> tuple[float | None, float | None]:
    """The median of some cells, and what it would be if nothing were wrong with their nodes or with themselves."""
    seen = one.values[rows, columns]
    there = np.isfinite(one.fit.cells[rows, columns])
    if not there.any():
        return None, None
    usual = one.fit.zones[one.fit.zone[rows], one.fit.zone[columns]]
    if len(rows) <= 2:  # a pair: its nodes' own levels are no fault of it
        usual = usual + one.fit.out[rows] + one.fit.into[columns]
    return float(np.median(seen[there])), one.looked.natural(float(np.median(usual[there])))


def _size(one: Fitted, badness: float) -> float:
    """How many times the usual it is: 0.5 is half. Of losses, the ratio that is lost beyond the usual."""
    if one.looked.kind == "lossy":
        return float(f"{one.looked.natural(badness):.4g}")
    return float(f"{math.exp(badness if one.looked.worse == 'more' else -badness):.4g}")


def _size_of_node(one: Fitted, bad: BadNode, seen: float | None, usual: float | None) -> float:
    """As `_size`, by what was measured where both figures are known."""
    if one.looked.kind == "lossy" or seen is None or not usual:
        return _size(one, bad.size)
    return float(f"{seen / usual:.4g}")


def _method(one: Fitted, badness: float) -> dict[str, Any]:
    return {"deviation": float(f"{badness:.4g}"), "noise": float(f"{one.fit.noise:.4g}")}


def _adjective(one: Fitted) -> str:
    return one.looked.kind


def _beside(one: Fitted, seen: float | None, usual: float | None) -> str:
    if seen is None or usual is None:
        return "its figures"
    value = one.looked.value
    lost = "lost, where" if value.endswith("loss_ratio") else "where"
    usually = "is usual" if value.endswith("loss_ratio") else "are usual"
    return f"{figure(value, seen)} {lost} {figure(value, max(usual, 0.0))} {usually}"


def _way_back(one: Fitted, back: float | None) -> str:
    return "" if back is None else f"; {figure(one.looked.value, back)} the way back"


def _what(one: Fitted) -> str:
    return f"{one.series.test}, {one.series.path}, {one.series.parameters.instrument}"


def _number(number: float | np.floating[Any]) -> float | None:
    return float(number) if np.isfinite(number) else None
