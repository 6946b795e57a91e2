"""The monitor with its memory: events out of windows, minutes into the store, and both again after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.store import Store, StoreError
from netmesh_controller.clients.store.monitored import Cursor
from netmesh_controller.engines.events import EventLog
from netmesh_controller.engines.monitor import Closed, Monitor
from netmesh_controller.engines.monitoring.recorder import Recorder
from netmesh_controller.mesh.probing.events import Events, MeshEvent, what_became
from netmesh_controller.mesh.probing.history import MINUTE, Patch, patch_of_window
from netmesh_controller.mesh.probing.judging import MINUTES_OF_LOSSES, WINDOWS_OF_LOSSES, judged
from netmesh_controller.mesh.probing.live import Standing, over
from netmesh_controller.mesh.probing.totals import Totals
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, Window

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0


class Keeping:
    """Judges what a monitor sees, tells and keeps it. `log` has events as they happen, `open` those that are open."""

    def __init__(self, store: Store, monitor: Monitor) -> None:
        self.recorder = Recorder(store)
        self.monitor = monitor
        self.log = EventLog()
        self._events = Events()
        self._windows: deque[Window] = deque(maxlen=WINDOWS_OF_LOSSES)
        self._minutes: deque[Window] = deque(maxlen=MINUTES_OF_LOSSES)
        self._parts: list[Standing] = []
        self._nodes: tuple[str, ...] = ()
        self._late: list[Patch] = []
        self._latest_minute = 0
        self._closed: asyncio.Queue[Closed] = asyncio.Queue(maxsize=60)
        self._tasks: list[asyncio.Task[None]] = []
        self.skipped = 0
        monitor.on_closed = self._on_closed

    @property
    def open(self) -> tuple[MeshEvent, ...]:
        """The events that are open."""
        return self._events.open

    @property
    def totals(self) -> Totals:
        """Round trips and losses since the start."""
        return self.monitor.intake.totals

    async def lead(self, term: int) -> None:
        """Takes up what was kept, and watches from now on."""
        await self.stand_by()
        self._tasks = [guarded_task(self._begin(term), name="monitoring", lasting=True)]

    async def stand_by(self) -> None:
        """Watches no more; what was seen is written."""
        await cancelled(*self._tasks)
        if self._tasks:
            await self.monitor.stand_by()
            await self.recorder.finish()
        self._tasks = []

    async def _begin(self, term: int) -> None:
        while True:
            try:
                cursors = await self.recorder.store.cursors()
                known = await self.recorder.store.events(state="open")
                # The clock may have been set back since, by whom nobody of this process saw.
                self._latest_minute = max(self._latest_minute, await self.recorder.store.latest_minute())
            except StoreError as error:
                log.warning("monitoring waits: %s", error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                break
        self._events = Events()
        self._events.restore(known)
        # Windows of an earlier term are not next to those of this one.
        self._forget()
        self.monitor.restore({node: (one.instance, one.window, one.versions) for node, one in cursors.items()})
        self._tasks.append(guarded_task(self.recorder.run(), name="history", lasting=True))
        await self.monitor.lead(term)
        while True:
            await self._take(await self._closed.get())

    def _forget(self) -> None:
        """What comes now does not follow what has been."""
        for kept in (self._windows, self._minutes, self._parts):
            kept.clear()

    def _on_closed(self, closed: Closed) -> None:
        try:
            self._closed.put_nowait(closed)
        except asyncio.QueueFull:
            # Judging is slower than time: what is live stays live.
            self.skipped += 1

    async def _take(self, closed: Closed) -> None:
        base, standing = closed.windows[BASE_SECONDS], closed.standing
        if standing.nodes != self._nodes:
            places = {name: place for place, name in enumerate(self._nodes)}
            order = [places.get(name) for name in standing.nodes]
            for kept in (self._windows, self._minutes):
                windows = [one.reordered(order) for one in kept]
                kept.clear()
                kept.extend(windows)
            self._nodes = standing.nodes
        if not standing.nodes or len(standing.nodes) != len(base.sent):
            return
        if self._windows and self._windows[-1].started + BASE_SECONDS != base.started:
            # The clock was set: these are not next to each other.
            self._forget()
        self._windows.append(judged(base, standing))
        at = datetime.fromtimestamp(base.started + BASE_SECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = await asyncio.to_thread(self._events.window, at, tuple(self._windows), standing)
        for event in told:
            log.warning("%s: %s", what_became(event), event.finding.sentence)
            self.log.append(what_became(event), shown(event))
        self._late += closed.late
        self._parts.append(standing)
        minute = closed.windows.get(MINUTE)
        if minute is not None:
            # A clock that is set back goes through some minutes once more.
            again = minute.started <= self._latest_minute
            self._latest_minute = max(minute.started, self._latest_minute)
            whole = over(self._parts)
            self._parts.clear()
            self._minutes.append(judged(minute, whole))
            await asyncio.to_thread(self._events.minute, tuple(self._minutes), standing)
            patch = await asyncio.to_thread(patch_of_window, minute, whole, again=again)
            versions = self.monitor.versions()
            cursors = {
                node: Cursor(instance, window, versions.get(node, {}))
                for node, (instance, window) in closed.cursors.items()
            }
            patches, self._late = (patch, *self._late), []
            self.recorder.put(patches, cursors, told)
        elif told:
            self.recorder.put(events=told)


def shown(event: MeshEvent) -> dict[str, object]:
    """An event as the API tells it."""
    return {
        "id": event.id,
        "state": event.state,
        "kind": event.finding.kind,
        "since": event.since,
        "opened_at": event.opened_at,
        "changed_at": event.changed_at,
        "closed_at": event.closed_at,
        "cause": event.cause,
        "finding": event.finding.model_dump(mode="json"),
    }
