"""Reports of a run over HTTP, in every format that `netmesh-controller report` writes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from netmesh_controller.surfaces.reports.formats import Choice, ReportError, Wanted, formats
from netmesh_controller.surfaces.web.answers import bytes_answer
from netmesh_controller.surfaces.web.operations import API, Answer, Operation, Query, query_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.runs import check_size, found_run
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

_MEDIA_TYPES = {
    ".html": "text/html",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".csv": "text/csv",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".xml": "application/xml",
    ".jsonl": "application/jsonl",
    ".jsonl.zst": "application/zstd",
}
_COMPRESSED_ALREADY = (".png", ".jsonl.zst")
# A report is of another origin than the pages, whose token it must not reach. The HTML has its own policy beside.
_POLICIES = {
    ".html": "sandbox allow-scripts",
    ".svg": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}
_POLICY = "sandbox"
_Name = Annotated[str | None, Field(max_length=200)]


class ReportQuery(Query):
    """Which report: a format, and what of the run it shows; all where nothing is named."""

    format: Annotated[
        str, Field(min_length=1, max_length=10, description="html, png, svg, csv, json, yaml, jsonl.zst or xml")
    ]
    path: _Name = None
    test: _Name = None
    value: _Name = None
    statistic: Annotated[str, Field(max_length=20)] = "mean"
    csv: Literal["long", "wide"] = "long"


async def report(request: web.Request) -> web.StreamResponse:
    """One report."""
    asked = query_of(request, ReportQuery)
    ending = f".{asked.format.lower()}"
    kind = formats().get(ending)
    if kind is None:
        there = ", ".join(sorted(each.removeprefix(".") for each in formats()))
        raise Problem(400, "bad_query", f"format: there is no '{asked.format}'; there are {there}", field="format")
    having, run_id = await found_run(request)
    await check_size(having, run_id)
    document = await having.results.document(run_id)
    choice = Choice(
        paths=() if asked.path is None else (asked.path,),
        tests=() if asked.test is None else (asked.test,),
        values=() if asked.value is None else (asked.value,),
        statistic=asked.statistic,
        csv=asked.csv,
    )
    try:
        # One at a time: the library that draws is of one thread, and each takes a core.
        async with having.drawing:
            body = await asyncio.to_thread(lambda: b"".join(kind.render(Wanted.of(document, choice), ending)))
    except ReportError as error:
        said = str(error).removeprefix("--")
        raise Problem(400, "bad_query", said, field=said.partition(":")[0]) from error
    return bytes_answer(
        request,
        body,
        _MEDIA_TYPES.get(ending, "application/octet-stream"),
        compress=ending not in _COMPRESSED_ALREADY,
        headers={
            "Content-Disposition": f'inline; filename="{run_id}{ending}"',
            "Content-Security-Policy": _POLICIES.get(ending, _POLICY),
        },
    )


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/runs/{{run}}/report",
        "getReport",
        "A report of a run, in a format",
        report,
        (Answer(200, "The report.", dict.fromkeys(dict.fromkeys(_MEDIA_TYPES.values()))),),
        tag="runs",
        parameters=RUN_PARAMETER,
        query=ReportQuery,
        problems=(404, 409),
    ),
)
