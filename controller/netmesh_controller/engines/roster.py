"""Which nodes there are now: asked when somebody wants to know, and not more often than every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netmesh_controller.engines.survey import survey
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Node, Reason

FRESH_SECONDS = 5.0
# Asking a thousand agents takes seconds of CPU, which a sweep needs: whoever asks all the time costs a tenth at most.
PAUSE_FOR_EACH_SECOND = 10.0


@dataclass(frozen=True, slots=True)
class Present:
    """The nodes of a source, why some of them do not answer, and sentences on what differs between them."""

    nodes: tuple[Node, ...]
    unreachable: Mapping[str, Reason]
    remarks: tuple[str, ...]


class Roster:
    """The nodes of one source. `term` goes with the calls to the agents."""

    def __init__(self, source: Source, term: Callable[[], int] = lambda: 0) -> None:
        self._source = source
        self._term = term
        self._lock = asyncio.Lock()
        self._seen: tuple[float, Present] | None = None  # until when it is fresh

    async def nodes(self) -> Present:
        """Who is there, no older than `FRESH_SECONDS`, or than ten times what asking took.

        InventoryError or CertificateError where nobody can tell.
        """
        async with self._lock:
            began = time.monotonic()
            if self._seen is None or began > self._seen[0]:
                found = await survey(
                    await self._source.locate(), self._source.certificates, idle_seconds=0, term=self._term()
                )
                await found.close()
                now = time.monotonic()
                fresh = max(FRESH_SECONDS, PAUSE_FOR_EACH_SECOND * (now - began))
                self._seen = now + fresh, Present(found.nodes, found.unreachable, found.remarks)
            return self._seen[1]
