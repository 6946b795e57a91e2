"""Two stored runs held against each other."""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from pydantic import Field

from netmesh_controller.clients.store import Store
from netmesh_controller.engines.exchange import load_arrays
from netmesh_controller.mesh.comparison import Side, compare
from netmesh_controller.mesh.comparison.record import SCHEMA, record
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Operation, Query, query_of
from netmesh_controller.surfaces.web.services import services

_Run = Annotated[str, Field(min_length=1, max_length=200)]

# What is in it is `record`'s matter, which files and notebooks get too.
COMPARISON = {
    "type": "object",
    "properties": {"schema": {"const": SCHEMA}},
    "required": ["schema", "runs", "facts", "remarks", "sentences", "worse", "tables", "groups", "pairs"],
}


class ComparisonQuery(Query):
    """Which runs: an id, a unique beginning of it, a name, or `latest`. The first is the baseline."""

    first: _Run
    second: _Run


async def get_comparison(request: web.Request) -> web.StreamResponse:
    """Better, worse, or not distinguishable."""
    asked = query_of(request, ComparisonQuery)
    having = services(request)
    # One at a time, as drawing: two large runs in arrays are enough for this process.
    async with having.drawing:
        sides = [await _side(having.store, reference) for reference in (asked.first, asked.second)]
        found = await asyncio.to_thread(lambda: record(compare(sides)))
    return json_answer(request, found)


async def _side(store: Store, reference: str) -> Side:
    # The id, and never the name of a file of this host.
    arrays = await load_arrays(store, await store.find(reference))
    return Side(arrays.run, arrays.nodes, arrays.series)


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/comparison",
        "compareRuns",
        "Two runs held against each other, as a whole and cell by cell",
        get_comparison,
        (Answer(200, "The comparison.", {JSON: COMPARISON}),),
        tag="runs",
        query=ComparisonQuery,
        problems=(404,),
    ),
)
