"""Does a Service lead to its agent already? Asked by STAMP through it, from another agent."""

from __future__ import annotations

from contextlib import suppress

from netmesh_controller.clients.agents import AgentClient, AgentError, Spec
from netmesh_controller.clients.stamp import StampSession
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.instruments import STAMP

# A slow test, which needs no place at the target: it may be measuring something else meanwhile.
_PROBES_PER_SECOND = 10
_MARGIN_SECONDS = 5.0


async def service_ready(
    source: AgentClient, target: AgentClient, address: str, port: int | None = None, *, timeout_seconds: float = 10.0
) -> Reason | None:
    """Waits until the target's STAMP reflector answers the source through a Service; why not, where it does not.

    `address` is the Service's (IPv4 or IPv6), `port` its port for STAMP (None: the same as the reflector's). The
    reason is `service_not_ready` after `timeout_seconds`, or what kept an agent from asking or answering.
    """
    spec = Spec("udp-latency", STAMP, 6 if ":" in address else 4, 1, 0, 0.1, offered_per_second=_PROBES_PER_SECOND)
    try:
        # Any address may ask: a Service may rewrite the source's.
        opened = await target.open_endpoint("service", spec, timeout_seconds + _MARGIN_SECONDS, StampSession())
        try:
            asked = StampSession(opened.ssid)
            answered, questions = await source.ask_reflector(address, port or opened.ports[0], asked, timeout_seconds)
        finally:
            with suppress(AgentError):
                await target.close_endpoint(opened.id, finished=False)
    except AgentError as error:
        return Reason(code=error.code, message=error.message)
    if answered:
        return None
    message = (
        f"{questions} STAMP probes through {address} to {target.address} were not answered in {timeout_seconds:g} s"
    )
    return Reason(code="service_not_ready", message=message)
