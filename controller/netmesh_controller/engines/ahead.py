"""Server sides that are opened for what will probably run next, while another test runs on its nodes."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable

from netmesh_common.tasks import guarded_task
from netmesh_controller.engines import measure
from netmesh_controller.engines.measure import AtTargetError, Attempt
from netmesh_controller.mesh.plan import Measurement

log = logging.getLogger(__name__)


class Ahead:
    """Attempts whose server sides are open, or being opened, by their measurement's index."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[Attempt, asyncio.Task[None]]] = {}
        self._at: defaultdict[str, set[int]] = defaultdict(set)  # by node

    def __contains__(self, index: int) -> bool:
        return index in self._held

    def open(self, attempt: Attempt, lease_seconds: float) -> None:
        """Begins to open an attempt's server sides."""

        async def opening() -> None:
            try:
                await measure.open_endpoints(attempt, lease_seconds)
            except AtTargetError as error:
                # Not now: it is opened when its turn comes, and then an error counts.
                log.debug("not opened ahead: %s", error)

        index = attempt.measurement.index
        self._held[index] = attempt, guarded_task(opening(), name=f"open ahead {index}")
        for node in attempt.measurement.nodes:
            self._at[node].add(index)

    async def take(self, measurement: Measurement) -> Attempt | None:
        """The attempt at a measurement whose turn has come, which is the caller's from now on.

        What was opened for others on its nodes gives way: an agent holds one set.
        """
        stale = {other for node in measurement.nodes for other in self._at[node]} - {measurement.index}
        await self._close(stale)
        held = self._taken(measurement.index)
        if held is None:
            return None
        attempt, opening = held
        await asyncio.wait([opening])
        return attempt

    async def close(self) -> None:
        """Closes all of them."""
        await self._close(list(self._held))

    async def _close(self, indexes: Iterable[int]) -> None:
        for index in indexes:
            held = self._taken(index)
            if held is None:
                continue  # another measurement on one of its nodes closes it already
            attempt, opening = held
            await asyncio.wait([opening])
            await measure.close_endpoints(attempt)

    def _taken(self, index: int) -> tuple[Attempt, asyncio.Task[None]] | None:
        held = self._held.pop(index, None)
        if held is not None:
            for node in held[0].measurement.nodes:
                self._at[node].discard(index)
        return held
