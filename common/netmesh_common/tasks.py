"""Named tasks whose failure is never silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from netmesh_common.errors import BadUsageError, CouldNotRunError

log = logging.getLogger(__name__)


def guarded_task(coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Starts a named background task; an error that ends it is logged, one that nobody foresaw with its traceback."""

    async def guard() -> None:
        try:
            await coroutine
        except asyncio.CancelledError:
            raise
        except (BadUsageError, CouldNotRunError) as error:
            # Foreseen, and told in a sentence: where it was raised is nobody's concern.
            log.error("the task %s ended: %s", name, error)  # noqa: TRY400
            raise
        except Exception:
            log.exception("the task %s ended with an error", name)
            raise

    task = asyncio.create_task(guard(), name=name)
    task.add_done_callback(_retrieve)
    return task


def _retrieve(task: asyncio.Task[None]) -> None:
    # The guard has logged the error; fetching it keeps asyncio from reporting it again as never retrieved.
    if not task.cancelled():
        task.exception()


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancels the tasks and waits until each has ended, whatever it ended with."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def under_way() -> int:
    """How many tasks the running loop has that have not ended; 0 where no loop runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
