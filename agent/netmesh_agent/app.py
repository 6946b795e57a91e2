"""Starts and stops everything of an agent."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_agent import facts
from netmesh_agent.admission import Admission
from netmesh_agent.device import addresses, traffic_device
from netmesh_agent.endpoints import Endpoints
from netmesh_agent.host import HostSampler
from netmesh_agent.jobs import Jobs
from netmesh_agent.process import ProgramMissing, run
from netmesh_agent.service import AgentService
from netmesh_agent.settings import Settings
from netmesh_agent.tools import INSTRUMENTS
from netmesh_common.tls import SERVER_OPTIONS, server_credentials

log = logging.getLogger(__name__)


class CannotStart(Exception):  # noqa: N818  # what the agent says at its end
    """The agent cannot start; the message says why."""


async def tool_versions() -> dict[str, str]:
    """The instruments that run here, with the versions that they print."""
    versions: dict[str, str] = {}
    for name, instrument in INSTRUMENTS.items():
        try:
            ended = await run(instrument.version_command, deadline_seconds=5)
        except ProgramMissing:
            log.warning("%s is not installed; tests with it are refused", name)
            continue
        version = instrument.parse_version(ended.output)
        if version is None:
            log.warning("%s does not tell its version; tests with it are refused", name)
            continue
        versions[name] = version
    return versions


def _addresses(listen: str, device: str | None) -> dict[int, str]:
    """Where server sides listen, by family: as the agent itself does, and on its device's address of the other."""
    here = ipaddress.ip_address(listen)
    if here.is_unspecified:
        return {4: "0.0.0.0", 6: "::"}  # noqa: S104  # what --listen asked for
    others = [ipaddress.ip_address(text) for text in (addresses(device) if device is not None else ())]
    return {address.version: str(address) for address in (*reversed(others), here)}


async def serve(settings: Settings) -> None:
    """Runs an agent until SIGTERM or SIGINT; raises CannotStart, or CertificateError for its certificates."""
    credentials = server_credentials(settings.certificates)
    device = traffic_device(settings.listen_address)
    versions = await tool_versions()
    sampler = HostSampler(device)
    admission = Admission()
    endpoints = Endpoints(admission, settings.tool_ports, _addresses(settings.listen_address, device))
    jobs = Jobs(admission, sampler.sample)

    def describe() -> agent_pb2.DescribeReply:
        return facts.describe(settings, device, versions)

    server = grpc.aio.server(options=SERVER_OPTIONS)
    service = AgentService(settings, versions, endpoints, jobs, describe, sampler.sample)
    agent_pb2_grpc.add_AgentServicer_to_server(service, server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    try:
        server.add_secure_port(settings.listen, credentials)
    except RuntimeError as error:
        raise CannotStart(f"listen: {settings.listen} cannot be listened on: {error}") from error
    await server.start()
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    log.info("agent of %s (%s) listens on %s; tools: %s", settings.node, settings.role, settings.listen, versions)

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    log.info("stopping")
    await healthy.enter_graceful_shutdown()
    # Ending the server cancels running tests, which ends their process groups.
    await server.stop(grace=0)
    await endpoints.close_all()
