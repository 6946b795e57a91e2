"""The mesh as continuous monitoring sees it: a figure or a reason for every ordered pair, now."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from aiohttp import web
from pydantic import Field

from netmesh_controller.engines.background.engine import Bandwidths
from netmesh_controller.engines.monitor import Live, Monitor
from netmesh_controller.mesh import packed
from netmesh_controller.mesh.document import Finite, Matrix, Parameters
from netmesh_controller.mesh.probing.live import PATH, Standing, Statistic
from netmesh_controller.surfaces.web.answers import json_answer, large_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation, Query, query_of
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services

WindowName = Literal["10s", "1m", "10m", "1h"]
WINDOWS: dict[WindowName, int] = {"10s": 10, "1m": 60, "10m": 600, "1h": 3600}
STARTED_HEADER = "X-Netmesh-Window-Started"


class MeshQuery(Query):
    """What of the mesh."""

    path: Annotated[Literal["pod-to-pod"], Field(description="The path; monitoring probes this one")] = PATH
    test: Annotated[
        Literal["udp-latency", "tcp-bandwidth"],
        Field(
            description="`udp-latency` is the continuous probe; `tcp-bandwidth` the last test of each pair in the "
            "background (serve --background-bandwidth), to which statistic and window do not apply"
        ),
    ] = "udp-latency"
    statistic: Annotated[
        Statistic, Field(description="Round trips in seconds (`min`, `p50`, `max`), `loss` as a ratio, or counts")
    ] = "p50"
    window: Annotated[WindowName, Field(description="The last whole or running window of that length")] = "1m"


class MeshNode(Answered):
    """A node of the mesh. `reason` says why its agent tells nothing; `own_traffic`: tests of netmesh's own ran there in
    the window; `signs` are those of its witness; `fresh`: it is new or was started again.
    """

    name: str
    zone: str | None
    reason: str | None
    message: str | None
    own_traffic: bool
    signs: list[str]
    fresh: bool


class MeshMatrix(Answered):
    """One statistic of the last window over all ordered pairs, as `Matrix`, with when and of how many probes.

    `sent` are the probes of the window whose fate is known; null where there is none. Of bandwidth in the background it
    is the last test of each pair: `ages` are the seconds since each (null: never tested), the window reaches from the
    oldest to the latest of them, and `parameters` have the rate offered where it is one for all.
    """

    path: str
    test: str
    parameters: Parameters
    value: str
    statistic: str
    unit: str
    window_seconds: int
    window_started_at: str
    window_ended_at: str
    nodes: list[MeshNode]
    sources: list[str]
    targets: list[str]
    values: list[list[Finite | None]]
    reasons: list[list[str | None]]
    sent: list[list[int | None]]
    ages: list[list[int | None]] | None = None


async def get_mesh(request: web.Request) -> web.StreamResponse:
    """The matrix, in the form that `Accept` prefers."""
    asked = query_of(request, MeshQuery)
    monitor = watching(request)
    if asked.test == "tcp-bandwidth":
        return await _bandwidth(request)
    live = monitor.live(WINDOWS[asked.window], asked.statistic)
    if live is None:
        raise Problem(503, "no_window", "no window of the continuous probe has ended yet; ask again in 5 s")
    if packed.MEDIA_TYPE in request.headers.get("Accept", ""):
        begun = {STARTED_HEADER: moment(live.started)}
        return await large_answer(request, lambda: packed.pack(live.table), packed.MEDIA_TYPE, headers=begun)
    sent = monitor.live(WINDOWS[asked.window], "sent")
    if sent is None:
        raise Problem(503, "no_window", "no window of the continuous probe has ended yet; ask again in 5 s")
    return json_answer(request, await asyncio.to_thread(_answer, live, sent.table.document()))


async def _bandwidth(request: web.Request) -> web.StreamResponse:
    background = services(request).background
    if background is None:
        raise Problem(
            503, "no_background", "bandwidth is not tested in the background here (serve --background-bandwidth)"
        )
    found = await background.bandwidths()
    if found is None:
        raise Problem(503, "no_window", "no window of the continuous probe has ended yet; ask again in 5 s")
    if packed.MEDIA_TYPE in request.headers.get("Accept", ""):
        begun = {STARTED_HEADER: moment(_oldest(found))}
        return await large_answer(request, lambda: packed.pack(found.table), packed.MEDIA_TYPE, headers=begun)
    return json_answer(request, await asyncio.to_thread(_bandwidth_answer, found))


def watching(request: web.Request) -> Monitor:
    """The monitor; Problem 503 where this controller does not monitor now."""
    having = services(request)
    if having.monitor is None:
        raise Problem(503, "not_monitoring", "monitoring is switched off here (serve --no-monitor)")
    leading = having.leading()
    if not leading.leading:
        raise Problem(503, "standby", f"this controller stands by; the leader is {leading.leader or 'not known'}")
    return having.monitor


def moment(seconds: float) -> str:
    """RFC 3339, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(live: Live, sent: Matrix) -> MeshMatrix:
    return _matrix(
        live.table.document(),
        live.standing,
        window_seconds=live.seconds,
        window_started_at=moment(live.started),
        window_ended_at=moment(live.ended),
        sent=[[None if count is None else int(count) for count in row] for row in sent.values],
    )


def _oldest(found: Bandwidths) -> float:
    """When the oldest of the figures was measured; now, where there is none."""
    known = found.ages[np.isfinite(found.ages)]
    return found.now - float(known.max(initial=0.0))


def _bandwidth_answer(found: Bandwidths) -> MeshMatrix:
    matrix, ages = found.table.document(), found.ages
    latest = found.now - float(ages[np.isfinite(ages)].min()) if np.isfinite(ages).any() else found.now
    return _matrix(
        matrix,
        found.standing,
        window_seconds=round(latest - _oldest(found)),
        window_started_at=moment(_oldest(found)),
        window_ended_at=moment(latest),
        sent=[[None] * len(matrix.targets) for _ in matrix.sources],
        ages=[[None if math.isnan(age) else max(0, int(age)) for age in row] for row in ages.tolist()],
    )


def _matrix(matrix: Matrix, standing: Standing, **more: Any) -> MeshMatrix:
    return MeshMatrix.model_construct(
        path=matrix.path,
        test=matrix.test,
        parameters=matrix.parameters,
        value=matrix.value,
        statistic=matrix.statistic,
        unit=matrix.unit,
        nodes=_nodes(standing),
        sources=matrix.sources,
        targets=matrix.targets,
        values=matrix.values,
        reasons=matrix.reasons,
        **more,
    )


def _nodes(standing: Standing) -> list[MeshNode]:
    return [
        MeshNode(
            name=name,
            zone=zone,
            reason=None if (reason := standing.missing.get(name)) is None else reason.code,
            message=None if reason is None else reason.message,
            own_traffic=name in standing.own,
            signs=list(standing.marked.get(name, ())),
            fresh=name in standing.fresh,
        )
        for name, zone in zip(standing.nodes, standing.zones, strict=True)
    ]


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/mesh",
        "getMesh",
        "The mesh now: one statistic of the continuous probe for every ordered pair",
        get_mesh,
        (
            Answer(
                200,
                "The matrix; docs/api.md has the packed form.",
                {JSON: MeshMatrix, packed.MEDIA_TYPE: None},
            ),
        ),
        tag="monitoring",
        query=MeshQuery,
        headers={"Accept": f"`{packed.MEDIA_TYPE}` for the packed form"},
        problems=(503,),
    ),
)
