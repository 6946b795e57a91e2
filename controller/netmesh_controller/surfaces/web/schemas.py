"""JSON Schemas of what has no model of its own."""

from __future__ import annotations

from typing import Any

from netmesh_controller.mesh.ask import Ask

_VALUE = {
    "anyOf": [
        {"type": "string"},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
    ]
}

# A sweep's options: names as the command line has them, with underscores; values as a plan file has them.
OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(Ask.model_fields, _VALUE),
    "additionalProperties": False,
}
