"""Runs: what was measured, found again, named, deleted."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from netmesh_controller.clients.store import RunFilter, RunInfo
from netmesh_controller.clients.store.shapes import MOMENT
from netmesh_controller.mesh.document import Finding, Node, Run, RunDocument, RunState
from netmesh_controller.surfaces.web.answers import Written, json_answer, large_answer, written_answer
from netmesh_controller.surfaces.web.operations import (
    API,
    JSON,
    Answer,
    Answered,
    Body,
    Operation,
    body_of,
    query_of,
)
from netmesh_controller.surfaces.web.paging import Page
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import Services, services
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

# Above this a run travels as a stream, a cell a line.
MOST_CELLS = 10_000


class RunSummary(Answered):
    """A run without its cells. `abandoned`: its controller died while it ran, or lost the Lease, and nobody has
    taken it up yet.

    `outcomes` counts the stored cells by outcome.
    """

    run: Run
    node_count: int
    tags: list[str]
    outcomes: dict[str, int]
    abandoned: bool


class RunList(Answered):
    """A page of runs, the latest first; `next` is null on the last page."""

    runs: list[RunSummary]
    next: str | None


class RunDetails(RunSummary):
    """A run with its nodes and findings, without its cells."""

    nodes: list[Node]
    findings: list[Finding]


class RunsQuery(Page):
    """Which runs: all that every given parameter fits."""

    name: Annotated[str | None, Field(max_length=200, description="A part of the name or of the id")] = None
    tag: Annotated[str | None, Field(max_length=200, description="A tag that the run has")] = None
    state: Annotated[RunState | None, Field(description="The state that it is in")] = None
    since: Annotated[
        str | None,
        Field(max_length=40, pattern=MOMENT, description="Started then or later (RFC 3339 in UTC, or its beginning)"),
    ] = None


class RunChange(Body):
    """What is to be changed; what is left out stays. A `name` of null takes the name away."""

    name: str | None = Field(default=None, min_length=1, max_length=200)
    add_tags: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=list, max_length=100)
    remove_tags: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default_factory=list, max_length=100)


def summary(info: RunInfo) -> RunSummary:
    """A run as it is listed."""
    return RunSummary(
        run=info.run,
        node_count=info.node_count,
        tags=list(info.tags),
        outcomes=dict(info.outcomes),
        abandoned=info.abandoned,
    )


async def list_runs(request: web.Request) -> web.StreamResponse:
    """The latest first, a page at a time."""
    asked = query_of(request, RunsQuery)
    before, last_id = _position(asked.after)
    wanted = RunFilter(
        name=asked.name,
        tags=() if asked.tag is None else (asked.tag,),
        states=() if asked.state is None else (asked.state,),
        since=asked.since,
        before=before,
    )
    # Some that started in the same millisecond as the last one may come again.
    found = await services(request).store.runs(wanted, asked.limit + 20)
    if last_id is not None:
        found = [info for info in found if (info.run.started_at + "~", info.run.id) < (before or "", last_id)]
    shown, more = found[: asked.limit], found[asked.limit :]
    following = f"{shown[-1].run.started_at},{shown[-1].run.id}" if more else None
    return json_answer(request, RunList(runs=[summary(info) for info in shown], next=following))


def _position(after: str | None) -> tuple[str | None, str | None]:
    """Where a page begins: a text that the starts are held against, and the last run's id."""
    if after is None:
        return None, None
    started, comma, run_id = after.partition(",")
    if not (started and comma and run_id):
        raise Problem(400, "bad_query", "after: give `next` of the page before", field="after")
    # "~" comes after all that a time is written with, so that the same moment is not left out.
    return started + "~", run_id


async def found_run(request: web.Request) -> tuple[Services, str]:
    """The services, and the id of the run that the path means; RunNotFoundError where there is none."""
    having = services(request)
    return having, await having.store.find(request.match_info["run"])


async def get_run(request: web.Request) -> web.StreamResponse:
    """One run."""
    written = await services(request).store.described(request.match_info["run"], _written)
    return written_answer(request, written, JSON)


def _written(info: RunInfo, nodes: str, findings: str) -> Written:
    # As it is stored, a RunDetails: it is not read to be written again.
    head = summary(info).model_dump_json()[:-1]
    return Written.of(f'{head},"nodes":{nodes},"findings":{findings}}}'.encode())


async def change_run(request: web.Request) -> web.StreamResponse:
    """Another name, other tags."""
    having, run_id = await found_run(request)
    change = await body_of(request, RunChange)
    if "name" in change.model_fields_set:
        await having.store.rename(run_id, change.name)
    if change.add_tags or change.remove_tags:
        await having.store.tag(run_id, change.add_tags, change.remove_tags)
    return json_answer(request, summary(await having.store.info(run_id)))


async def delete_run(request: web.Request) -> web.StreamResponse:
    """Gone, with all its cells."""
    having, run_id = await found_run(request)
    having.sweeps.check_not_running(run_id)
    await having.store.delete(run_id)
    having.results.forget(run_id)
    return web.Response(status=204)


async def get_document(request: web.Request) -> web.StreamResponse:
    """The run document, as `--output run.json` writes it."""
    having, run_id = await found_run(request)
    await check_size(having, run_id)
    document = await having.results.document(run_id)
    return await large_answer(request, lambda: document.model_dump_json(by_alias=True).encode(), JSON)


async def check_size(having: Services, run_id: str) -> None:
    """Problem 409 where the run has too many cells to be one document."""
    cells = (await having.store.info(run_id)).cells
    if cells > MOST_CELLS:
        raise Problem(
            409, "too_many_cells", f"run {run_id} has {cells} cells, more than one document carries; take its export"
        )


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/runs",
        "listRuns",
        "Runs, the latest first",
        list_runs,
        (Answer(200, "A page of runs.", {JSON: RunList}),),
        tag="runs",
        query=RunsQuery,
    ),
    Operation(
        "GET",
        f"{API}/runs/{{run}}",
        "getRun",
        "A run with its nodes and findings, without its cells",
        get_run,
        (Answer(200, "The run.", {JSON: RunDetails}),),
        tag="runs",
        parameters=RUN_PARAMETER,
        problems=(404,),
    ),
    Operation(
        "PATCH",
        f"{API}/runs/{{run}}",
        "changeRun",
        "Give a run another name or other tags",
        change_run,
        (Answer(200, "The run as it is now.", {JSON: RunSummary}),),
        access="change",
        tag="runs",
        parameters=RUN_PARAMETER,
        body=RunChange,
        problems=(404,),
    ),
    Operation(
        "DELETE",
        f"{API}/runs/{{run}}",
        "deleteRun",
        "Delete a run with its cells",
        delete_run,
        (Answer(204, "It is gone."),),
        access="change",
        tag="runs",
        parameters=RUN_PARAMETER,
        problems=(404, 409),
    ),
    Operation(
        "GET",
        f"{API}/runs/{{run}}/document",
        "getDocument",
        "The run document, netmesh.run/1",
        get_document,
        (Answer(200, "The document.", {JSON: RunDocument}),),
        tag="runs",
        parameters=RUN_PARAMETER,
        problems=(404, 409),
    ),
)
