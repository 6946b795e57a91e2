"""A run's matrices, as JSON and as packed binary."""

from __future__ import annotations

from aiohttp import web

from netmesh_controller.mesh import packed
from netmesh_controller.mesh.document import Matrix, Parameters
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.web.answers import json_answer, large_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.runs import found_run
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

# Longer numbers are no place in a list, and int() refuses some.
_DIGITS = 10


class MatrixHead(Answered):
    """What a matrix shows; `href` is relative to the list's own address."""

    index: int
    path: str
    test: str
    parameters: Parameters
    value: str
    statistic: str
    unit: str
    rows: int
    columns: int
    known: int
    href: str


class MatrixList(Answered):
    """The matrices that a run has."""

    matrices: list[MatrixHead]


async def list_matrices(request: web.Request) -> web.StreamResponse:
    """Their heads, without numbers."""
    having, run_id = await found_run(request)
    tables = await having.results.tables(run_id)
    return json_answer(request, MatrixList(matrices=[_head(index, table) for index, table in enumerate(tables)]))


def _head(index: int, table: Table) -> MatrixHead:
    return MatrixHead(
        index=index,
        path=table.series.path,
        test=table.series.test,
        parameters=table.series.parameters,
        value=table.value,
        statistic=table.statistic,
        unit=table.unit,
        rows=len(table.sources),
        columns=len(table.targets),
        known=int(table.known.sum()),
        href=f"matrices/{index}",
    )


async def get_matrix(request: web.Request) -> web.StreamResponse:
    """One of them, in the form that `Accept` prefers."""
    index = request.match_info["index"]
    having, run_id = await found_run(request)
    tables = await having.results.tables(run_id)
    if not (index.isascii() and index.isdigit() and len(index) < _DIGITS and int(index) < len(tables)):
        raise Problem(404, "no_matrix", f"run {run_id} has {len(tables)} matrices, counted from 0")
    table = tables[int(index)]
    if packed.MEDIA_TYPE in request.headers.get("Accept", ""):
        return await large_answer(request, lambda: packed.pack(table), packed.MEDIA_TYPE)
    return await large_answer(request, lambda: table.document().model_dump_json().encode(), JSON)


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/runs/{{run}}/matrices",
        "listMatrices",
        "What matrices a run has",
        list_matrices,
        (Answer(200, "Their heads.", {JSON: MatrixList}),),
        tag="runs",
        parameters=RUN_PARAMETER,
        problems=(404,),
    ),
    Operation(
        "GET",
        f"{API}/runs/{{run}}/matrices/{{index}}",
        "getMatrix",
        "A matrix, as JSON or as packed binary",
        get_matrix,
        (Answer(200, "The matrix; see docs/api.md for the packed form.", {JSON: Matrix, packed.MEDIA_TYPE: None}),),
        tag="runs",
        parameters={**RUN_PARAMETER, "index": "Its place in the list, counted from 0"},
        headers={"Accept": f"`{packed.MEDIA_TYPE}` for the packed form"},
        problems=(404,),
    ),
)
