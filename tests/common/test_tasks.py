"""Background tasks."""

from __future__ import annotations

import inspect

from netmesh_common.tasks import cancelled, guarded_task


async def test_what_a_task_was_to_do_is_closed_also_where_it_is_cancelled_before_it_begins() -> None:
    async def work() -> None:
        raise AssertionError("it never begins")

    coroutine = work()
    await cancelled(guarded_task(coroutine, name="early"))
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
