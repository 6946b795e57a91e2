"""Nodes to plan for, and what stands in a plan."""

from __future__ import annotations

from typing import Any

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Agent, Node, Parameters
from netmesh_controller.mesh.plan import Plan, make_plan

ROLES = ("pod", "peer", "host")

FACTS: dict[str, Any] = {
    "tools": {"iperf3": "3.12", "qperf": "0.4.11", "sockperf": "3.7", "netmesh": "0.1.0"},
    "mtu_bytes": 1500,
    "congestion_controls_allowed": ["cubic", "reno"],
    "limits": {"seconds": 60, "streams": 16, "bits_per_second": None},
}


def node(number: int, *, peer: bool = True, address: str = "10.0.0.1", **facts: Any) -> Node:
    roles = ("pod", "peer") if peer else ("pod",)
    agents = [Agent(role=role, address=address, facts={**FACTS, **facts}) for role in roles]
    return Node(name=f"node-{number}", agents=agents)


def whole(number: int, **facts: Any) -> Node:
    """A node with an agent of every role, and addresses of both families."""
    facts = {**FACTS, "addresses": [f"10.0.0.{number}", f"fd00::{number}"], **facts}
    agents = [Agent.model_validate({"role": r, "address": f"10.0.0.{number}", "facts": facts}) for r in ROLES]
    return Node(name=f"node-{number}", agents=agents)


def plan(nodes: list[Node], **asked: Any) -> Plan:
    return make_plan(ask_from(asked), nodes, services=True)


def parameters(made: Plan) -> Parameters:
    (found,) = {key.parameters for one in made.measurements for key in one.cells}
    return found


def reasons(made: Plan) -> dict[tuple[str, str], str]:
    return {(gap.source, gap.target): gap.reason.code for gap in made.gaps if gap.reason is not None}


def messages(made: Plan) -> set[str]:
    return {gap.reason.message for gap in made.gaps if gap.reason is not None}
