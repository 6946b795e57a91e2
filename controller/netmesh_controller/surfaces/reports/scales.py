"""The range of a heatmap's colours; static/matrix.js has the same rules for the pages."""

from __future__ import annotations

import numpy as np

from netmesh_controller.mesh.table import Floats, Table

# The middle 96 % of the pairs, never narrower than a tenth about the median, so that noise stays pale.
_ENDS = (0.02, 0.98)
_LEAST = 0.1


def peers(table: Table) -> Floats:
    """The figures that are compared with one another: those between nodes, or all where there are none."""
    remote = table.values[table.remote & table.known]
    return remote if remote.size else table.values[table.known]


def robust_range(table: Table) -> tuple[float, float]:
    """The lowest and the highest number that the colours tell apart, in the table's unit."""
    numbers = peers(table)
    if not numbers.size:
        return 0.0, 1.0
    middle = float(np.median(numbers))
    low, high = (float(end) for end in np.quantile(numbers, _ENDS))
    low, high = min(low, middle - abs(middle) * _LEAST), max(high, middle + abs(middle) * _LEAST)
    return (low, high) if low < high else (low, low + 1.0)
