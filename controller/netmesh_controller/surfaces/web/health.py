"""Is the process alive, may it be sent requests, and who is in charge."""

from __future__ import annotations

from importlib.metadata import version

from aiohttp import web

from netmesh_common.tasks import broken
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services


class Health(Answered):
    """The process answers."""

    status: str


class ControllerStatus(Answered):
    """This controller: its version, whether it leads, who does, in which term, and the run that it measures now."""

    version: str
    leading: bool
    leader: str | None
    term: int
    sweep: str | None


async def healthz(request: web.Request) -> web.StreamResponse:
    """Alive, leading or not, and at all of its work: a process that has lost a part of it has to be started again."""
    lost = broken()
    if lost:
        raise Problem(503, "broken", f"ended with an error, which the log tells: {', '.join(lost)}")
    return json_answer(request, Health(status="ok"))


async def readyz(request: web.Request) -> web.StreamResponse:
    """Ready is the controller that leads: a Service then sends nobody to one that stands by."""
    leading = services(request).leading()
    if not leading.leading:
        who = f"the leader is {leading.leader}" if leading.leader else "there is no leader yet"
        raise Problem(503, "standby", f"this controller stands by; {who}")
    return json_answer(request, Health(status="ready"))


async def controller(request: web.Request) -> web.StreamResponse:
    """Who this is and who leads; a controller that stands by answers too."""
    having = services(request)
    leading, job = having.leading(), having.sweeps.current
    return json_answer(
        request,
        ControllerStatus(
            version=version("netmesh"),
            leading=leading.leading,
            leader=leading.leader,
            term=leading.term,
            sweep=None if job is None else job.run_id,
        ),
    )


OPERATIONS = (
    Operation(
        "GET",
        "/healthz",
        "getHealth",
        "Whether the process is alive",
        healthz,
        (Answer(200, "It is alive.", {JSON: Health}),),
        access="open",
        tag="controller",
        problems=(503,),
    ),
    Operation(
        "GET",
        "/readyz",
        "getReadiness",
        "Whether this controller leads",
        readyz,
        (Answer(200, "It leads.", {JSON: Health}),),
        access="open",
        tag="controller",
        problems=(503,),
    ),
    Operation(
        "GET",
        f"{API}/controller",
        "getController",
        "Who this controller is, and who leads",
        controller,
        (Answer(200, "The controller.", {JSON: ControllerStatus}),),
        tag="controller",
    ),
)
