"""What a mesh usually does, so that what is out of the ordinary can be told: a robust row and column fit.

Every remote cell is how bad it is on a logarithmic scale (see `scale`), and is taken apart into

    cell (i, j) = zones (zone of i, zone of j) + out (i) + into (j) + rest (i, j)

by medians (Tukey, "Exploratory Data Analysis", 1977, chapter 11: median polish). A median does not move with what less
than half of its numbers do, so that a fault stays in the term that it belongs to: a slow node in `out` or `into`, a
slow pair in `rest`, a slow pair of zones in `zones`. That zones differ, or that nodes differ a little, is no fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.statistics.robust import MAD_TO_STDEV
from netmesh_controller.mesh.table import Floats

Mask: TypeAlias = NDArray[np.bool_]

_ROUNDS = 4
# Below so many nodes in each of two zones, a single bad node is too large a part of the cells between them to tell
# it from the zones; within one zone both its row and its column are in them.
_NODES_OF_A_BLOCK = 3
_NODES_WITHIN_A_ZONE = 5
# With fewer levels between zones nobody could tell which one is usual.
_LEVELS_TO_COMPARE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The parts, for n nodes in z zones. What has no figure is NaN.

    `cells` and `rest` have the shape (n, n), `out`, `into` (n,) and `zones` (z, z); `zone` has each node's place among
    the zones, 0 for all where there are none. `own_zones` says which pairs of zones have a level of their own; the
    others share that of all pairs of one zone, or of two. `noise` is the rest's robust standard deviation.
    """

    cells: Floats
    out: Floats
    into: Floats
    zones: Floats
    own_zones: Mask
    zone: NDArray[np.intp]
    rest: Floats
    noise: float

    @property
    def count(self) -> int:
        """How many cells there are."""
        return int(np.count_nonzero(np.isfinite(self.cells)))


def fit(cells: Floats, zone: NDArray[np.intp], least_noise: float) -> Fit:
    """The fit of cells (n, n), NaN where there is none; the diagonal has no part in it.

    `zone` has each node's zone as a number from 0. `least_noise` is a floor for `noise`: what is always to be expected.
    """
    count = len(zone)
    cells = np.where(np.eye(count, dtype=bool), np.nan, cells)
    zones, own = _zone_levels(cells, zone)
    out, into = np.zeros(count), np.zeros(count)
    for _ in range(_ROUNDS):
        levelled = cells - zones[np.ix_(zone, zone)]
        for _ in range(2):
            out = _medians(levelled - into[None, :], 1)
            out -= _median(out)
            into = _medians(levelled - out[:, None], 0)
        # The level of the mesh belongs to the zones.
        level = _median(into)
        into -= level
        zones = zones + level
        if not own.any():
            break
        zones = zones + np.where(own, _block_medians(cells - _sum(zones, out, into, zone), zone, len(zones)), 0.0)
    rest = cells - _sum(zones, out, into, zone)
    return Fit(cells, out, into, zones, own, zone, rest, max(_noise(rest, 2 * count - 1), least_noise))


def _sum(zones: Floats, out: Floats, into: Floats, zone: NDArray[np.intp]) -> Floats:
    # A node without a figure has no effect of its own, and no cell that it could be in.
    made: Floats = zones[np.ix_(zone, zone)] + np.nan_to_num(out)[:, None] + np.nan_to_num(into)[None, :]
    return made


def _zone_levels(cells: Floats, zone: NDArray[np.intp]) -> tuple[Floats, Mask]:
    """First levels of all pairs of zones: their own median where they are large enough, else that of their class.

    The classes, within a zone and between two, are told apart within rows and columns, whose own level cancels.
    """
    number = int(zone.max(initial=0)) + 1
    members = np.bincount(zone, minlength=number)
    own = np.minimum(members[:, None], members[None, :]) >= _NODES_OF_A_BLOCK
    np.fill_diagonal(own, members >= _NODES_WITHIN_A_ZONE)
    if number == 1:
        return np.full((1, 1), _median(cells)), np.zeros((1, 1), dtype=bool)
    same = zone[:, None] == zone[None, :]
    # One copy of the cells at a time: of a thousand nodes each is 8 MB.
    within, between = ([_medians(np.where(part, cells, np.nan), axis) for axis in (0, 1)] for part in (same, ~same))
    step = _median(np.concatenate(between) - np.concatenate(within))
    step = step if np.isfinite(step) else 0.0
    base = _median(np.where(same, cells, cells - step))
    levels = np.full((number, number), base + step)
    np.fill_diagonal(levels, base)
    medians = _block_medians(cells, zone, number)
    own &= np.isfinite(medians)
    if np.count_nonzero(own & ~np.eye(number, dtype=bool)) < _LEVELS_TO_COMPARE:
        own &= np.eye(number, dtype=bool)
    return np.where(own, medians, levels), own


def _block_medians(cells: Floats, zone: NDArray[np.intp], number: int) -> Floats:
    """The median of the cells between each two zones; NaN where there is none."""
    made = np.full((number, number), np.nan)
    members = [np.flatnonzero(zone == one) for one in range(number)]
    for a, sources in enumerate(members):
        for b, targets in enumerate(members):
            made[a, b] = _median(cells[np.ix_(sources, targets)])
    return made


def _noise(rest: Floats, parameters: int) -> float:
    """The robust standard deviation of the rest.

    As many residuals as there are parameters are 0 or near it by construction, and say nothing (Maronna, Martin and
    Yohai, "Robust Statistics", 2006, section 4.4): the median is over the others.
    """
    sizes = np.sort(np.abs(rest[np.isfinite(rest)]))
    free = sizes[min(parameters, max(0, len(sizes) - 1)) :]
    return MAD_TO_STDEV * float(np.median(free)) if len(free) else 0.0


def _median(values: Floats) -> float:
    there = values[np.isfinite(values)]
    return float(np.median(there)) if there.size else np.nan


def _medians(values: Floats, axis: int) -> Floats:
    """Medians over an axis of what is finite; NaN where nothing is."""
    ordered = np.sort(values, axis=axis)  # NaN last
    counts = np.count_nonzero(np.isfinite(values), axis=axis)
    lanes = np.arange(len(counts))
    low, high = np.maximum(counts - 1, 0) // 2, counts // 2
    high = np.minimum(high, values.shape[axis] - 1)
    picked = (ordered[lanes, low], ordered[lanes, high]) if axis == 1 else (ordered[low, lanes], ordered[high, lanes])
    made: Floats = np.where(counts > 0, (picked[0] + picked[1]) / 2, np.nan)
    return made
