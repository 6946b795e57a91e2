"""Outliers against a mesh's own history: what has changed since earlier runs, where the rest of the mesh has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.again import recovered
from netmesh_controller.mesh.findings.fit import fit
from netmesh_controller.mesh.findings.places import BadNode, BadPair
from netmesh_controller.mesh.findings.series import Fitted, places
from netmesh_controller.mesh.findings.words import figure
from netmesh_controller.mesh.table import Floats, Series, Table

# With fewer earlier runs nobody knows how much runs differ.
LEAST_RUNS = 3


def outliers(
    one: Fitted, history: Sequence[Mapping[tuple[Series, str], Table]], alpha: float, again: Floats
) -> list[Finding]:
    """Nodes and pairs that are worse than they were in the earlier runs, by more than the mesh as a whole.

    Each run of `history` has its tables by (series, value). Each cell is compared with its own median over them, so
    that what has always been slow is no outlier; what is left is taken apart as any other matrix. A pair that was
    measured `again` (n, n) and is back has not changed.
    """
    earlier = [
        _at_places(table, one.names)
        for run in history
        if (table := run.get((one.series, one.looked.value))) is not None
    ]
    if len(earlier) < LEAST_RUNS:
        return []
    before = np.stack([one.looked.badness(values) for values in earlier])
    enough = np.count_nonzero(np.isfinite(before), axis=0) >= LEAST_RUNS
    usual = np.full(enough.shape, np.nan)
    usual[enough] = np.nanmedian(before[:, enough], axis=0)
    change = one.fit.cells - usual
    if np.count_nonzero(np.isfinite(change)) < len(one.names):
        return []
    changed = replace(one, fit=fit(change, np.zeros_like(one.fit.zone), one.looked.noise))
    found = places(changed, alpha)
    shift = float(np.nanmedian(change))
    return [
        _of(one, usual, bad, shift, len(earlier))
        for bad in found.every
        if isinstance(bad, BadNode) or (isinstance(bad, BadPair) and not recovered(one, bad, again))
    ]


def _at_places(table: Table, names: Sequence[str]) -> Floats:
    """A table's values at the places of these nodes, NaN where it has none."""
    row = {name: place for place, name in enumerate(table.sources)}
    column = {name: place for place, name in enumerate(table.targets)}
    made = np.full((len(names), len(names)), np.nan)
    known = [(place, row[name], column[name]) for place, name in enumerate(names) if name in row and name in column]
    if known:
        here, rows, columns = (list(side) for side in zip(*known, strict=True))
        made[np.ix_(here, here)] = table.values[np.ix_(rows, columns)]
    return made


def _of(one: Fitted, usual: Floats, bad: BadNode | BadPair, shift: float, runs: int) -> Finding:
    if isinstance(bad, BadNode):
        place = one.names[bad.node]
        where = {"node": place, "direction": bad.direction}
        mask = np.zeros(usual.shape, dtype=bool)
        mask[bad.node, :] = bad.direction != "in"
        mask[:, bad.node] |= bad.direction != "out"
    else:
        source, target = one.names[bad.source], one.names[bad.target]
        place = f"{source} -> {target}"
        where = {"source": source, "target": target, "direction": "both" if bad.both_ways else "forward"}
        mask = np.zeros(usual.shape, dtype=bool)
        mask[bad.source, bad.target] = True
    mask &= np.isfinite(usual) & np.isfinite(one.fit.cells)
    seen = float(np.median(one.values[mask]))
    before = one.looked.natural(float(np.median(usual[mask])))
    value = one.looked.value
    return Finding(
        kind="outlier",
        where={**where, **one.about},
        size=float(f"{seen / before:.4g}") if before > 0 else None,
        evidence={
            **one.measured,
            "seen": seen,
            "before": before,
            "runs": runs,
            "mesh_deviation": float(f"{shift:.4g}"),
            "deviation": float(f"{bad.size:.4g}"),
        },
        confidence=bad.confidence,
        sentence=(
            f"{place} is worse than in {runs} earlier runs: {figure(value, seen)}, {figure(value, before)} before "
            f"({one.series.test}, {one.series.path}, {one.series.parameters.instrument})."
        ),
    )
