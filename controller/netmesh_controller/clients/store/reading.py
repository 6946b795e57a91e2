"""The store's questions, and what its answers mean."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netmesh_controller.clients.store.errors import RunNotFoundError
from netmesh_controller.clients.store.rows import SeriesText
from netmesh_controller.clients.store.shapes import RunFilter, RunInfo
from netmesh_controller.clients.store.statements import clock
from netmesh_controller.clients.store.tables import cells, runs, series, tags
from netmesh_controller.clients.store.writers import Writer
from netmesh_controller.mesh.document import Finding, Node, Run

# How many rows are held at once.
ROWS = 2_000
_NODES = TypeAdapter(tuple[Node, ...])
_FINDINGS = TypeAdapter(tuple[Finding, ...])


async def find(connection: AsyncConnection, reference: str) -> str:
    """The id that a reference means."""
    latest = runs.c.started_at.desc(), runs.c.id.desc()
    if reference == "latest":
        newest = await connection.scalar(select(runs.c.id).order_by(*latest).limit(1))
        if newest is None:
            raise RunNotFoundError("there is no run yet")
        return str(newest)
    named = await connection.scalar(select(runs.c.id).where(runs.c.name == reference).order_by(*latest).limit(1))
    # A comparison for which % and _ are letters like others.
    begins = func.substr(runs.c.id, 1, len(reference)) == reference
    # The id itself is the shortest of those that begin with it.
    shortest = select(runs.c.id).where(begins).order_by(func.length(runs.c.id)).limit(2)
    ids = [str(one) for one in (await connection.execute(shortest)).scalars()] if reference else []
    if reference in ids:
        return reference
    if named is not None:
        return str(named)
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise RunNotFoundError(f"'{reference}' is the beginning of more than one run's id; give more of it")
    raise RunNotFoundError(
        f"there is no run '{reference}'; give an id, the beginning of one, a name, latest, or a run file"
    )


def listing(wanted: RunFilter) -> Select[Any]:
    """The runs that fit, the latest first. The state is not looked at: what a row says may be no longer true."""
    chosen = select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc())
    if wanted.name is not None:
        part = wanted.name.lower()
        chosen = chosen.where(
            or_(
                func.lower(func.coalesce(runs.c.name, "")).contains(part, autoescape=True),
                func.lower(runs.c.id).contains(part, autoescape=True),
            )
        )
    for tag in wanted.tags:
        chosen = chosen.where(runs.c.id.in_(select(tags.c.run_id).where(tags.c.tag == tag)))
    if wanted.since is not None:
        chosen = chosen.where(runs.c.started_at >= wanted.since)
    if wanted.before is not None:
        chosen = chosen.where(runs.c.started_at < wanted.before)
    return chosen


async def infos(
    connection: AsyncConnection, chosen: Select[Any], wanted: RunFilter | None = None, limit: int | None = None
) -> list[RunInfo]:
    """The runs of a selection, each with its true state; cells are counted for those that are told."""
    silent = (clock(connection) - runs.c.alive_at).label("silent_seconds")
    told = []
    for row in (await connection.execute(chosen.add_columns(silent))).all():
        run, abandoned = _true_state(row)
        if wanted is None or not wanted.states or run.state in wanted.states:
            told.append((row, run, abandoned))
    told = told[:limit]
    ids = [run.id for _, run, _ in told]
    outcomes, labels = await _outcomes(connection, ids), await _tags(connection, ids)
    # Of a thousand nodes each run's take some milliseconds to read; meanwhile others are answered.
    return await asyncio.to_thread(
        lambda: [
            RunInfo(
                run=run,
                nodes=_NODES.validate_json(row.nodes),
                findings=_FINDINGS.validate_json(row.findings) if row.findings else (),
                tags=tuple(labels.get(run.id, ())),
                outcomes=outcomes.get(run.id, {}),
                abandoned=abandoned,
            )
            for row, run, abandoned in told
        ]
    )


async def writer(connection: AsyncConnection, run_id: str) -> Writer | None:
    """The living process that measures a run, if there is one."""
    silent = clock(connection) - runs.c.alive_at
    row = (await connection.execute(select(runs.c.writer, silent).where(runs.c.id == run_id))).one_or_none()
    return None if row is None else _living(row[0], row[1])


def _living(text: str | None, silent_seconds: float | None) -> Writer | None:
    if text is None:
        return None
    found = Writer.from_json(text)
    return found if found.lives(silent_seconds) else None


def _true_state(row: Row[Any]) -> tuple[Run, bool]:
    run = Run.model_validate_json(row.run)
    if run.state != "running" or _living(row.writer, row.silent_seconds) is not None:
        return run, False
    return run.model_copy(update={"state": "interrupted"}), True


async def _outcomes(connection: AsyncConnection, ids: list[str]) -> dict[str, dict[str, int]]:
    counted = (
        select(series.c.run_id, cells.c.outcome, func.count())
        .join_from(series, cells)
        .where(series.c.run_id.in_(ids))
        .group_by(series.c.run_id, cells.c.outcome)
    )
    found: dict[str, dict[str, int]] = {}
    for run_id, outcome, number in (await connection.execute(counted)).all():
        found.setdefault(run_id, {})[outcome] = number
    return found


async def _tags(connection: AsyncConnection, ids: list[str]) -> dict[str, list[str]]:
    chosen = select(tags).where(tags.c.run_id.in_(ids)).order_by(tags.c.tag)
    found: dict[str, list[str]] = {}
    for run_id, tag in (await connection.execute(chosen)).all():
        found.setdefault(run_id, []).append(tag)
    return found


def cell_rows(
    run_id: str, *, source: str | None, target: str | None, path: str | None, test: str | None
) -> Select[Any]:
    """The cells of a run, or some of them, in the order of their keys."""
    columns = cells.c.series_id, cells.c.source, cells.c.target, cells.c.repeat
    chosen = select(*columns, cells.c.rest).join_from(cells, series).where(series.c.run_id == run_id)
    for column, value in (
        (cells.c.source, source),
        (cells.c.target, target),
        (series.c.path, path),
        (series.c.test, test),
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    return chosen.order_by(*columns)


async def series_texts(connection: AsyncConnection, run_id: str) -> dict[int, SeriesText]:
    """The beginnings of a run's cells, by series."""
    chosen = select(series).where(series.c.run_id == run_id)
    return {
        row.id: SeriesText.of(row.path, row.test, row.parameters) for row in (await connection.execute(chosen)).all()
    }
