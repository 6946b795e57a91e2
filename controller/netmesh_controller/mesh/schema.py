"""The JSON Schema of the run document, made from the models that read and write it."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from netmesh_controller.mesh.document import SCHEMA, RunDocument

SCHEMA_ID = "urn:netmesh:schema:run-1"


class _Generator(GenerateJsonSchema):
    """Draft 2020-12 without a title on every property, which would only repeat its name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  (the signature is pydantic's)
        return False

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        made = super().generate(schema, mode)
        named = {"$schema": self.schema_dialect, "$id": SCHEMA_ID, **made}
        return {**named, "title": SCHEMA}


def run_schema() -> dict[str, Any]:
    """The schema of `netmesh.run/1` (JSON Schema, draft 2020-12), as `docs/schema` has it."""
    return RunDocument.model_json_schema(by_alias=True, mode="serialization", schema_generator=_Generator)
