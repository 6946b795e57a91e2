"""The OpenAPI document against the routes, against the standard's own schema, and the server against the document."""

import re
from dataclasses import replace
from typing import Any

import jsonschema
from tests.controller.web.conftest import Api

from netmesh_controller.surfaces.web import openapi
from netmesh_controller.surfaces.web.application import OPERATIONS, application
from netmesh_controller.surfaces.web.metrics import new_registry


async def test_no_route_is_undocumented(api: Api) -> None:
    document = await api.get("/api/v1/openapi.json")
    documented = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods if method != "head"
    }
    services = replace(api.services, registry=new_registry())
    routed = {
        (route.method, route.resource.canonical)
        for route in application(services, OPERATIONS).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert documented == routed
    assert len(routed) == len(OPERATIONS)


async def test_the_document_refers_only_to_what_it_has(api: Api) -> None:
    document = await api.get("/api/v1/openapi.json")
    references = set(re.findall(r'"\$ref": ?"([^"]+)"', str(document).replace("'", '"')))
    assert references
    for reference in references:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_schema_is_one() -> None:
    for schema in openapi.document(OPERATIONS)["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_path_parameters_are_declared() -> None:
    for operation in OPERATIONS:
        assert set(re.findall(r"{(\w+)}", operation.path)) == set(operation.parameters), operation.path
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
