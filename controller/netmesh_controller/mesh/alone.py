"""What was measured again alone, as it stands in a run's facts. It is no cell: cells are those that were planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netmesh_controller.mesh.document import Cell, Parameters
from netmesh_controller.mesh.findings import Again
from netmesh_controller.mesh.table import Series

# The run's fact that holds them.
ALONE = "alone"
_VALUE = "bits_per_second"


def record(cell: Cell) -> dict[str, Any] | None:
    """The entry of a cell measured again alone; None where that has no figure."""
    summary = cell.values.get(_VALUE) if cell.outcome == "measured" else None
    if summary is None:
        return None
    return {
        "path": cell.path,
        "test": cell.test,
        "parameters": cell.parameters.model_dump(mode="json"),
        "source": cell.source,
        "target": cell.target,
        _VALUE: summary.mean,
        "started_at": cell.started_at,
    }


def measured_again(entries: Iterable[Mapping[str, Any]]) -> dict[Again, float]:
    """The bandwidths (bit/s) of the entries, by cell."""
    return {
        Again(Series(one["path"], one["test"], Parameters(**one["parameters"])), one["source"], one["target"]): float(
            one[_VALUE]
        )
        for one in entries
    }
