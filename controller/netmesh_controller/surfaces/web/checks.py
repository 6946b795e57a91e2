"""Checks beside the continuous probe: what each node reached, over a window."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from netmesh_controller.mesh.document import Finite
from netmesh_controller.surfaces.web.answers import json_answer
from netmesh_controller.surfaces.web.mesh import WINDOWS, WindowName, moment, watching
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, Query, query_of


class ChecksQuery(Query):
    """Over how long."""

    window: Annotated[WindowName, Field(description="The last windows that ended, so many seconds of them")] = "1m"


class CheckShown(Answered):
    """A check at a node. Times are of questions that were answered, null where none was. Of each 5 s the median is
    known: `median_of_medians_seconds` is theirs, which need not be that of all times. `reason` and `message` are of the
    last failure in the window, null where none failed.
    """

    node: str
    check: str
    count: int
    failed: int
    median_of_medians_seconds: Finite | None
    max_seconds: Finite | None
    reason: str | None
    message: str | None


class CheckList(Answered):
    """Every check at every node that asked it in the window."""

    window_seconds: int
    window_started_at: str
    checks: list[CheckShown]


async def list_checks(request: web.Request) -> web.StreamResponse:
    """What became of them; an empty list where no check is configured."""
    seconds = WINDOWS[query_of(request, ChecksQuery).window]
    since, found = watching(request).checks(seconds)
    shown = [
        CheckShown(
            node=one.node,
            check=one.name,
            count=one.count,
            failed=one.failed,
            median_of_medians_seconds=one.median_of_medians_seconds,
            max_seconds=one.max_seconds,
            reason=one.code,
            message=one.message,
        )
        for one in found
    ]
    return json_answer(request, CheckList(window_seconds=seconds, window_started_at=moment(since), checks=shown))


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/checks",
        "listChecks",
        "Checks beside the continuous probe: Services, names, the API server, what is outside",
        list_checks,
        (Answer(200, "The checks.", {JSON: CheckList}),),
        tag="monitoring",
        query=ChecksQuery,
        problems=(503,),
    ),
)
