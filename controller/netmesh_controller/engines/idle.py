"""The nodes at rest, watched all at once before the first test: the `idle` cells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime

from netmesh_controller.clients.agents import AgentError
from netmesh_controller.engines.measure import AgentHandle
from netmesh_controller.mesh import hostwindow
from netmesh_controller.mesh.document import Cell, CellKey, Hosts, Reason
from netmesh_controller.mesh.hostsamples import Part, Samples
from netmesh_controller.mesh.plan import Plan

SAMPLES_PER_SECOND = 4


async def idle_cells(plan: Plan, agents: Mapping[tuple[str, str], AgentHandle]) -> list[Cell]:
    """The plan's idle cells; none where it has none."""
    of_node = {node: agent for (node, role), agent in sorted(agents.items(), key=lambda item: item[0][1] != "host")}
    watched = (_watch(key, of_node[key.source], plan.idle_seconds) for key in plan.idle)
    return list(await asyncio.gather(*watched))


async def _watch(key: CellKey, agent: AgentHandle, seconds: float) -> Cell:
    started_at, started = datetime.now(UTC).isoformat(timespec="milliseconds"), time.monotonic()
    parts: list[Part] = []
    reason = None
    stream = agent.client.watch_host("", 1 / SAMPLES_PER_SECOND)
    try:
        async with aclosing(stream):
            async for part in stream:
                parts.append(part)
                if time.monotonic() - started >= seconds:
                    break
    except AgentError as error:
        reason = Reason(code=error.code, message=f"{agent.node}: {error.message}")
    host = None
    if len(parts) > 1:
        host = hostwindow.host_cost(Samples(parts), idle_busy_cores=None, bits_per_second=None, shared=False)
    if host is None and reason is None:
        reason = Reason(code="timeout", message=f"{agent.node}: too few samples came in {seconds:g} s")
    return Cell(
        **dict(key),
        attempt=1,
        outcome="measured" if reason is None else "failed",
        reason=reason,
        started_at=started_at,
        duration_seconds=time.monotonic() - started,
        hosts=Hosts(source=host if reason is None else None),
    )
