"""Safety on live clusters: no test is started on a node that is busy with its own work."""

from __future__ import annotations

import time
from contextlib import aclosing

from netmesh_controller.clients.agents import AgentError
from netmesh_controller.engines.measure import AgentHandle
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.fields import Pause
from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.hostwindow import busy_share

# How long a node is looked at, and how long it is waited for.
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 120.0


async def pressure(agent: AgentHandle, pause: Pause, patience_seconds: float = PATIENCE_SECONDS) -> Reason | None:
    """Waits while `pause` holds on the agent's node, which runs no test now; the reason where that does not end."""
    until = time.monotonic() + patience_seconds
    previous: Sample | None = None
    share: float | None = None
    watched = agent.client.watch_host("", LOOK_SECONDS)
    try:
        async with aclosing(watched):
            async for part in watched:
                sample = part.sample(0)
                if previous is not None:
                    share = _share(previous, sample, pause)
                    if share is not None and share <= pause.ratio:
                        return None
                    if time.monotonic() > until:
                        break
                previous = sample
    except AgentError:
        # The test itself will tell what became of the agent.
        return None
    now = "is not known" if share is None else f"is {share:.0%}"
    message = f"{agent.node}: {pause} for {patience_seconds:.0f} s, it {now}"
    return Reason(code="pressure", message=message)


def _share(first: Sample, last: Sample, pause: Pause) -> float | None:
    """The part of all that the node has which is in use, 0 to 1; None where the samples cannot tell."""
    if pause.quantity == "cpu":
        return busy_share(first, last)
    if not last.memory_total_bytes or last.memory_available_bytes is None:
        return None
    return 1 - last.memory_available_bytes / last.memory_total_bytes
