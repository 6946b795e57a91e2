"""The application: routes out of their declarations, access before each, and errors that are always problems."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from aiohttp import web

from netmesh_common.errors import CouldNotRunError
from netmesh_common.tls import CertificateError
from netmesh_controller.clients.store import RunBusyError, RunNotFoundError, StoreError
from netmesh_controller.clients.turns import before_agents
from netmesh_controller.engines.diagnoses import Diagnoses
from netmesh_controller.engines.jobs import BusyError, NoAgentsError, NotLeadingError
from netmesh_controller.inventory.located import InventoryError
from netmesh_controller.mesh.ask import AskError
from netmesh_controller.surfaces.web import (
    cells,
    checks,
    comparisons,
    diagnoses,
    events,
    exchange,
    health,
    history,
    matrices,
    mesh,
    metrics,
    nodes,
    openapi,
    pages,
    reports,
    runs,
    sweeps,
)
from netmesh_controller.surfaces.web.access import check_access
from netmesh_controller.surfaces.web.metrics import HttpMetrics
from netmesh_controller.surfaces.web.operations import Handler, Operation
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import SERVICES, Services

log = logging.getLogger(__name__)

# A request's JSON; a run that is imported is read as a stream and has a limit of its own.
MOST_BODY_BYTES = 1 << 20

OPERATIONS: tuple[Operation, ...] = (
    *health.OPERATIONS,
    *metrics.OPERATIONS,
    *openapi.OPERATIONS,
    *nodes.OPERATIONS,
    *mesh.OPERATIONS,
    *checks.OPERATIONS,
    *history.OPERATIONS,
    *events.OPERATIONS,
    *sweeps.OPERATIONS,
    *runs.OPERATIONS,
    *cells.OPERATIONS,
    *matrices.OPERATIONS,
    *comparisons.OPERATIONS,
    *diagnoses.OPERATIONS,
    *exchange.OPERATIONS,
    *reports.OPERATIONS,
    *pages.OPERATIONS,
)


def application(services: Services, operations: Iterable[Operation] = OPERATIONS) -> web.Application:
    """The HTTP API over these services."""
    declared = tuple(operations)
    measured = HttpMetrics(services.registry)
    app = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[_problems(measured)])
    app[SERVICES] = services
    app[nodes.LAST] = nodes.Last()
    app[diagnoses.DIAGNOSES] = Diagnoses(services.store, services.sweeps)
    app[openapi.DOCUMENT] = openapi.document(declared)
    for operation in declared:
        app.router.add_route(operation.method, operation.path, _guarded(operation), name=operation.name)
        if operation.method == "GET":
            app.router.add_route("HEAD", operation.path, _guarded(operation))
    return app


def _guarded(operation: Operation) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        check_access(request, operation.access)
        return await operation.handler(request)

    return handle


def _problems(measured: HttpMetrics) -> web.middlewares._Middleware:  # type: ignore[name-defined]  # aiohttp exports no name
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = time.monotonic()
        try:
            with before_agents():
                response = await handler(request)
        except Exception as error:
            problem = _problem_of(error)
            if problem.status == 500:
                log.exception("%s %s failed", request.method, request.path)
            response = problem.response()
        route = request.match_info.route.resource
        name = route.canonical if route is not None else "none"
        measured.count(request.method, name, response.status, time.monotonic() - begun)
        return response

    return middleware


# What the layers below raise, by status and code; the first that fits.
_KNOWN: tuple[tuple[type[Exception], int, str], ...] = (
    (AskError, 400, "bad_option"),
    (RunNotFoundError, 404, "no_run"),
    (BusyError, 409, "busy"),
    (RunBusyError, 409, "run_busy"),
    (NotLeadingError, 503, "standby"),
    (NoAgentsError, 503, "no_agents"),
    (InventoryError, 503, "no_agents"),
    (CertificateError, 503, "no_agents"),
    (StoreError, 503, "store"),
    (CouldNotRunError, 503, "not_now"),
)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    for kind, status, code in _KNOWN:
        if isinstance(error, kind):
            return Problem(
                status, code, str(error), field=getattr(error, "field", None), run=getattr(error, "run_id", None)
            )
    return Problem(500, "internal", "netmesh failed here; its log says where")


def _of_http(error: web.HTTPException) -> Problem:
    match error:
        case web.HTTPNotFound():
            return Problem(404, "no_resource", "there is no such resource; openapi.json lists what there is")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Problem(
                405, "method", f"{error.method} is not possible here, but {allowed}", headers={"Allow": allowed}
            )
        case web.HTTPRequestEntityTooLarge():
            return Problem(413, "too_large", f"the body is larger than {MOST_BODY_BYTES} bytes")
        case _:
            return Problem(error.status, "http", error.text or error.reason)
