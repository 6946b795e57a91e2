"""Measured again: a bandwidth that was low only for the time, or only because other tests ran at the same time.

Before a bandwidth finding is stated, its worst cells are measured again, each alone in the whole mesh. Pairs of
different nodes may share a link of the fabric: a node or zones that recover show that, and are `contention`. A pair
that recovers had a test that something held up, and nothing is said of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.asymmetric import uneven_pairs
from netmesh_controller.mesh.findings.places import BadNode, BadZones, bad_pairs
from netmesh_controller.mesh.findings.series import Bad, Fitted, places
from netmesh_controller.mesh.findings.words import figure
from netmesh_controller.mesh.table import Floats, Series

# Of all cells of a series, so many at most are measured again, and so many of one finding. In a small mesh it is a few
# cells: one test that was held up must not take the place of another.
_MOST, _MOST_OF_FEW = 0.05, 4
_OF_ONE_FINDING = 3


@dataclass(frozen=True, slots=True)
class Again:
    """A cell to be measured again alone."""

    series: Series
    source: str
    target: str


def worst_cells(fitted: Sequence[tuple[Fitted, float]]) -> list[Again]:
    """The cells to measure again alone before findings are stated: those of bandwidth findings, the worst of each
    first. Each figure has its alpha beside it.

    At most 5 % of a series' cells, or four: the worst of each finding first, then further ones of each. Pairs that
    would be stated only if a second test agreed are among them, after those that would be stated already.
    """
    chosen: list[Again] = []
    for one, alpha in fitted:
        if not asks_again(one):
            continue
        most = max(_MOST_OF_FEW, math.floor(_MOST * one.fit.count))
        found = places(one, alpha)
        # As if each had been as bad again: what a second test would let be stated.
        would = bad_pairs(one.fit, one.looked, alpha / 3, nodes=found.nodes, tests=one.tests, again=_as_measured(one))
        by_size = sorted(would, key=lambda bad: -bad.size)
        worst = [_worst(one, bad) for bad in [*found.every, *uneven_pairs(one, found, alpha), *by_size]]
        cells = [those[rank] for rank in range(_OF_ONE_FINDING) for those in worst if rank < len(those)]
        chosen += [Again(one.series, one.names[a], one.names[b]) for a, b in dict.fromkeys(cells)][:most]
    return chosen


def asks_again(one: Fitted) -> bool:
    """Whether other tests could have taken a figure's bandwidth: it is as much as goes through."""
    return (
        TESTS[one.series.test].kind == "bandwidth"
        and one.looked.kind == "slow"
        and one.series.parameters.offered_bits_per_second is None
    )


def recovered(one: Fitted, bad: Bad, again: Floats) -> bool:
    """Whether most of a finding's cells that were measured again alone are back to half of what it says, or better."""
    measured = [(a, b) for a, b in _cells(one, bad) if np.isfinite(again[a, b])]
    if not measured:
        return False
    better = one.fit.cells - one.looked.badness(again)
    return sum(bool(better[a, b] > bad.size / 2) for a, b in measured) * 2 > len(measured)


def contention(one: Fitted, instead: Finding, bad: Bad, again: Floats) -> Finding:
    """What is said instead of a finding whose cells recovered."""
    measured = [(a, b) for a, b in _cells(one, bad) if np.isfinite(again[a, b])]
    rows, columns = [a for a, _ in measured], [b for _, b in measured]
    together, alone = float(np.median(one.values[rows, columns])), float(np.median(again[rows, columns]))
    where = instead.where
    place = where.get("node") or (
        f"zone {where['source_zone']} -> zone {where['target_zone']}"
        if "source_zone" in where
        else f"{where['source']} -> {where['target']}"
    )
    value = one.looked.value
    return Finding(
        kind="contention",
        where=where,
        size=float(f"{together / alone:.4g}"),
        evidence={
            **instead.evidence,
            "instead_of": instead.kind,
            "together": together,
            "alone": alone,
            "cells_again": len(measured),
        },
        confidence=instead.confidence,
        sentence=(
            f"{place} reaches {figure(value, alone)} alone and {figure(value, together)} while other pairs are "
            f"measured: they share a link ({one.series.test}, {one.series.path}, "
            f"{one.series.parameters.instrument})."
        ),
    )


def said_alone(one: Fitted, finding: Finding, bad: Bad, again: Floats) -> Finding:
    """The finding with what its worst cells reached alone, where they were measured again."""
    alone = [float(again[a, b]) for a, b in _cells(one, bad) if np.isfinite(again[a, b])]
    if not alone:
        return finding
    evidence = {**finding.evidence, "alone": float(np.median(alone)), "cells_again": len(alone)}
    return finding.model_copy(update={"evidence": evidence})


def again_of(one: Fitted, measured: Mapping[Again, float]) -> Floats:
    """What was measured again alone, at its place (n, n), NaN elsewhere."""
    place = {name: number for number, name in enumerate(one.names)}
    made = np.full(one.values.shape, np.nan)
    for cell, value in measured.items():
        if cell.series == one.series:
            made[place[cell.source], place[cell.target]] = value
    return made


def was_measured(one: Fitted, bad: Bad, again: Floats) -> bool:
    """Whether any cell of it was measured again."""
    return any(np.isfinite(again[cell]) for cell in _cells(one, bad))


def _as_measured(one: Fitted) -> Floats:
    return one.looked.badness(one.values)


def _worst(one: Fitted, bad: Bad) -> list[tuple[int, int]]:
    return sorted(_cells(one, bad), key=lambda cell: -one.fit.cells[cell])


def _cells(one: Fitted, bad: Bad) -> list[tuple[int, int]]:
    mask = np.zeros(one.fit.cells.shape, dtype=bool)
    if isinstance(bad, BadNode):
        mask[bad.node, :] = bad.direction != "in"
        mask[:, bad.node] |= bad.direction != "out"
    elif isinstance(bad, BadZones):
        ways = [(bad.source, bad.target), (bad.target, bad.source)]
        for a, b in ways if bad.both_ways else ways[:1]:
            mask |= (one.fit.zone[:, None] == a) & (one.fit.zone[None, :] == b)
    else:
        mask[bad.source, bad.target] = True
        mask[bad.target, bad.source] |= bad.both_ways
    return [(int(a), int(b)) for a, b in np.argwhere(mask & np.isfinite(one.fit.cells))]
