"""The nodes that are there now."""

from __future__ import annotations

from aiohttp import web

from netmesh_controller.mesh.document import Node, Reason
from netmesh_controller.surfaces.web.answers import json_answer
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


async def nodes(request: web.Request) -> web.StreamResponse:
    """Every node, as it was at `asked_at`."""
    having = services(request)
    leading = having.leading()
    if not leading.leading:
        raise Problem(503, "standby", f"this controller stands by; the leader is {leading.leader or 'not known'}")
    found = await having.roster.nodes()
    return json_answer(
        request,
        NodeList(
            nodes=list(found.nodes),
            unreachable=dict(found.unreachable),
            remarks=list(found.remarks),
            asked_at=found.asked_at,
        ),
    )


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
