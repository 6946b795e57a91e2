"""What happened in a sweep, told to any number of readers, each at its own pace.

The writer never waits: a reader that is slow or gone costs it nothing. Events have ids, so that a reader that lost its
connection goes on where it was; one that comes too late for what is kept is told so by an event `reset`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

KEPT_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `id` is `EPOCH-NUMBER`, where the epoch is the log's own and numbers rise."""

    id: str
    number: int
    kind: str
    data: dict[str, Any]


class EventLog:
    """The last events of one sweep. Of a passing kind, such as progress, only the newest is kept."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._epoch = secrets.token_hex(3)
        self._lasting: deque[Event] = deque(maxlen=kept)
        self._passing: dict[str, Event] = {}
        self._number = 0
        self._dropped = 0  # the number of the newest lasting event that is no longer kept
        self._changed = asyncio.Event()
        self._closed = False

    def append(self, kind: str, data: dict[str, Any], *, passing: bool = False) -> None:
        """Tells all readers."""
        self._number += 1
        event = Event(f"{self._epoch}-{self._number}", self._number, kind, data)
        if passing:
            self._passing[kind] = event
        else:
            if len(self._lasting) == self._lasting.maxlen:
                self._dropped = self._lasting[0].number
            self._lasting.append(event)
        self._wake()

    def close(self) -> None:
        """There will be no further event: readers end once they have read all."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        # Each reader waits for the event that it found; a new one is for what comes next.
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self, after: str | None = None) -> AsyncGenerator[Event, None]:
        """Events after the one of that id, or from the first; waits for new ones until the log is closed.

        Where events between are lost, or the id is of another epoch (the controller was started again meanwhile), an
        event `reset` without data comes first: what was read before is to be forgotten.
        """
        seen = self._position(after)
        if after is not None and seen == 0:
            yield self._reset(0)
        while True:
            changed = self._changed
            if seen < self._dropped:
                seen = self._dropped
                yield self._reset(seen)
            # A copy: what is told while the reader is busy comes with its next turn.
            for event in self._after(seen):
                seen = event.number
                yield event
            if self._closed and not self._after(seen):
                return
            if not self._closed:
                await changed.wait()

    def _after(self, number: int) -> list[Event]:
        found = [event for event in self._passing.values() if event.number > number]
        for event in reversed(self._lasting):
            if event.number <= number:
                break
            found.append(event)
        return sorted(found, key=lambda event: event.number)

    def _position(self, after: str | None) -> int:
        epoch, _, number = (after or "").rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()):
            return 0
        return min(int(number), self._number)

    def _reset(self, number: int) -> Event:
        return Event(f"{self._epoch}-{number}", number, "reset", {})
