"""The OpenAPI document (3.1), made of the declarations that the router is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from netmesh_controller.surfaces.web import problems
from netmesh_controller.surfaces.web.access import TOKEN_HEADER
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Content, Operation

DOCUMENT = web.AppKey("openapi", dict[str, Any])
_TEMPLATE = "#/components/schemas/{model}"
_DESCRIPTIONS = {
    304: "The asker has it already (`If-None-Match`).",
    400: "The request is wrong; `field` names what is.",
    401: "The token is missing or wrong.",
    404: "There is no such thing.",
    406: "Not to be had in a form that was asked for.",
    409: "Something else is under way.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    503: "Not now: the store, the agents or the leader cannot be had.",
}

_Models = Mapping[Any, dict[str, Any]]  # by model and mode


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of these operations."""
    declared = list(operations)
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(problems.ProblemDetails, "serialization")]
    for operation in declared:
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
        wanted += [(model, "serialization") for model in _models(operation)]
    schemas, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_TEMPLATE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in declared:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "netmesh",
            "version": version("netmesh"),
            "description": "The network of a cluster, every ordered pair of nodes: sweeps, runs and their cells.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to where this document is, so that it holds behind a path prefix.
        "servers": [{"url": "../.."}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": TOKEN_HEADER},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _models(operation: Operation) -> Iterator[type[BaseModel]]:
    for answer in operation.answers:
        for content in answer.content.values():
            if isinstance(content, type):
                yield content


def _operation(operation: Operation, schemas: _Models) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_of_path(operation), *_of_query(operation), *_of_headers(operation)],
        "responses": {str(answer.status): _answer(answer, schemas) for answer in operation.answers},
        "security": [] if operation.access == "open" else [{"token": []}, {"bearer": []}],
    }
    if operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": schemas[operation.body, "validation"]}},
        }
    elif operation.upload:
        described["requestBody"] = {
            "required": True,
            "content": {media_type: {} for media_type in operation.upload},
        }
    for status in sorted(_problem_statuses(operation)):
        described["responses"][str(status)] = {
            "description": _DESCRIPTIONS[status],
            "content": {problems.MEDIA_TYPE: {"schema": schemas[problems.ProblemDetails, "serialization"]}},
        }
    if operation.method == "GET" and operation.access != "open":
        described["responses"]["304"] = {"description": _DESCRIPTIONS[304]}
    return described


def _problem_statuses(operation: Operation) -> set[int]:
    statuses = set(operation.problems)
    if operation.access != "open":
        statuses |= {401, 503}
    if operation.query is not None:
        statuses.add(400)
    if operation.body is not None or operation.upload:
        statuses |= {400, 413, 415}
    return statuses


# What stands for something that is there, where anything is.
_EXAMPLES = {"run": "latest", "index": "0"}


def _of_path(operation: Operation) -> list[dict[str, Any]]:
    parameters = []
    for name, text in operation.parameters.items():
        described = {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        parameters.append(described | ({"example": _EXAMPLES[name]} if name in _EXAMPLES else {}))
    return parameters


def _of_headers(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _of_query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(mode="validation")
    required = schema.get("required", ())
    parameters = []
    for name, described in schema.get("properties", {}).items():
        text = described.pop("description", "")
        described.pop("title", None)
        # In a query nothing stands for null: what is left out is.
        if "anyOf" in described:
            kept = [each for each in described.pop("anyOf") if each != {"type": "null"}]
            described.update(kept[0] if len(kept) == 1 else {"anyOf": kept})
        if described.get("default", ...) is None:
            del described["default"]
        parameters.append(
            {"name": name, "in": "query", "required": name in required, "description": text, "schema": described}
        )
    return parameters


def _answer(answer: Answer, schemas: _Models) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.content:
        described["content"] = _content(answer.content, schemas)
    return described


def _content(content: Content, schemas: _Models) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for media_type, what in content.items():
        schema = schemas[what, "serialization"] if isinstance(what, type) else what
        described[media_type] = {} if schema is None else {"schema": schema}
    return described


async def openapi(request: web.Request) -> web.StreamResponse:
    """The document of the application that answers."""
    return json_answer(request, request.config_dict[DOCUMENT])


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/openapi.json",
        "getOpenapi",
        "This document",
        openapi,
        (Answer(200, "The OpenAPI document.", {JSON: {"type": "object"}}),),
        tag="controller",
    ),
)
