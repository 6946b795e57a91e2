"""The store's questions, and what its answers mean."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, tuple_

from netmesh_controller.clients.store.errors import RunNotFoundError
from netmesh_controller.clients.store.rows import SeriesText
from netmesh_controller.clients.store.shapes import CellPosition, RunDetails, RunFilter, RunInfo
from netmesh_controller.clients.store.statements import clock
from netmesh_controller.clients.store.tables import cells, runs, series, tags
from netmesh_controller.clients.store.writers import Writer
from netmesh_controller.mesh.document import Finding, Node, Outcome, Run

# How many rows are held at once: some ten megabytes of cells.
ROWS = 500
_NODES = TypeAdapter(tuple[Node, ...])
_FINDINGS = TypeAdapter(tuple[Finding, ...])
# What a run is listed by; its nodes and findings may be a megabyte.
_LISTED = (runs.c.run, runs.c.node_count, runs.c.writer)


def find(connection: Connection, reference: str) -> str:
    """The id that a reference means."""
    latest = runs.c.started_at.desc(), runs.c.id.desc()
    if reference == "latest":
        newest = connection.scalar(select(runs.c.id).order_by(*latest).limit(1))
        if newest is None:
            raise RunNotFoundError("there is no run yet")
        return str(newest)
    named = connection.scalar(select(runs.c.id).where(runs.c.name == reference).order_by(*latest).limit(1))
    # A comparison for which % and _ are letters like others.
    begins = func.substr(runs.c.id, 1, len(reference)) == reference
    # The id itself is the shortest of those that begin with it.
    shortest = select(runs.c.id).where(begins).order_by(func.length(runs.c.id)).limit(2)
    ids = [str(one) for one in connection.execute(shortest).scalars()] if reference else []
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
    chosen = select(*_LISTED).order_by(runs.c.started_at.desc(), runs.c.id.desc())
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


def infos(connection: Connection, wanted: RunFilter, limit: int | None = None) -> list[RunInfo]:
    """The runs that fit, the latest first, each with its true state; cells are counted for those that are told."""
    chosen = listing(wanted).add_columns(_silent(connection))
    if not wanted.states:
        chosen = chosen.limit(limit)
    told = []
    for row in connection.execute(chosen).all():
        run, abandoned = _true_state(row)
        if not wanted.states or run.state in wanted.states:
            told.append((row.node_count, run, abandoned))
    told = told[:limit]
    ids = [run.id for _, run, _ in told]
    outcomes, labels = _outcomes(connection, ids), _tags(connection, ids)
    return [
        RunInfo(run, node_count, tuple(labels.get(run.id, ())), outcomes.get(run.id, {}), abandoned)
        for node_count, run, abandoned in told
    ]


def described(connection: Connection, run_id: str) -> tuple[RunInfo, str, str]:
    """A run of that id, and its nodes and findings as JSON; RunNotFoundError where there is none."""
    chosen = select(*_LISTED, runs.c.nodes, runs.c.findings, _silent(connection)).where(runs.c.id == run_id)
    row = connection.execute(chosen).one_or_none()
    if row is None:
        raise RunNotFoundError(f"there is no run '{run_id}'")
    run, abandoned = _true_state(row)
    labels, outcomes = _tags(connection, [run_id]), _outcomes(connection, [run_id])
    info = RunInfo(run, row.node_count, tuple(labels.get(run_id, ())), outcomes.get(run_id, {}), abandoned)
    return info, row.nodes, row.findings or "[]"


def details(connection: Connection, run_id: str) -> RunDetails:
    """A run of that id with its nodes and findings; RunNotFoundError where there is none."""
    info, nodes, findings = described(connection, run_id)
    return RunDetails(
        info.run,
        info.node_count,
        info.tags,
        info.outcomes,
        info.abandoned,
        nodes=_NODES.validate_json(nodes),
        findings=_FINDINGS.validate_json(findings),
    )


def writer(connection: Connection, run_id: str) -> Writer | None:
    """The living process that measures a run, if there is one."""
    row = connection.execute(select(runs.c.writer, _silent(connection)).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else _living(row.writer, row.silent_seconds)


def _silent(connection: Connection) -> ColumnElement[float]:
    return (clock(connection) - runs.c.alive_at).label("silent_seconds")


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


def counting(ids: list[str]) -> Select[Any]:
    """How many cells each of these runs has of each outcome."""
    # Both columns of the index are given, so that it is what is read.
    return (
        select(series.c.run_id, cells.c.outcome, func.count())
        .join_from(series, cells)
        .where(series.c.run_id.in_(ids), cells.c.outcome.in_(get_args(Outcome)))
        .group_by(series.c.run_id, cells.c.outcome)
    )


def _outcomes(connection: Connection, ids: list[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for run_id, outcome, number in connection.execute(counting(ids)).all():
        found.setdefault(run_id, {})[outcome] = number
    return found


def _tags(connection: Connection, ids: list[str]) -> dict[str, list[str]]:
    chosen = select(tags).where(tags.c.run_id.in_(ids)).order_by(tags.c.tag)
    found: dict[str, list[str]] = {}
    for run_id, tag in connection.execute(chosen).all():
        found.setdefault(run_id, []).append(tag)
    return found


def page(
    connection: Connection,
    run_id: str,
    *,
    source: str | None,
    target: str | None,
    path: str | None,
    test: str | None,
    outcome: str | None,
    after: CellPosition | None,
    limit: int,
) -> list[tuple[CellPosition, str]]:
    """At most `limit` cells, those after a position where one is given, each as its JSON, in the order of their keys.

    Series by series: what is read is a part of the table in its own order, and no more than is told.
    """
    beginnings = series_texts(connection, run_id, path=path, test=test)
    fits = [
        column == value
        for column, value in ((cells.c.source, source), (cells.c.target, target), (cells.c.outcome, outcome))
        if value is not None
    ]
    found: list[tuple[CellPosition, str]] = []
    for series_id, beginning in sorted(beginnings.items()):
        if after is not None and series_id < after.series_id:
            continue
        rows = connection.execute(page_rows(series_id, after, limit - len(found)).where(*fits)).all()
        found += [(CellPosition(series_id, *row[:3]), beginning.cell(*row)) for row in rows]
        if len(found) == limit:
            break
    return found


def page_rows(series_id: int, after: CellPosition | None, limit: int) -> Select[Any]:
    """The first cells of a series, those after a position where that is in it."""
    columns = cells.c.source, cells.c.target, cells.c.repeat
    chosen = select(*columns, cells.c.rest).where(cells.c.series_id == series_id).order_by(*columns).limit(limit)
    if after is None or after.series_id != series_id:
        return chosen
    return chosen.where(tuple_(*columns) > tuple_(*after[1:]))


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


def series_texts(
    connection: Connection, run_id: str, *, path: str | None = None, test: str | None = None
) -> dict[int, SeriesText]:
    """The beginnings of a run's cells, or of those of a path or test, by series."""
    chosen = select(series).where(series.c.run_id == run_id)
    for column, value in ((series.c.path, path), (series.c.test, test)):
        if value is not None:
            chosen = chosen.where(column == value)
    return {row.id: SeriesText.of(row.path, row.test, row.parameters) for row in connection.execute(chosen).all()}
