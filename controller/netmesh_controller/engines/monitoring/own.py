"""Where netmesh's own tests ran, and when: windows of the continuous probe beside them say little of the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from netmesh_controller.mesh.progress import Progress

# Tests take a second at least.
LOOK_SECONDS = 0.5
_KEPT_SECONDS = 60.0


class OwnTests:
    """The nodes of the tests that run, looked at all the time."""

    def __init__(self, progress: Callable[[], Progress | None]) -> None:
        self._progress = progress
        self._seen: dict[str, float] = {}
        self._before: dict[str, float] = {}

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """What runs now."""
        progress, now = self._progress(), time.time()
        for one in () if progress is None else progress.running:
            for node in (one.source, one.target):
                if now - self._seen.get(node, 0.0) > 2 * LOOK_SECONDS + 1:
                    self._before[node] = now
                self._seen[node] = now
        self._seen = {node: at for node, at in self._seen.items() if now - at < _KEPT_SECONDS}

    def forget(self) -> None:
        """Times begin anew."""
        self._seen.clear()
        self._before.clear()

    def between(self, begin: float, end: float) -> frozenset[str]:
        """The nodes at which a test ran in that stretch of time (seconds since 1970)."""
        return frozenset(
            node
            for node, last in self._seen.items()
            if last + LOOK_SECONDS >= begin and self._before[node] - LOOK_SECONDS <= end
        )
