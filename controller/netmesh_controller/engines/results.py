"""What stored runs say: documents and matrices, worked out beside the event loop and kept for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from netmesh_controller.clients.store import Store
from netmesh_controller.engines import runs
from netmesh_controller.engines.arrays import stored_arrays
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.table import Table

_KEPT = 4
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class _Kind:
    run_id: str
    what: str
    state: str
    finished_at: str | None
    name: str | None


class Results:
    """Documents and matrices of stored runs. Those of runs that have ended are kept, the last few of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._documents: OrderedDict[_Kind, RunDocument] = OrderedDict()
        self._tables: OrderedDict[_Kind, list[Table]] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    async def document(self, run_id: str) -> RunDocument:
        """A run as a document, with its matrices; RunNotFoundError where there is none."""
        kind = await self._kind(run_id, "document")
        async with self._one_at_a_time:
            if (kept := _kept(self._documents, kind)) is not None:
                return kept
            stored = await self._store.load(run_id)
            return _keep(self._documents, kind, await asyncio.to_thread(runs.stored_document, stored))

    async def tables(self, run_id: str) -> list[Table]:
        """A run's matrices; RunNotFoundError where there is none."""
        kind = await self._kind(run_id, "tables")
        async with self._one_at_a_time:
            if (kept := _kept(self._tables, kind)) is not None:
                return kept
            read = await stored_arrays(self._store, run_id)
            return _keep(self._tables, kind, await asyncio.to_thread(runs.tables_of, read))

    def forget(self, run_id: str) -> None:
        """Lets go of what is kept of a run."""
        for kept in (self._documents, self._tables):
            for kind in [kind for kind in kept if kind.run_id == run_id]:
                del kept[kind]

    async def _kind(self, run_id: str, what: str) -> _Kind:
        run = (await self._store.info(run_id)).run
        return _Kind(run_id, what, run.state, run.finished_at, run.name)


def _kept(found: OrderedDict[_Kind, _Made], kind: _Kind) -> _Made | None:
    if kind not in found:
        return None
    found.move_to_end(kind)
    return found[kind]


def _keep(found: OrderedDict[_Kind, _Made], kind: _Kind, made: _Made) -> _Made:
    if kind.finished_at is not None:
        found[kind] = made
        while len(found) > _KEPT:
            found.popitem(last=False)
    return made
