"""A run's cells, a page at a time."""

from __future__ import annotations

import json
from typing import Annotated

from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from netmesh_controller.clients.store import CellPage, CellPosition
from netmesh_controller.mesh.document import Cell, Outcome, Repeat
from netmesh_controller.surfaces.web.answers import Written, written_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, query_of
from netmesh_controller.surfaces.web.paging import Page
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

_Name = Annotated[str | None, Field(max_length=253)]
_Stored = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
_POSITION = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**31)], _Stored, _Stored, Repeat])


class CellsQuery(Page):
    """Which cells: all that every given parameter fits."""

    # It has two names in it.
    after: Annotated[str | None, Field(min_length=1, max_length=3000, description="`next` of the page before")] = None
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
    after = None if asked.after is None else _position(asked.after)
    written = await services(request).store.page(
        request.match_info["run"],
        asked.limit,
        _written,
        after=after,
        path=asked.path,
        test=asked.test,
        source=asked.source,
        target=asked.target,
        outcome=asked.outcome,
    )
    return written_answer(request, written, JSON)


def _written(page: CellPage) -> Written:
    following = None if page.following is None else json.dumps(page.following, ensure_ascii=False)
    return Written.of(CellList(cells=list(page.cells), next=following).model_dump_json().encode())


def _position(after: str) -> CellPosition:
    """Where a page begins; Problem where it is not where one ended."""
    try:
        return CellPosition(*_POSITION.validate_json(after, strict=True))
    except ValidationError:
        raise Problem(400, "bad_query", "after: give `next` of the page before", field="after") from None


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
