"""Bad pairs that are a pair of zones: where nearly all pairs between two zones are bad, the zones are said, once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netmesh_controller.mesh.findings.fit import Fit
from netmesh_controller.mesh.findings.places import BadPair, BadZones

_MOST = 0.75
_LEAST_CELLS = 4


def pairs_of_zones(fit: Fit, pairs: Sequence[BadPair]) -> tuple[list[BadZones], list[BadPair]]:
    """The pairs of zones that the bad pairs fill, by two sources and two targets at least; and the pairs left over."""
    bad = np.zeros(fit.cells.shape, dtype=bool)
    for one in pairs:
        bad[one.source, one.target] = True
        bad[one.target, one.source] |= one.both_ways
    filled = np.zeros((len(fit.zones), len(fit.zones)), dtype=bool)
    for a, b in {(int(fit.zone[i]), int(fit.zone[j])) for i, j in np.argwhere(bad)}:
        block = np.ix_(fit.zone == a, fit.zone == b)
        inside, cells = bad[block], int(np.count_nonzero(np.isfinite(fit.cells[block])))
        wide = np.count_nonzero(inside.any(axis=0)) >= 2 and np.count_nonzero(inside.any(axis=1)) >= 2
        filled[a, b] = a != b and wide and cells >= _LEAST_CELLS and np.count_nonzero(inside) >= _MOST * cells
    left = [
        one
        for one in pairs
        if not filled[fit.zone[one.source], fit.zone[one.target]]
        and not (one.both_ways and filled[fit.zone[one.target], fit.zone[one.source]])
    ]
    made = []
    for a, b in np.argwhere(filled).tolist():
        if filled[b, a] and a > b:
            continue
        within = [one for one in pairs if {fit.zone[one.source], fit.zone[one.target]} == {a, b}]
        size = float(np.median([one.size for one in within]))
        cells = int(np.count_nonzero(np.isfinite(fit.cells[np.ix_(fit.zone == a, fit.zone == b)])))
        made.append(BadZones(a, b, bool(filled[b, a]), size, max(one.confidence for one in within), cells))
    return made, left
