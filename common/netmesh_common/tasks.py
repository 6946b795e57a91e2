"""Named tasks whose failure is never silent."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any
from weakref import WeakKeyDictionary

from netmesh_common.errors import BadUsageError, CouldNotRunError

log = logging.getLogger(__name__)


# Of each loop, the lasting tasks that an error has ended.
_broken: WeakKeyDictionary[asyncio.AbstractEventLoop, list[str]] = WeakKeyDictionary()


def guarded_task(coroutine: Coroutine[Any, Any, None], *, name: str, lasting: bool = False) -> asyncio.Task[None]:
    """Starts a named background task; an error that ends it is logged, one that nobody foresaw with its traceback.

    What it had in hand goes with it, however it ended, also where somebody keeps the task. Without a `lasting` one the
    process does not do its work: where an error ends it, `broken` names it.
    """

    def ends(error: BaseException) -> None:
        if lasting:
            _broken.setdefault(asyncio.get_running_loop(), []).append(name)
        _forget(error)

    async def guard() -> None:
        try:
            await coroutine
        except asyncio.CancelledError as error:
            _forget(error)
            raise
        except (BadUsageError, CouldNotRunError) as error:
            # Foreseen, and told in a sentence: where it was raised is nobody's concern.
            log.error("the task %s ended: %s", name, error)  # noqa: TRY400
            ends(error)
            raise
        except Exception as error:
            log.exception("the task %s ended with an error", name)
            ends(error)
            raise

    task = asyncio.create_task(guard(), name=name)
    task.add_done_callback(_retrieve)
    # One that is cancelled before its first step has never come to what it was to do.
    task.add_done_callback(lambda _: coroutine.close())
    return task


def _forget(error: BaseException) -> None:
    """Empties the frames that an error has passed.

    A task keeps the error that ended it, also its cancellation, and the error by its traceback all that was local
    there: calls of gRPC, for one, each of which keeps a connection.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            traceback.clear_frames(one.__traceback__)
            waiting += [one.__cause__, one.__context__]


def _retrieve(task: asyncio.Task[None]) -> None:
    # The guard has logged the error; fetching it keeps asyncio from reporting it again as never retrieved.
    if not task.cancelled():
        task.exception()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks and waits until each has ended, whatever it ended with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def broken() -> tuple[str, ...]:
    """The lasting tasks of the running loop that an error has ended."""
    return tuple(_broken.get(asyncio.get_running_loop(), ()))


def under_way() -> int:
    """How many tasks the running loop has that have not ended; 0 where no loop runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
