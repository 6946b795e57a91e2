"""Agents of a lab on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from netmesh_controller.inventory.located import Located
from netmesh_controller.lab import Lab


async def lab_agents(lab: Lab) -> list[Located]:
    """Every agent of the lab, with the node, role and zone that the lab gave it."""
    lab.refresh()
    zones, links = dict(lab.nodes()), lab.facts()["links"]
    return [
        Located(
            f"{agent.address}:{agent.port}",
            agent.node,
            agent.role,
            zones[agent.node],
            facts=_rates(links[agent.node]),
            services={
                family: service for family, service in ((4, agent.service), (6, agent.service6)) if service is not None
            },
        )
        for agent in lab.targets()
    ]


def _rates(link: Mapping[str, int]) -> dict[str, int]:
    """What a shaped node can send and receive at most; traffic that stays on it goes through its pods' links."""
    return {
        "line_rate_bits_per_second": max(link["out_bits_per_second"], link["in_bits_per_second"]),
        "local_rate_bits_per_second": link["pod_bits_per_second"],
    }
