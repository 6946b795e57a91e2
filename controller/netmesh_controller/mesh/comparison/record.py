"""A comparison as JSON, `netmesh.comparison/1`: units are SI and stand in the names of values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netmesh_controller.mesh.comparison.shapes import Comparison, Group, PairDifference
from netmesh_controller.mesh.comparison.words import overviews, summaries

SCHEMA = "netmesh.comparison/1"


def record(comparison: Comparison) -> dict[str, Any]:
    """The comparison as an object of JSON; `against` is the place in `runs` of the run held against the first."""
    return {
        "schema": SCHEMA,
        "runs": [
            side.run.model_dump(mode="json", include={"id", "name", "state", "started_at", "finished_at"})
            for side in comparison.sides
        ],
        "facts": [{"name": fact.name, "answers": [list(each) for each in fact.answers]} for fact in comparison.facts],
        "remarks": list(comparison.remarks),
        "sentences": summaries(comparison),
        "worse": comparison.worse,
        "tables": [asdict(table) for table in overviews(comparison.sides)],
        "groups": [_record(group) for group in comparison.groups],
        "pairs": [_record(pair) for pair in comparison.pairs],
    }


def _record(one: Group | PairDifference) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__ if name not in ("series", "effect")}
    return {
        "path": one.series.path,
        "test": one.series.test,
        "parameters": one.series.parameters.model_dump(mode="json"),
        **fields,
        "effect": asdict(one.effect),
    }
