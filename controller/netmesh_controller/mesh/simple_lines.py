"""A cell that holds values and nothing else beside its key, checked by hand as the run document's model checks it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from netmesh_controller.mesh.document import MOST_REPEAT, CellKey, Summary

KEY_FIELDS: frozenset[str] = frozenset(CellKey.model_fields)
# Fields that a simple line has; the others are null or empty in it, or not there.
_SIMPLE = KEY_FIELDS | {"attempt", "outcome", "reason", "started_at", "duration_seconds", "values"}
_EMPTY: Mapping[str, tuple[Any, ...]] = {
    "intervals": ({},),
    "histograms": ({},),
    "hosts": ({}, {"source": None, "target": None}),
    "witness": (None,),
}
_FAILURES = ("failed", "skipped", "discarded")
_STATISTICS = frozenset(Summary.model_fields) - {"mean", "count"}


def is_simple(fields: dict[str, Any]) -> bool:
    """Whether a cell is right and holds nothing beside its key and its values."""
    values = fields.get("values", {})
    duration = fields.get("duration_seconds")
    return (
        type(fields.get("attempt")) is int
        and type(fields.get("repeat")) is int
        and 0 <= fields["repeat"] <= MOST_REPEAT
        and type(fields.get("source")) is str
        and type(fields.get("target")) is str
        and _ended_rightly(fields.get("outcome"), fields.get("reason"))
        and type(values) is dict
        and all(summary is None or _is_summary(summary) for summary in values.values())
        and (fields.keys() <= _SIMPLE or all(_is_empty(name, fields[name]) for name in fields.keys() - _SIMPLE))
        and (duration is None or _is_number(duration))
        and type(fields.get("started_at")) in (str, type(None))
    )


def _ended_rightly(outcome: Any, reason: Any) -> bool:
    return reason is None if outcome == "measured" else outcome in _FAILURES and _is_reason(reason)


def _is_reason(reason: Any) -> bool:
    return (
        type(reason) is dict
        and reason.keys() == {"code", "message"}
        and type(reason["code"]) is str
        and type(reason["message"]) is str
    )


def _is_summary(summary: Any) -> bool:
    if type(summary) is not dict or not _is_number(summary.get("mean")):
        return False
    if len(summary) == 1:
        return True
    for name, number in summary.items():
        if name == "count":
            if type(number) is not int or number < 1:
                return False
        elif name != "mean" and (name not in _STATISTICS or not (number is None or _is_number(number))):
            return False
    return True


def _is_number(number: Any) -> bool:
    return (type(number) is float and math.isfinite(number)) or (type(number) is int and -(2**53) <= number <= 2**53)


def _is_empty(name: str, value: Any) -> bool:
    if name == "tool":
        return type(value) is dict and all(
            (part in ("version", "command_source", "command_target", "congestion_control", "raw") and inner is None)
            or (part == "reported" and inner == {})
            for part, inner in value.items()
        )
    return name in _EMPTY and value in _EMPTY[name]
