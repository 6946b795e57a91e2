"""The history of a pair: what the continuous probe saw, minute by minute."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from netmesh_controller.mesh.document import Finite
from netmesh_controller.mesh.probing.history import HOUR, KEPT_SECONDS, MINUTE, TEN_MINUTES, Points, points
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.events import keeping_of
from netmesh_controller.surfaces.web.mesh import moment
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, Query, query_of
from netmesh_controller.surfaces.web.problems import Problem

_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
PAIR = {"source": "A node", "target": "Another node"}


class HistoryQuery(Query):
    """Of which stretch of time, and how finely."""

    since: Annotated[str | None, Field(pattern=_TIME, description="RFC 3339 in UTC; an hour before `until`")] = None
    until: Annotated[str | None, Field(pattern=_TIME, description="RFC 3339 in UTC; now")] = None
    step: Annotated[
        Literal["1m", "10m"] | None,
        Field(description="Minutes (kept for 24 hours) or ten minutes (7 days); what is kept of `since`"),
    ] = None


class History(Answered):
    """A pair's points, one a step, column by column. Times are of the network's round trip.

    `started_at` is when the first step begins; a step without a figure has null and a reason.
    """

    source: str
    target: str
    step_seconds: int
    started_at: str
    sent: list[int | None]
    lost: list[int | None]
    min_seconds: list[Finite | None]
    p50_seconds: list[Finite | None]
    max_seconds: list[Finite | None]
    reasons: list[str | None]
    own_traffic: list[bool]
    marked: list[bool]


async def get_history(request: web.Request) -> web.StreamResponse:
    """The pair's columns."""
    asked = query_of(request, HistoryQuery)
    keeping = keeping_of(request)
    now = int(time.time())
    until = _seconds("until", asked.until, now)
    since = _seconds("since", asked.since, until - HOUR)
    step = {"1m": MINUTE, "10m": TEN_MINUTES, None: 0}[asked.step]
    if not step:
        step = MINUTE if since >= now - KEPT_SECONDS[MINUTE] else TEN_MINUTES
    # What is asked for beyond what is kept, or of the future, has no steps.
    since, until = max(since, now - KEPT_SECONDS[step]) // step * step, min(until, now)
    source, target = request.match_info["source"], request.match_info["target"]
    store = keeping.recorder.store
    blocks = await store.blocks(step, since, until, (source, target)) if since < until else []
    found = await asyncio.to_thread(points, blocks, source, target, step, since, max(since, until))
    if not found.is_known and not {source, target} <= set(keeping.monitor.standing.nodes):
        raise Problem(404, "no_pair", "one of the two is no node of the mesh, and was none in that time")
    return json_answer(request, _answer(source, target, step, since, found))


def _answer(source: str, target: str, step: int, since: int, found: Points) -> History:
    return History(
        source=source,
        target=target,
        step_seconds=step,
        started_at=moment(since),
        sent=found.sent,
        lost=found.lost,
        min_seconds=found.times["min"],
        p50_seconds=found.times["p50"],
        max_seconds=found.times["max"],
        reasons=found.reasons,
        own_traffic=found.own_traffic,
        marked=found.marked,
    )


def _seconds(field: str, text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        raise Problem(
            400, "bad_query", f"{field}: {text} is no time; give one such as 2026-11-25T20:00:00Z", field=field
        ) from None


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/pairs/{{source}}/{{target}}/history",
        "getHistory",
        "What the continuous probe saw of an ordered pair",
        get_history,
        (Answer(200, "Its points.", {JSON: History}),),
        tag="monitoring",
        parameters=PAIR,
        query=HistoryQuery,
        problems=(404, 503),
    ),
)
