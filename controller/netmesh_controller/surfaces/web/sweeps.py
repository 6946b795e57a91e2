"""Sweeps: started with the options of the command line, watched, cancelled."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import Field

from netmesh_controller.engines.jobs import Job
from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.document import RunState
from netmesh_controller.mesh.findings.history import LEAST_RUNS
from netmesh_controller.mesh.outline import Outline
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Body, Operation, body_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.schemas import OPTIONS
from netmesh_controller.surfaces.web.services import services
from netmesh_controller.surfaces.web.stream import event_stream

RUN_PARAMETER = {"run": "A run: its id, a unique beginning of it, its name, or `latest`"}


class SweepRequest(Body):
    """What to measure. `options` are the sweep's long options, with underscores; what is left out has its default.

    `history` has three earlier runs of this controller or more: what has become worse is found. `resume` measures what
    is missing of a run instead; `dry_run` answers with the outline and measures nothing.
    """

    options: dict[str, Any] = Field(default_factory=dict, json_schema_extra=OPTIONS)
    name: str | None = Field(default=None, min_length=1, max_length=200)
    history: list[str] = Field(default_factory=list, max_length=100)
    resume: str | None = Field(default=None, min_length=1, max_length=200)
    dry_run: bool = False


class SweepStatus(Answered):
    """A sweep. `planned` counts the cells of the whole run; `events` is relative to this document's own address."""

    run: str
    name: str | None
    state: RunState
    cancelling: bool
    planned: int
    outline: Outline
    remarks: list[str]
    events: str


class SweepList(Answered):
    """The sweep that runs now, and the last ones of this controller, newest first."""

    current: str | None
    sweeps: list[SweepStatus]


class SweepOutline(Answered):
    """What a sweep would do."""

    outline: Outline
    remarks: list[str]


def status(job: Job, events: str) -> SweepStatus:
    """A sweep as it is told; `events` is where its events are, from where it is told."""
    return SweepStatus(
        run=job.run_id,
        name=job.name,
        state=job.state,
        cancelling=job.cancelling and job.state == "running",
        planned=job.planned,
        outline=job.outline,
        remarks=list(job.remarks),
        events=events,
    )


async def list_sweeps(request: web.Request) -> web.StreamResponse:
    """The sweeps of this controller since it started."""
    sweeps = services(request).sweeps
    current = sweeps.current
    return json_answer(
        request,
        SweepList(
            current=None if current is None else current.run_id,
            sweeps=[status(job, f"sweeps/{job.run_id}/events") for job in sweeps.jobs],
        ),
    )


async def start_sweep(request: web.Request) -> web.StreamResponse:
    """Starts one, or says what it would do."""
    asked = await body_of(request, SweepRequest)
    having = services(request)
    if asked.resume is not None:
        given = ("options", asked.options), ("name", asked.name), ("history", asked.history), ("dry_run", asked.dry_run)
        wrong = next((field for field, value in given if value), None)
        if wrong is not None:
            raise Problem(
                400, "bad_body", f"{wrong}: resume goes on with what the run was asked for; leave it out", field=wrong
            )
        job = await having.sweeps.resume(await having.store.find(asked.resume))
        return _started(request, job)
    earlier = list(dict.fromkeys([await having.store.find(one) for one in asked.history]))
    if 0 < len(earlier) < LEAST_RUNS:
        said = f"history: it takes at least {LEAST_RUNS} earlier runs to know how far runs differ"
        raise Problem(400, "bad_body", said, field="history")
    if asked.dry_run:
        outline, remarks = await having.sweeps.outline(asked.options)
        return json_answer(request, SweepOutline(outline=outline, remarks=list(remarks)))
    try:
        ask_from(asked.options)
    except AskError as error:
        raise Problem(400, "bad_option", str(error), field=error.field) from None
    return _started(request, await having.sweeps.start(asked.options, name=asked.name, history=earlier))


def _started(request: web.Request, job: Job) -> web.StreamResponse:
    where = f"sweeps/{job.run_id}"
    return json_answer(request, status(job, f"{where}/events"), status=201, headers={"Location": where})


async def get_sweep(request: web.Request) -> web.StreamResponse:
    """One of them."""
    return json_answer(request, status(await _job(request), "events"))


async def cancel_sweep(request: web.Request) -> web.StreamResponse:
    """Ends it; what is measured is kept. The events say when it has ended."""
    having = services(request)
    run_id = await having.store.find(request.match_info["run"])
    if not await having.sweeps.cancel(run_id):
        raise Problem(409, "not_running", f"run {run_id} is not being measured by this controller", run=run_id)
    return web.Response(status=202)


async def events(request: web.Request) -> web.StreamResponse:
    """The sweep's events as they happen."""
    job = await _job(request)
    return await event_stream(request, job.events)


async def _job(request: web.Request) -> Job:
    having = services(request)
    run_id = await having.store.find(request.match_info["run"])
    job = having.sweeps.job(run_id)
    if job is None:
        raise Problem(
            404, "no_sweep", f"this controller has not measured run {run_id} since it started; ask for the run itself"
        )
    return job


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/sweeps",
        "listSweeps",
        "The sweeps of this controller since it started",
        list_sweeps,
        (Answer(200, "The sweeps.", {JSON: SweepList}),),
        tag="sweeps",
    ),
    Operation(
        "POST",
        f"{API}/sweeps",
        "startSweep",
        "Start a sweep, resume one, or learn what it would do",
        start_sweep,
        (
            Answer(201, "The sweep has started; its run is stored.", {JSON: SweepStatus}),
            Answer(200, "What the sweep would do (`dry_run`).", {JSON: SweepOutline}),
        ),
        access="change",
        tag="sweeps",
        body=SweepRequest,
        problems=(404, 409, 503),
        description="One sweep runs at a time; a second is refused with 409 and `run`, the one that is under way.",
    ),
    Operation(
        "GET",
        f"{API}/sweeps/{{run}}",
        "getSweep",
        "A sweep",
        get_sweep,
        (Answer(200, "The sweep.", {JSON: SweepStatus}),),
        tag="sweeps",
        parameters=RUN_PARAMETER,
        problems=(404,),
    ),
    Operation(
        "DELETE",
        f"{API}/sweeps/{{run}}",
        "cancelSweep",
        "Cancel a sweep; what is measured is kept",
        cancel_sweep,
        (Answer(202, "It ends now; its events say when it has ended."),),
        access="change",
        tag="sweeps",
        parameters=RUN_PARAMETER,
        problems=(404, 409),
    ),
    Operation(
        "GET",
        f"{API}/sweeps/{{run}}/events",
        "watchSweep",
        "A sweep's events as they happen",
        events,
        (Answer(200, "Server-sent events; see docs/api.md.", {"text/event-stream": None}),),
        tag="sweeps",
        parameters=RUN_PARAMETER,
        headers={"Last-Event-ID": "The id of the last event that was read; events after it follow"},
        problems=(404,),
    ),
)
