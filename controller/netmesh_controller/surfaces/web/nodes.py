"""The nodes that are there now."""

from __future__ import annotations

import asyncio

from aiohttp import web

from netmesh_controller.engines.roster import Present
from netmesh_controller.mesh.document import Node, Reason
from netmesh_controller.surfaces.web.answers import Written, written_answer
from netmesh_controller.surfaces.web.operations import API, JSON, Answer, Answered, Operation
from netmesh_controller.surfaces.web.problems import Problem
from netmesh_controller.surfaces.web.services import services


class NodeList(Answered):
    """Nodes with their agents' facts. `unreachable` says why a node does not answer, `remarks` what differs.

    `asked_at` is when they had been asked: some seconds ago, of a thousand nodes some minutes.
    """

    nodes: list[Node]
    unreachable: dict[str, Reason]
    remarks: list[str]
    asked_at: str


class Last:
    """The last answer, which of a thousand nodes is a megabyte: it is written once for all who ask."""

    def __init__(self) -> None:
        self._of: Present | None = None
        self._written: asyncio.Future[Written] | None = None

    async def of(self, found: Present) -> Written:
        """These nodes as they are answered with."""
        if self._written is None or self._of is not found:
            self._of, self._written = found, asyncio.ensure_future(asyncio.to_thread(_written, found))
        # Whoever goes away does not take it from the others.
        return await asyncio.shield(self._written)


LAST = web.AppKey("last", Last)


def _written(found: Present) -> Written:
    told = NodeList(
        nodes=list(found.nodes),
        unreachable=dict(found.unreachable),
        remarks=list(found.remarks),
        asked_at=found.asked_at,
    )
    return Written.of(told.model_dump_json(by_alias=True).encode())


async def nodes(request: web.Request) -> web.StreamResponse:
    """Every node, as it was at `asked_at`."""
    having = services(request)
    leading = having.leading()
    if not leading.leading:
        raise Problem(503, "standby", f"this controller stands by; the leader is {leading.leader or 'not known'}")
    return written_answer(request, await request.app[LAST].of(await having.roster.nodes()), JSON)


OPERATIONS = (
    Operation(
        "GET",
        f"{API}/nodes",
        "listNodes",
        "The nodes that are there, with what their agents say of themselves",
        nodes,
        (Answer(200, "The nodes.", {JSON: NodeList}),),
        tag="nodes",
        problems=(503,),
    ),
)
