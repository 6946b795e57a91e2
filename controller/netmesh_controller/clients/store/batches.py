"""Many callers, few commits: what arrives while one batch is written goes together into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """Gives items to `write` in batches, one batch at a time. Whoever calls `put` goes on once its own are written.

    A caller that is cancelled does not end the writing of what it gave. Where a batch fails, each caller's items are
    tried alone, so that only those fail that must.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[None]], most: int = 5000) -> None:
        self._write = write
        self._most = most
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, items: Sequence[Item]) -> None:
        """Writes the items, together with those of others; raises what writing raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="store writes")
        await asyncio.shield(done)

    async def drain(self) -> None:
        """Waits until nothing is left to be written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            batch = self._next()
            try:
                await self._write([item for items, _ in batch for item in items])
            except Exception as error:  # noqa: BLE001  # whatever it is, it is handed to whom it concerns
                await self._alone(batch, error)
            else:
                for _, done in batch:
                    _settle(done, None)

    def _next(self) -> list[tuple[Sequence[Item], asyncio.Future[None]]]:
        batch = [self._waiting.pop(0)]
        size = len(batch[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= self._most:
            batch.append(self._waiting.pop(0))
            size += len(batch[-1][0])
        return batch

    async def _alone(self, batch: Sequence[tuple[Sequence[Item], asyncio.Future[None]]], error: Exception) -> None:
        if len(batch) == 1:
            _settle(batch[0][1], error)
            return
        for items, done in batch:
            try:
                await self._write(items)
            except Exception as own:  # noqa: BLE001  # as above
                _settle(done, own)
            else:
                _settle(done, None)


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
        done.exception()  # a caller that was cancelled does not ask for it
