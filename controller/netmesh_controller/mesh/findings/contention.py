"""Contention: a bandwidth that was low only because other tests ran at the same time.

Pairs of different nodes may still share a link of the fabric. Before a bandwidth finding is stated, its worst cells are
measured again, each alone in the whole mesh; one that recovers shows an oversubscribed fabric, and no slow node or
pair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.places import BadNode, BadZones, bad_pairs
from netmesh_controller.mesh.findings.series import Bad, Fitted, Places, places
from netmesh_controller.mesh.findings.words import figure
from netmesh_controller.mesh.table import Floats, Series

# Of all cells of a series, so many at most are measured again, and so many of one finding.
_MOST = 0.05
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

    At most 5 % of a series' cells, one at least. Pairs that would be stated only if a second test agreed are among
    them, after those that would be stated already.
    """
    chosen: list[Again] = []
    for one, alpha in fitted:
        if not asks_again(one):
            continue
        most = max(1, math.floor(_MOST * one.fit.count))
        found = places(one, alpha)
        cells: list[tuple[int, int]] = []
        for bad in found.every:
            cells += _worst(one, bad)[:_OF_ONE_FINDING]
        every = np.where(np.isfinite(one.fit.cells), one.fit.rest, np.nan)
        # As if each had been as bad again: what a second test would let be stated.
        would = bad_pairs(one.fit, one.looked, alpha / 3, nodes=found.nodes, tests=one.tests, again=_as_measured(one))
        by_size = sorted(would, key=lambda bad: -bad.size)
        cells += [(bad.source, bad.target) for bad in by_size if np.isfinite(every[bad.source, bad.target])]
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


def seen_twice(one: Fitted, bad: Bad) -> bool:
    """Whether more than one test was slow: one that is fast the next time may have been held up by anything."""
    return len(_cells(one, bad)) * one.tests > 1


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


def without_contention(one: Fitted, found: Places, again: Floats) -> tuple[Places, list[Bad]]:
    """What is still bad, and what recovered."""
    gone: list[Bad] = [bad for bad in found.every if recovered(one, bad, again)]
    return Places(
        [bad for bad in found.nodes if bad not in gone],
        [bad for bad in found.zones if bad not in gone],
        [bad for bad in found.pairs if bad not in gone],
    ), gone


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
