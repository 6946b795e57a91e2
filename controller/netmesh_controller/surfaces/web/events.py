"""Events of the mesh: what opened, changed and closed."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from netmesh_controller.engines.monitoring.keeping import Keeping, shown
from netmesh_controller.mesh.document import Finding
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.mesh import watching
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, query_of
from netmesh_controller.surfaces.web.paging import Page, number_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services
from netmesh_controller.surfaces.web.stream import event_stream


class EventsQuery(Page):
    """Which events."""

    state: Literal["open", "closed"] | None = None
    since: Annotated[
        str | None,
        Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="Opened then or later, RFC 3339 in UTC"),
    ] = None


class EventShown(Answered):
    """An event. It was seen first in the window that ended at `since`, and told at `opened_at`.

    `cause` says why it closed where that is not that it is gone: `node_away`.
    """

    id: str
    state: Literal["open", "closed"]
    kind: str
    since: str
    opened_at: str
    changed_at: str | None
    closed_at: str | None
    cause: str | None
    finding: Finding


class EventList(Answered):
    """A page of events, the latest first; `next` is null on the last page."""

    events: list[EventShown]
    next: str | None


async def list_events(request: web.Request) -> web.StreamResponse:
    """What is stored, a moment after it happened."""
    asked = query_of(request, EventsQuery)
    skipped = number_of(asked.after)
    found = await keeping_of(request).recorder.store.events(
        state=asked.state, since=asked.since, limit=asked.limit + 1, skipped=skipped
    )
    shown_now = [EventShown.model_validate(shown(event)) for event in found[: asked.limit]]
    more = len(found) > asked.limit
    return json_answer(request, EventList(events=shown_now, next=str(skipped + asked.limit) if more else None))


async def watch_events(request: web.Request) -> web.StreamResponse:
    """As they happen: those since this controller leads."""
    return await event_stream(request, keeping_of(request).log)


def keeping_of(request: web.Request) -> Keeping:
    """What keeps the mesh's events and history; Problem 503 where this controller does not monitor."""
    watching(request)
    keeping = services(request).keeping
    if keeping is None:
        raise Problem(503, "not_monitoring", "monitoring is switched off here (serve --no-monitor)")
    return keeping


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/events",
        "listEvents",
        "Events of the mesh, the latest first",
        list_events,
        (Answer(200, "A page of events.", {JSON: EventList}),),
        tag="monitoring",
        query=EventsQuery,
        problems=(503,),
    ),
    Operation(
        "GET",
        f"{API}/events/stream",
        "watchEvents",
        "Events of the mesh as they happen",
        watch_events,
        (
            Answer(
                200, "Server-sent events `opened`, `changed`, `closed`; see docs/api.md.", {"text/event-stream": None}
            ),
        ),
        tag="monitoring",
        headers={"Last-Event-ID": "The id of the last event that was read; events after it follow"},
        problems=(503,),
    ),
)
