"""What a route takes and answers, declared once: the router and the OpenAPI document are both made of this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from netmesh_controller.surfaces.web.problems import Problem

JSON = "application/json"
API = "/api/v1"

QueryT = TypeVar("QueryT", bound="Query")
BodyT = TypeVar("BodyT", bound="Body")
ModelT = TypeVar("ModelT", bound=BaseModel)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# open: anybody; read: the token, unless reading is public; change: always the token.
Access = Literal["open", "read", "change"]
# Of a media type: a model, a JSON Schema, or None where the content is no JSON.
Content = Mapping[str, type[BaseModel] | dict[str, Any] | None]


class Query(BaseModel):
    """Base of what a route takes in its query; an unknown parameter is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Body(BaseModel):
    """Base of what a route takes as JSON; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answered(BaseModel):
    """Base of what a route answers as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a request ends well."""

    status: int
    description: str
    content: Content = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `problems` are the statuses of errors beside those that every operation of its kind may have.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    name: str
    summary: str
    handler: Handler
    answers: tuple[Answer, ...]
    access: Access = "read"
    tag: str = "netmesh"
    query: type[Query] | None = None
    body: type[Body] | None = None
    upload: tuple[str, ...] = ()  # the media types of a body that is read as a stream
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the path, with what each is
    headers: Mapping[str, str] = field(default_factory=dict)  # that it reads, with what each is
    problems: tuple[int, ...] = ()
    description: str = ""


def query_of(request: web.Request, model: type[QueryT]) -> QueryT:
    """The request's query as its model says; Problem names the parameter that is wrong."""
    given: dict[str, str] = {}
    for key, value in request.query.items():
        if key in given:
            raise Problem(400, "bad_query", f"{key} is given twice", field=key)
        given[key] = value
    return _validated(model, given, "bad_query")


async def body_of(request: web.Request, model: type[BodyT]) -> BodyT:
    """The request's JSON as its model says; Problem names the field that is wrong."""
    if request.content_type != JSON:
        raise Problem(415, "bad_media_type", f"the body is {JSON}, not {request.content_type}")
    data = await request.read()
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _wrong(error, "bad_body") from None


def _validated(model: type[ModelT], given: Mapping[str, Any], code: str) -> ModelT:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _wrong(error, code) from None


def _wrong(error: ValidationError, code: str) -> Problem:
    first = error.errors(include_url=False, include_input=False)[0]
    field_name = ".".join(str(part) for part in first["loc"])
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "extra_forbidden":
        message = "there is no such field"
    return Problem(400, code, f"{field_name}: {message}" if field_name else message, field=field_name or None)
