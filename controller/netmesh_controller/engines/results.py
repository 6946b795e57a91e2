"""What stored runs say: their documents and matrices, worked out beside the event loop and kept for a while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from netmesh_controller.clients.store import Store
from netmesh_controller.engines import runs
from netmesh_controller.mesh.document import RunDocument

_KEPT = 4


class Results:
    """Documents of stored runs. Those of runs that have ended are kept, the last few of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str, str | None], RunDocument] = OrderedDict()

    async def document(self, run_id: str) -> RunDocument:
        """A run as a document, with its matrices; RunNotFoundError where there is none."""
        stored = await self._store.load(run_id)
        run = stored.run
        key = (run.id, run.state, run.finished_at)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        made = await asyncio.to_thread(runs.stored_document, stored)
        if run.finished_at is not None:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made
