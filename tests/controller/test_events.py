"""The log of a sweep's events: readers at any pace see all of it in order, or are told what they missed."""

import asyncio
from collections.abc import AsyncGenerator

from netmesh_controller.engines.events import Event, EventLog


async def all_of(reading: AsyncGenerator[Event, None]) -> list[tuple[str, object]]:
    return [(event.kind, event.data.get("n")) async for event in reading]


async def test_readers_see_everything_in_order_whenever_they_come() -> None:
    log = EventLog()
    early = asyncio.create_task(all_of(log.read()))
    for n in range(5):
        log.append("cell", {"n": n})
        await asyncio.sleep(0)
    late = asyncio.create_task(all_of(log.read()))
    log.append("finished", {"n": 5})
    log.close()
    wanted = [*(("cell", n) for n in range(5)), ("finished", 5)]
    assert await early == wanted
    assert await late == wanted
    assert await all_of(log.read()) == wanted


async def test_a_reader_goes_on_where_it_was() -> None:
    log = EventLog()
    for n in range(3):
        log.append("cell", {"n": n})
    log.close()
    ids = [event.id async for event in log.read()]
    assert await all_of(log.read(ids[0])) == [("cell", 1), ("cell", 2)]
    assert await all_of(log.read(ids[2])) == []


async def test_of_progress_only_the_newest_is_told() -> None:
    log = EventLog()
    reading = log.read()
    for n in range(100):
        log.append("progress", {"n": n}, passing=True)
    log.append("cell", {"n": 0})
    log.close()
    assert await all_of(reading) == [("progress", 99), ("cell", 0)]


async def test_a_reader_that_is_too_slow_is_told_so() -> None:
    log = EventLog(kept=3)
    reading = log.read()
    log.append("cell", {"n": 0})
    assert (await anext(reading)).data == {"n": 0}
    for n in range(1, 10):
        log.append("cell", {"n": n})
    log.close()
    assert await all_of(reading) == [("reset", None), ("cell", 7), ("cell", 8), ("cell", 9)]


async def test_ids_of_another_start_or_of_nobody_begin_anew() -> None:
    log, other = EventLog(), EventLog()
    other.append("cell", {})
    stranger = (await anext(_closed(other).read())).id
    log.append("cell", {"n": 1})
    log.close()
    for known in (stranger, "", "nonsense", "-1", "é-²"):
        assert await all_of(log.read(known)) == [("reset", None), ("cell", 1)]


async def test_a_reader_that_waits_costs_the_writer_nothing_and_may_go() -> None:
    log = EventLog()
    waiting = asyncio.create_task(all_of(log.read()))
    await asyncio.sleep(0)
    waiting.cancel()
    log.append("cell", {"n": 1})
    log.close()
    assert await all_of(log.read()) == [("cell", 1)]


def _closed(log: EventLog) -> EventLog:
    log.close()
    return log
