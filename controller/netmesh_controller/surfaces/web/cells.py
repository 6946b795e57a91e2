"""A run's cells, a page at a time."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from netmesh_controller.mesh.document import Cell, Outcome
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, query_of
from netmesh_controller.surfaces.web.paging import Page, number_of
from netmesh_controller.surfaces.web.runs import found_run
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

_Name = Annotated[str | None, Field(max_length=253)]


class CellsQuery(Page):
    """Which cells: all that every given parameter fits."""

    path: _Name = None
    test: _Name = None
    source: _Name = None
    target: _Name = None
    outcome: Outcome | None = None


class CellList(Answered):
    """A page of cells, in the order of their keys; `next` is null on the last page."""

    cells: list[Cell]
    next: str | None


async def list_cells(request: web.Request) -> web.StreamResponse:
    """Some of a run's cells."""
    asked = query_of(request, CellsQuery)
    skipped = number_of(asked.after)
    having, run_id = await found_run(request)
    found = await having.store.page(
        run_id,
        skipped,
        asked.limit + 1,
        path=asked.path,
        test=asked.test,
        source=asked.source,
        target=asked.target,
        outcome=asked.outcome,
    )
    shown = found[: asked.limit]
    more = len(found) > asked.limit
    return json_answer(request, CellList(cells=list(shown), next=str(skipped + len(shown)) if more else None))


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/runs/{{run}}/cells",
        "listCells",
        "A run's cells, or those of a pair, path, test or outcome",
        list_cells,
        (Answer(200, "A page of cells.", {JSON: CellList}),),
        tag="runs",
        parameters=RUN_PARAMETER,
        query=CellsQuery,
        problems=(404,),
    ),
)
