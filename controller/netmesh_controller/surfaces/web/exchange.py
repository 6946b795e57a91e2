"""Whole runs, as a file of lines: out as a stream, in as one."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import zstandard
from aiohttp import web
from pydantic import Field

from netmesh_controller.clients.runfile import RunFile, RunFileError, head_line
from netmesh_controller.clients.store import RunNotFoundError
from netmesh_controller.engines import exchange
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Operation, Query, query_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.runs import RunSummary, found_run, summary
from netmesh_controller.surfaces.web.services import Services, services
from netmesh_controller.surfaces.web.sweeps import RUN_PARAMETER

ZSTANDARD = "application/zstd"
JSON_LINES = "application/jsonl"
# A run of a million cells has some 100 MB.
MOST_IMPORT_BYTES = 1 << 30
# Where a sentence names a field: at its beginning, or after what it is about.
_FIELD = re.compile(r"(?:^|: )([a-z_]+(?:\[[0-9]+\])?(?:\.[a-z_0-9]+)*): ")


class ImportQuery(Query):
    """How a run is imported."""

    replace: Annotated[bool, Field(description="In place of a stored run of the same id")] = False


async def export(request: web.Request) -> web.StreamResponse:
    """The document without cells and matrices on the first line, then a cell a line; compressed by zstandard."""
    having, run_id = await found_run(request)
    about = await having.store.info(run_id)
    head = RunDocument(run=about.run, nodes=list(about.nodes), cells=[], matrices=[], findings=list(about.findings))
    response = web.StreamResponse(
        headers={
            "Content-Type": ZSTANDARD,
            "Cache-Control": "no-cache",
            "Content-Disposition": f'attachment; filename="{run_id}.jsonl.zst"',
        }
    )
    await response.prepare(request)
    packing = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
    await response.write(packing.compress(head_line(head)))
    # A reader that goes away keeps no connection to the database.
    async with aclosing(having.store.texts(run_id)) as parts:
        async for texts in parts:
            await response.write(packing.compress("\n".join(texts).encode() + b"\n"))
    await response.write(packing.flush())
    await response.write_eof()
    return response


async def import_run(request: web.Request) -> web.StreamResponse:
    """Puts a run into the store: all of it or, where something is wrong, nothing."""
    asked = query_of(request, ImportQuery)
    if request.content_type not in (JSON, JSON_LINES, ZSTANDARD):
        raise Problem(415, "bad_media_type", f"the body is {JSON}, {JSON_LINES} or {ZSTANDARD}")
    having = services(request)
    with tempfile.TemporaryDirectory(prefix="netmesh-import-") as folder:
        path = Path(folder) / "run"
        await _received(request, path)
        try:
            file = await asyncio.to_thread(RunFile, path)
            await _check_free(having, file.run.id, replace=asked.replace)
            about = await exchange.import_run(having.store, path, replace=asked.replace)
        except RunFileError as error:
            said = str(error).removeprefix(f"{path}: ").replace(str(path), "the body")
            wrong = _FIELD.search(said)
            raise Problem(400, "bad_run", said, field=wrong[1] if wrong else None) from error
    having.results.forget(about.run.id)
    where = f"runs/{about.run.id}"
    return json_answer(request, summary(about), status=201, headers={"Location": where})


async def _received(request: web.Request, path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > MOST_IMPORT_BYTES:
                raise Problem(413, "too_large", f"a run is at most {MOST_IMPORT_BYTES} bytes")
            file.write(chunk)


async def _check_free(having: Services, run_id: str, *, replace: bool) -> None:
    having.sweeps.check_not_running(run_id)
    if replace:
        return
    try:
        await having.store.info(run_id)
    except RunNotFoundError:
        return
    raise Problem(
        409, "run_exists", f"run {run_id} is stored already; replace=true puts this one in its place", run=run_id
    )


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/runs/{{run}}/export",
        "exportRun",
        "A whole run of any size, as run.jsonl.zst",
        export,
        (Answer(200, "The run: its document without cells, then a cell a line.", {ZSTANDARD: None}),),
        tag="runs",
        parameters=RUN_PARAMETER,
        problems=(404,),
    ),
    Operation(
        "POST",
        f"{API}/runs",
        "importRun",
        "Import a run: run.json, run.jsonl or run.jsonl.zst",
        import_run,
        (Answer(201, "The run is stored.", {JSON: RunSummary}),),
        access="change",
        tag="runs",
        query=ImportQuery,
        upload=(JSON, JSON_LINES, ZSTANDARD),
        problems=(409,),
    ),
)
