"""Runs of the store as arrays, however many cells they have."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from netmesh_controller.clients.store import Store
from netmesh_controller.mesh.columns import Columns
from netmesh_controller.mesh.document import Finding, Node, Run
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.lines import LineReader
from netmesh_controller.mesh.table import Series


@dataclass(frozen=True, slots=True)
class RunArrays:
    """A run in arrays: what compares, finds and shows reads, however many cells there are."""

    run: Run
    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...]
    series: dict[Series, Gathered]
    cells: int


async def stored_arrays(store: Store, run_id: str) -> RunArrays:
    """A run of the store, of which no cell is kept; RunNotFoundError where it has none of that id."""
    about = await store.info(run_id)
    reader, columns = LineReader([node.name for node in about.nodes]), Columns(about.nodes)
    async with aclosing(store.texts(run_id)) as parts:
        async for texts in parts:
            # Others are answered meanwhile.
            columns.add_batch(await asyncio.to_thread(reader.batch, texts))
    return RunArrays(about.run, about.nodes, about.findings, columns.gathered(), columns.count)
