"""What continuous monitoring keeps in the store: history, how far each agent was read, events."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Table, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netmesh_controller.clients.store import tables
from netmesh_controller.clients.store.statements import insert_for
from netmesh_controller.clients.store.store import Store
from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.probing import history
from netmesh_controller.mesh.probing.events import MeshEvent
from netmesh_controller.mesh.probing.history import HOUR, MINUTE, TEN_MINUTES, Block, Patch


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last window of an agent's process that is stored, and whom it probed under each version."""

    instance: str
    window: int
    versions: dict[int, tuple[str, ...]]


class Monitored:
    """The store of monitoring, in the database of a `Store`. Any method raises StoreError where that fails."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # History.

    async def put(self, batch: str, patches: Sequence[Patch], cursors: Mapping[str, Cursor]) -> int:
        """Writes what became known of some minutes, and up to where the agents were read, all or nothing.

        A `batch` that was the last to be written is not written again. Returns how many patches were too late: their
        hour is closed.
        """
        by_minute: dict[int, list[Patch]] = defaultdict(list)
        for patch in patches:
            by_minute[patch.started].append(patch)
        too_late = 0
        async with self._store.changing() as connection:
            last = tables.probe_batches
            if await connection.scalar(select(last.c.batch).where(last.c.id == 1)) == batch:
                return 0
            for minute, some in sorted(by_minute.items()):
                if await self._is_closed(connection, minute):
                    too_late += len(some)
                    continue
                await self._merge(connection, minute, some)
            for node, cursor in cursors.items():
                row = {
                    "instance": cursor.instance,
                    "window": cursor.window,
                    "versions": json.dumps(cursor.versions, separators=(",", ":")),
                }
                await _upsert(connection, tables.probe_cursors, {"node": node}, row)
            await _upsert(connection, last, {"id": 1}, {"batch": batch})
        return too_late

    async def cursors(self) -> dict[str, Cursor]:
        """Up to where each agent was read."""
        async with self._store.looking() as connection:
            rows = (await connection.execute(select(tables.probe_cursors))).all()
        return {
            row.node: Cursor(
                row.instance,
                row.window,
                {int(version): tuple(peers) for version, peers in json.loads(row.versions).items()},
            )
            for row in rows
        }

    async def latest_minute(self) -> int:
        """When the latest minute began of those that are no part of a closed hour; 0 where there is none."""
        async with self._store.looking() as connection:
            return await connection.scalar(select(func.max(tables.probe_minutes.c.started))) or 0

    async def close_hours(self, before: int) -> int:
        """Makes blocks of an hour of the minutes of hours that ended by then, and forgets what is too old.

        Returns how many hours were closed.
        """
        minutes = tables.probe_minutes
        horizon = before // HOUR * HOUR
        async with self._store.looking() as connection:
            found = await connection.execute(select(minutes.c.started).where(minutes.c.started < horizon))
            hours = sorted({started // HOUR * HOUR for started in found.scalars()})
        for hour in hours:
            await self._close_hour(hour)
        async with self._store.changing() as connection:
            table = tables.probe_hours
            for step, kept in history.KEPT_SECONDS.items():
                old = (table.c.step == step) & (table.c.started < horizon - kept)
                await connection.execute(delete(table).where(old))
        return len(hours)

    async def blocks(self, step: int, since: int, until: int, nodes: Sequence[str]) -> list[tuple[int, Block]]:
        """Blocks with something of that stretch, in order, each with when it begins; `step` is 60 or 600 seconds.

        Of those of the `nodes` that they have.
        """
        hours, minutes = tables.probe_hours, tables.probe_minutes
        first = since // HOUR * HOUR
        by_hour: dict[int, dict[str, bytes]] = defaultdict(dict)
        async with self._store.looking() as connection:
            wanted = (hours.c.step == step) & (hours.c.started >= first) & (hours.c.started < until)
            for row in (await connection.execute(select(hours).where(wanted))).all():
                by_hour[row.started][row.value] = row.block
            wanted = (minutes.c.started >= since // step * step) & (minutes.c.started < until)
            rows = (await connection.execute(select(minutes).where(wanted).order_by(minutes.c.started))).all()
        loose = [(int(row.started), bytes(row.block)) for row in rows]
        return await asyncio.to_thread(_blocks, step, by_hour, loose, nodes)

    async def _is_closed(self, connection: AsyncConnection, minute: int) -> bool:
        table = tables.probe_hours
        hour = (table.c.step == MINUTE) & (table.c.started == minute // HOUR * HOUR)
        return await connection.scalar(select(table.c.started).where(hour).limit(1)) is not None

    async def _merge(self, connection: AsyncConnection, minute: int, patches: Sequence[Patch]) -> None:
        table = tables.probe_minutes
        stored = await connection.scalar(select(table.c.block).where(table.c.started == minute))

        def made() -> bytes:
            block = None if stored is None else history.unpacked(stored)
            return history.packed(history.merged(block, patches))

        await _upsert(connection, table, {"started": minute}, {"block": await asyncio.to_thread(made)})

    async def _close_hour(self, hour: int) -> None:
        minutes, hours = tables.probe_minutes, tables.probe_hours
        inside = (minutes.c.started >= hour) & (minutes.c.started < hour + HOUR)
        async with self._store.looking() as connection:
            rows = (await connection.execute(select(minutes).where(inside))).all()
        loose = {int(row.started): bytes(row.block) for row in rows}
        made = await asyncio.to_thread(_hour, hour, loose)
        async with self._store.changing() as connection:
            for (step, value), block in made.items():
                await _upsert(connection, hours, {"step": step, "started": hour, "value": value}, {"block": block})
            await connection.execute(delete(minutes).where(inside))

    # Events.

    async def put_events(self, events: Sequence[MeshEvent]) -> None:
        """Writes events; one that is there already is replaced."""
        async with self._store.changing() as connection:
            for event in events:
                row = {
                    "kind": event.finding.kind,
                    "since": event.since,
                    "opened_at": event.opened_at,
                    "changed_at": event.changed_at,
                    "closed_at": event.closed_at,
                    "cause": event.cause,
                    "finding": event.finding.model_dump_json(),
                }
                await _upsert(connection, tables.mesh_events, {"id": event.id}, row)

    async def events(
        self, *, state: str | None = None, since: str | None = None, limit: int = 1000, skipped: int = 0
    ) -> list[MeshEvent]:
        """Events, the latest first: those that are `open` or `closed`, and opened at or after `since` (RFC 3339)."""
        table = tables.mesh_events
        wanted = select(table).order_by(table.c.opened_at.desc(), table.c.id).limit(limit).offset(skipped)
        if state is not None:
            wanted = wanted.where(table.c.closed_at.is_(None) if state == "open" else table.c.closed_at.is_not(None))
        if since is not None:
            wanted = wanted.where(table.c.opened_at >= since)
        async with self._store.looking() as connection:
            rows = (await connection.execute(wanted)).all()
        return [
            MeshEvent(
                row.id,
                Finding.model_validate_json(row.finding),
                row.since,
                row.opened_at,
                row.changed_at,
                row.closed_at,
                row.cause,
            )
            for row in rows
        ]


def _blocks(
    step: int, by_hour: Mapping[int, Mapping[str, bytes]], loose: list[tuple[int, bytes]], nodes: Sequence[str]
) -> list[tuple[int, Block]]:
    made: list[tuple[int, Block]] = []
    for started, values in by_hour.items():
        parts = [history.unpacked(block, nodes=nodes) for block in values.values()]
        made.append(
            (started, Block(parts[0].nodes, {name: what for part in parts for name, what in part.values.items()}))
        )
    minutes = [(started, history.unpacked(block, nodes=nodes)) for started, block in loose]
    if step == MINUTE:
        made += minutes
    else:
        tens: dict[int, list[Block | None]] = defaultdict(lambda: [None] * 10)
        for started, block in minutes:
            tens[started // TEN_MINUTES * TEN_MINUTES][started % TEN_MINUTES // MINUTE] = block
        made += [
            (started, history.tens(history.stacked(ten, history.nodes_of(ten), 10))) for started, ten in tens.items()
        ]
    return sorted(made, key=lambda one: one[0])


def _hour(hour: int, loose: Mapping[int, bytes]) -> dict[tuple[int, str], bytes]:
    """The blocks of an hour by step and value.

    One value after the other, and a minute at a time: of a thousand nodes an hour of all values is nearly a gigabyte.
    """
    minutes = [loose.get(hour + MINUTE * at) for at in range(60)]

    def unpacked(*values: str) -> Iterator[Block | None]:
        return (None if one is None else history.unpacked(one, values=values) for one in minutes)

    nodes = history.nodes_of(unpacked())
    made: dict[tuple[int, str], bytes] = {}
    sent = None
    for name in history.VALUES:
        whole = history.stacked(unpacked(name), nodes, len(minutes), (name,))
        tens = history.tens(whole, sent)
        sent = tens.values.get("sent", sent)
        for step, block in ((MINUTE, whole), (TEN_MINUTES, tens)):
            made[step, name] = history.packed(block, (name,))
        del whole, tens, block  # the next value's come beside them else
    return made


async def _upsert(
    connection: AsyncConnection, table: Table, key: Mapping[str, object], row: Mapping[str, object]
) -> None:
    insert = insert_for(connection, table).values(**key, **row)
    await connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=dict(row)))
