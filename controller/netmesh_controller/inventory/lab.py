"""Agents of a lab on this machine."""

from __future__ import annotations

from netmesh_controller.inventory.located import Located
from netmesh_controller.lab import Lab


async def lab_agents(lab: Lab) -> list[Located]:
    """Every agent of the lab, with the node, role and zone that the lab gave it."""
    zones = dict(lab.nodes())
    return [
        Located(f"{agent.address}:{agent.port}", agent.node, agent.role, zones[agent.node]) for agent in lab.targets()
    ]
