"""Which nodes there are now: asked when somebody wants to know, and not more often than every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netmesh_common.tasks import guarded_task
from netmesh_controller.engines.runs import utc_now
from netmesh_controller.engines.survey import Survey, survey
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Node, Reason

FRESH_SECONDS = 5.0
# Asking a thousand agents takes seconds of CPU, which a sweep needs: whoever asks all the time costs a tenth at most.
PAUSE_FOR_EACH_SECOND = 10.0


@dataclass(frozen=True, slots=True)
class Present:
    """The nodes of a source, why some of them do not answer, and sentences on what differs between them.

    `asked_at` is when they had been asked (UTC, RFC 3339).
    """

    nodes: tuple[Node, ...]
    unreachable: Mapping[str, Reason]
    remarks: tuple[str, ...]
    asked_at: str


class Roster:
    """The nodes of one source. `term` goes with the calls to the agents; `clock` tells seconds."""

    def __init__(
        self, source: Source, term: Callable[[], int] = lambda: 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._term = term
        self._clock = clock
        self._seen: Present | None = None
        self._fresh_until = self._last_until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def nodes(self) -> Present:
        """Who is there, no older than `FRESH_SECONDS`, or than ten times what asking took.

        Of an answer up to twice as old nobody waits for a newer one: that one is asked for meanwhile.
        InventoryError or CertificateError where nobody can tell.
        """
        now = self._clock()
        if self._seen is None or now > self._fresh_until:
            if self._asking is None or self._asking.done():
                self._asking = guarded_task(self._ask(), name="ask for nodes")
            if self._seen is None or now > self._last_until:
                await asyncio.shield(self._asking)
        return self._seen or await self.nodes()

    def saw(self, found: Survey, took_seconds: float) -> None:
        """Takes what a survey of all nodes found, such as a sweep's own: nobody asks them twice."""
        now = self._clock()
        fresh = max(FRESH_SECONDS, PAUSE_FOR_EACH_SECOND * took_seconds)
        self._fresh_until, self._last_until = now + fresh, now + 2 * fresh
        self._seen = Present(found.nodes, found.unreachable, found.remarks, utc_now())

    async def _ask(self) -> None:
        began = self._clock()
        found = await survey(await self._source.locate(), self._source.certificates, idle_seconds=0, term=self._term())
        await found.close()
        self.saw(found, self._clock() - began)
