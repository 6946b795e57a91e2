"""Connections to a SQLite file that are kept until their threads have ended.

Each connection of aiosqlite is a thread, which tells its results to the event loop. Where a task is cancelled while it
connects, or again while its connection is closed, the pool of connections forgets the connection, and its thread would
outlive the loop: what it tells then raises in the thread ("Event loop is closed").
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import aiosqlite

# aiosqlite's own default, of iterations that are not used here.
_CHUNK = 64


@dataclass(slots=True)
class _One:
    path: Path
    busy_seconds: float
    # What the thread has opened: aiosqlite does not know of it where the task that waited was cancelled.
    opened: list[sqlite3.Connection] = field(default_factory=list)
    driver: aiosqlite.Connection = field(init=False)
    thread: Thread = field(init=False)

    def __post_init__(self) -> None:
        self.driver = aiosqlite.Connection(self._open, _CHUNK)
        self.thread = self.driver._thread  # noqa: SLF001  # as SQLAlchemy does: there is no other way to wait for it
        # A process that is told to end does not wait for a query.
        self.thread.daemon = True

    def _open(self) -> sqlite3.Connection:
        # Used in the thread alone, but for its end.
        made = sqlite3.connect(self.path, timeout=self.busy_seconds, check_same_thread=False)
        self.opened.append(made)
        return made

    async def end(self) -> None:
        if self.thread.is_alive():
            for made in self.opened:
                with suppress(sqlite3.ProgrammingError):  # closed meanwhile
                    made.interrupt()
            self.driver.stop()
            await asyncio.to_thread(self.thread.join)
        for made in self.opened:
            made.close()


class Kept:
    """Makes the connections to a file and knows all whose thread still runs."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._made: list[_One] = []

    async def connect(self) -> aiosqlite.Connection:
        """A new connection, for SQLAlchemy's `async_creator`."""
        self._made = [one for one in self._made if one.thread.is_alive()]
        one = _One(self._path, self._busy_seconds)
        self._made.append(one)
        return await one.driver

    async def close(self) -> None:
        """Ends what still runs, a query too, and returns once it has."""
        while self._made:
            await self._made[-1].end()
            self._made.pop()
