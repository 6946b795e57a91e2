"""Monitoring's memory: minutes and events go to the store, later where it is away, and what was there comes back."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netmesh_controller.clients.store import Store, StoreError
from netmesh_controller.clients.store.monitored import Cursor, Monitored
from netmesh_controller.mesh.probing.events import MeshEvent
from netmesh_controller.mesh.probing.history import HOUR, Patch

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0
# While the store is away: what is older is given up, and its minutes stay without a figure.
KEPT_BYTES = 64 * 1024 * 1024
# Agents keep their reports for an hour: what is older than two comes no more.
CLOSED_AFTER_SECONDS = 2 * HOUR


@dataclass(slots=True)
class _Batch:
    name: str
    patches: tuple[Patch, ...] = ()
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    events: tuple[MeshEvent, ...] = ()

    @property
    def size(self) -> int:
        return sum(column.nbytes for patch in self.patches for column in patch.values.values())


class Recorder:
    """Writes in order, one batch at a time; nobody waits for the store."""

    def __init__(self, store: Store) -> None:
        self.store = Monitored(store)
        self._epoch = secrets.token_hex(6)
        self._number = 0
        self._waiting: deque[_Batch] = deque()
        self._news = asyncio.Event()
        self._closed_hour = 0
        self.dropped = 0
        self.failed = False

    @property
    def waiting(self) -> int:
        """How many batches are not written yet."""
        return len(self._waiting)

    def put(
        self,
        patches: Sequence[Patch] = (),
        cursors: Mapping[str, Cursor] | None = None,
        events: Sequence[MeshEvent] = (),
    ) -> None:
        """Writes them soon."""
        self._number += 1
        self._waiting.append(_Batch(f"{self._epoch}-{self._number}", tuple(patches), cursors or {}, tuple(events)))
        self._give_up_the_oldest()
        self._news.set()

    def _give_up_the_oldest(self) -> None:
        """Minutes beyond what may wait: never the first batch's, which may be on its way, nor the newest's."""
        held = sum(batch.size for batch in self._waiting)
        for batch in list(self._waiting)[1:-1]:
            if held <= KEPT_BYTES:
                return
            held -= batch.size
            self.dropped += len(batch.patches)
            batch.patches = ()
            if not batch.events:
                # How far the agents were read is in later ones too.
                self._waiting.remove(batch)

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            try:
                await self._write(self._waiting[0])
            except StoreError as error:
                if not self.failed:
                    log.warning("history waits: %s", error)
                self.failed = True
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._waiting.popleft()
                self.failed = False

    async def finish(self) -> None:
        """Writes what is left, once."""
        while self._waiting:
            try:
                await self._write(self._waiting[0])
            except StoreError as error:
                log.warning("what was seen last is not stored: %s", error)
                return
            self._waiting.popleft()

    async def _write(self, batch: _Batch) -> None:
        if batch.events:
            await self.store.put_events(batch.events)
        if batch.patches or batch.cursors:
            late = await self.store.put(batch.name, batch.patches, batch.cursors)
            self.dropped += late
        hour = int(time.time() - CLOSED_AFTER_SECONDS) // HOUR
        if hour != self._closed_hour:
            await self.store.close_hours(hour * HOUR)
            self._closed_hour = hour
