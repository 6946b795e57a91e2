"""Diagnoses: why a pair is slow, asked for, watched, read again."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field, ValidationError

from netmesh_common.errors import BadUsageError
from netmesh_controller.engines.diagnoses import Diagnoses, DiagnosisJob, State
from netmesh_controller.mesh.diagnosis.document import Diagnosis
from netmesh_controller.surfaces.reports.diagnosis import page
from netmesh_controller.surfaces.web.answers import bytes_answer, json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Body, Operation, body_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services
from netmesh_controller.surfaces.web.stream import event_stream
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

HTML = "text/html"
DIAGNOSES = web.AppKey("diagnoses", Diagnoses)


class DiagnosisRequest(Body):
    """Which pair. `quick` ends within seconds, with shorter tests and fewer steps."""

    source: str = Field(min_length=1, max_length=253)
    target: str = Field(min_length=1, max_length=253)
    quick: bool = False


class DiagnosisStatus(Answered):
    """A diagnosis; `run` is its id and the run that keeps its cells. `diagnosis` is there once it is complete.

    `events` is relative to this document's own address; null where they are no longer kept.
    """

    run: str
    source: str
    target: str
    quick: bool
    state: State
    diagnosis: Diagnosis | None
    events: str | None


class DiagnosisList(Answered):
    """The last diagnoses of this controller since it started, newest first, without what they found."""

    diagnoses: list[DiagnosisStatus]


def _status(job: DiagnosisJob, events: str, *, whole: bool = True) -> DiagnosisStatus:
    return DiagnosisStatus(
        run=job.run,
        source=job.source,
        target=job.target,
        quick=job.quick,
        state=job.state,
        diagnosis=job.found if whole else None,
        events=events,
    )


async def list_diagnoses(request: web.Request) -> web.StreamResponse:
    """Those that are remembered."""
    jobs = request.config_dict[DIAGNOSES].jobs
    found = [_status(job, f"diagnoses/{job.run}/events", whole=False) for job in jobs]
    return json_answer(request, DiagnosisList(diagnoses=found))


async def start_diagnosis(request: web.Request) -> web.StreamResponse:
    """Starts one."""
    asked = await body_of(request, DiagnosisRequest)
    try:
        job = await request.config_dict[DIAGNOSES].start(asked.source, asked.target, quick=asked.quick)
    except BadUsageError as error:
        raise Problem(400, "bad_pair", str(error)) from None
    where = f"diagnoses/{job.run}"
    return json_answer(request, _status(job, f"{where}/events"), status=201, headers={"Location": where})


async def get_diagnosis(request: web.Request) -> web.StreamResponse:
    """One of them, or what is stored of an earlier one."""
    return json_answer(request, await _found(request))


async def page_of_diagnosis(request: web.Request) -> web.StreamResponse:
    """The same as a file for people."""
    status = await _found(request)
    if status.diagnosis is None:
        raise Problem(409, "not_complete", f"diagnosis {status.run} is {status.state}: there is no verdict")
    headers = {"Content-Disposition": f'inline; filename="{status.run}.html"'}
    return bytes_answer(request, page(status.diagnosis).encode(), HTML, compress=True, headers=headers)


async def _found(request: web.Request) -> DiagnosisStatus:
    having = services(request)
    run_id = await having.store.find(request.match_info["run"])
    job = request.config_dict[DIAGNOSES].job(run_id)
    if job is not None:
        return _status(job, "events")
    run = (await having.store.info(run_id)).run
    asked, stored = run.plan.asked, run.facts.get("diagnosis")
    pair = asked.get("diagnose")
    if not (isinstance(pair, list) and len(pair) == 2):
        raise Problem(404, "no_diagnosis", f"run {run_id} is no diagnosis")
    try:
        found = None if stored is None else Diagnosis.model_validate(stored)
    except ValidationError:
        raise Problem(404, "no_diagnosis", f"what run {run_id} keeps is no diagnosis that this version reads") from None
    state: State = "complete" if found is not None else "cancelled" if run.state == "cancelled" else "failed"
    return DiagnosisStatus(
        run=run_id,
        source=str(pair[0]),
        target=str(pair[1]),
        quick=bool(asked.get("quick")),
        state=state,
        diagnosis=found,
        events=None,
    )


async def cancel_diagnosis(request: web.Request) -> web.StreamResponse:
    """Ends it; what is measured is kept."""
    run_id = await services(request).store.find(request.match_info["run"])
    if not request.config_dict[DIAGNOSES].cancel(run_id):
        raise Problem(409, "not_running", f"diagnosis {run_id} is not under way here", run=run_id)
    return web.Response(status=202)


async def events(request: web.Request) -> web.StreamResponse:
    """What happens, as it happens."""
    run_id = await services(request).store.find(request.match_info["run"])
    job = request.config_dict[DIAGNOSES].job(run_id)
    if job is None:
        raise Problem(404, "no_diagnosis", f"this controller has not diagnosed as run {run_id} since it started")
    return await event_stream(request, job.events)


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/diagnoses",
        "listDiagnoses",
        "The diagnoses of this controller since it started",
        list_diagnoses,
        (Answer(200, "The diagnoses.", {JSON: DiagnosisList}),),
        tag="diagnoses",
    ),
    Operation(
        "POST",
        f"{API}/diagnoses",
        "startDiagnosis",
        "Ask why a pair is slow",
        start_diagnosis,
        (Answer(201, "The diagnosis has started; its run is stored.", {JSON: DiagnosisStatus}),),
        access="change",
        tag="diagnoses",
        body=DiagnosisRequest,
        problems=(409, 503),
        description="It takes a sweep's place: while one is under way, or another diagnosis, it is refused with 409.",
    ),
    Operation(
        "GET",
        f"{API}/diagnoses/{{run}}",
        "getDiagnosis",
        "A diagnosis, with what it found",
        get_diagnosis,
        (Answer(200, "The diagnosis.", {JSON: DiagnosisStatus}),),
        tag="diagnoses",
        parameters=RUN_PARAMETER,
        problems=(404,),
    ),
    Operation(
        "GET",
        f"{API}/diagnoses/{{run}}/report",
        "reportDiagnosis",
        "A diagnosis as one HTML file that loads nothing",
        page_of_diagnosis,
        (Answer(200, "The file.", {HTML: None}),),
        tag="diagnoses",
        parameters=RUN_PARAMETER,
        problems=(404, 409),
    ),
    Operation(
        "DELETE",
        f"{API}/diagnoses/{{run}}",
        "cancelDiagnosis",
        "Cancel a diagnosis; what is measured is kept",
        cancel_diagnosis,
        (Answer(202, "It ends now; its events say when it has ended."),),
        access="change",
        tag="diagnoses",
        parameters=RUN_PARAMETER,
        problems=(404, 409),
    ),
    Operation(
        "GET",
        f"{API}/diagnoses/{{run}}/events",
        "watchDiagnosis",
        "A diagnosis' steps as they begin, and its end",
        events,
        (Answer(200, "Server-sent events; see docs/api.md.", {"text/event-stream": None}),),
        tag="diagnoses",
        parameters=RUN_PARAMETER,
        headers={"Last-Event-ID": "The id of the last event that was read; events after it follow"},
        problems=(404,),
    ),
)
