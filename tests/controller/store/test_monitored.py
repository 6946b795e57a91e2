"""What monitoring keeps, in both databases: written once, closed by the hour, read back as points."""

from __future__ import annotations

import numpy as np

from netmesh_controller.clients.store import Store
from netmesh_controller.clients.store.monitored import Cursor, Monitored
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.probing import history
from netmesh_controller.mesh.probing.events import MeshEvent
from netmesh_controller.mesh.probing.history import HOUR, MINUTE, TEN_MINUTES, Patch

START = 1_000 * HOUR


def patch(minute: int, sent: int = 60, sources: tuple[str, ...] = ("a", "b")) -> Patch:
    shape = (len(sources), 2)
    values = {name: np.zeros(shape, np.uint16) for name in history.VALUES}
    values["sent"][:] = sent
    for name in history.TIMES:
        values[name][:] = 300 + minute
    return Patch(START + MINUTE * minute, sources, ("a", "b"), values)


async def sents(kept: Monitored, step: int, since: int, until: int) -> list[int | None]:
    return history.points(await kept.blocks(step, since, until, ("a", "b")), "a", "b", step, since, until).sent


async def test_a_batch_is_written_once_and_parts_add_up(store: Store) -> None:
    kept = Monitored(store)
    cursor = Cursor("process", 7, {5: ("b",)})
    for _ in range(2):
        # As if the answer to the first had been lost.
        assert await kept.put("x-1", [patch(0, 40), patch(1)], {"a": cursor}) == 0
    await kept.put("x-2", [patch(0, 20, ("a",))], {"a": Cursor("process", 9, {5: ("b",)})})
    assert await sents(kept, MINUTE, START, START + 3 * MINUTE) == [60, 60, None]
    assert await kept.cursors() == {"a": Cursor("process", 9, {5: ("b",)})}


async def test_the_latest_minute_is_told(store: Store) -> None:
    kept = Monitored(store)
    assert await kept.latest_minute() == 0
    await kept.put("x-1", [patch(3), patch(7), patch(5)], {})
    assert await kept.latest_minute() == START + 7 * MINUTE


async def test_hours_are_closed_and_what_is_too_old_is_forgotten(store: Store) -> None:
    kept = Monitored(store)
    await kept.put("x-1", [patch(minute) for minute in (*range(0, 60, 2), 61)], {})
    before = await sents(kept, TEN_MINUTES, START, START + HOUR)
    assert await kept.close_hours(START + HOUR + 5) == 1
    expected = [60, None] * 30 + [None, 60]
    assert await sents(kept, MINUTE, START, START + HOUR + 2 * MINUTE) == expected
    assert await sents(kept, TEN_MINUTES, START, START + HOUR) == before == [300] * 6
    assert await kept.put("x-2", [patch(1)], {}) == 1, "the hour is closed"
    assert await sents(kept, MINUTE, START, START + HOUR + 2 * MINUTE) == expected
    await kept.close_hours(START + 26 * HOUR)
    assert await sents(kept, MINUTE, START, START + HOUR) == [None] * 60
    assert await sents(kept, TEN_MINUTES, START, START + HOUR) == [300] * 6
    await kept.close_hours(START + 200 * HOUR)
    assert await kept.blocks(TEN_MINUTES, START, START + HOUR, ("a", "b")) == []


async def test_events_are_replaced_and_found_by_state(store: Store) -> None:
    kept = Monitored(store)
    finding = Finding(kind="lossy_node", where={"node": "a"}, size=0.1, sentence="a loses.")
    opened = MeshEvent("1", finding, "2026-11-25T20:00:00Z", "2026-11-25T20:00:10Z")
    other = MeshEvent("2", finding, "2026-11-25T20:01:00Z", "2026-11-25T20:01:10Z")
    await kept.put_events([opened, other])
    closed = MeshEvent("1", finding, opened.since, opened.opened_at, closed_at="2026-11-25T20:03:00Z")
    await kept.put_events([closed])
    assert await kept.events() == [other, closed]
    assert await kept.events(state="open") == [other]
    assert await kept.events(state="closed") == [closed]
    assert await kept.events(since="2026-11-25T20:01:00Z") == [other]
    assert await kept.events(limit=1, skipped=1) == [closed]
