"""Starts and stops everything of an agent."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
from collections.abc import Mapping
from contextlib import suppress

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_agent import facts
from netmesh_agent.admission import Admission
from netmesh_agent.checks import Checks
from netmesh_agent.device import addresses, traffic_device
from netmesh_agent.endpoints import Endpoints
from netmesh_agent.errors import Refused
from netmesh_agent.host import HostSampler
from netmesh_agent.http import Readiness, start_http
from netmesh_agent.jobs import Jobs
from netmesh_agent.metrics import Metrics
from netmesh_agent.probing import Probing
from netmesh_agent.process import ProgramMissing, run
from netmesh_agent.service import AgentService
from netmesh_agent.settings import Settings
from netmesh_agent.stamp.sessions import Sessions
from netmesh_agent.tools import INSTRUMENTS
from netmesh_common.tls import SERVER_OPTIONS, CertificateError, Certificates, server_credentials

log = logging.getLogger(__name__)

# How often an agent that waits for its certificates looks for them.
CERTIFICATES_SECONDS = 1.0


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


def _addresses(settings: Settings, device: str | None) -> dict[int, str]:
    """Where server sides listen, by family: as the agent itself does, and on its device's address of the other."""
    here = [ipaddress.ip_address(text) for text in settings.listen_addresses]
    if here[0].is_unspecified:
        return {4: "0.0.0.0", 6: "::"}  # noqa: S104  # what --listen asked for
    others = [ipaddress.ip_address(text) for text in (addresses(device) if device is not None else ())]
    return {address.version: str(address) for address in (*reversed(others), *here)}


async def _await_certificates(settings: Settings, readiness: Readiness) -> None:
    """Returns when the certificates can be read; CertificateError where they cannot and nobody said to wait."""
    while True:
        try:
            Certificates.read(settings.certificates)
        except CertificateError as error:
            if not settings.await_certificates:
                raise
            if readiness.reason != str(error):
                log.info("waiting: %s", error)
                readiness.reason = str(error)
        else:
            return
        # The kubelet swaps a symbolic link when a Secret comes or changes; looking costs one open(2).
        await asyncio.sleep(CERTIFICATES_SECONDS)


def _reflecting(where: Mapping[int, str], device: str | None) -> list[str]:
    """Where the STAMP reflector listens: on each address by itself, since an answer must come from the one asked."""
    if not all(ipaddress.ip_address(address).is_unspecified for address in where.values()) or device is None:
        return list(where.values())
    return addresses(device)


async def serve(settings: Settings) -> None:
    """Runs an agent until SIGTERM or SIGINT; raises CannotStart, or CertificateError for its certificates."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    readiness, admission = Readiness(), Admission()
    metrics = Metrics(settings, admission)
    http: web.AppRunner | None = None
    if settings.http_port is not None:
        try:
            http = await start_http(settings.listen_addresses, settings.http_port, readiness, metrics.text)
        except OSError as error:
            raise CannotStart(f"http-port: {settings.http_port} cannot be listened on: {error.strerror}") from error
    agent = asyncio.create_task(_serve(settings, readiness, admission, metrics), name="agent")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([agent, stopping], return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        readiness.reason = "it is stopping"
        agent.cancel()
        with suppress(asyncio.CancelledError):
            await agent
    finally:
        stopping.cancel()
        if http is not None:
            await http.cleanup()


async def _serve(settings: Settings, readiness: Readiness, admission: Admission, metrics: Metrics) -> None:
    """Serves gRPC, once there are certificates, until it is cancelled; then all tests and endpoints have ended."""
    versions = await tool_versions()
    await _await_certificates(settings, readiness)
    device = traffic_device(settings.listen_address)
    sampler = HostSampler(device)
    where = _addresses(settings, device)
    sessions = Sessions(_reflecting(where, device), settings.stamp_port, lambda: facts.clock().error_seconds)
    endpoints = Endpoints(admission, settings.tool_ports, where, sessions)
    jobs = Jobs(admission, sampler.sample, metrics.finished)
    probing = Probing(
        sessions,
        sampler.sample,
        lambda: facts.clock().error_seconds,
        metrics.probes.window,
        Checks(metrics.checks.answered),
    )
    metrics.watch_host(sampler.sample)
    metrics.watch_reflector(sessions.counts)

    def describe() -> agent_pb2.DescribeReply:
        return facts.describe(settings, device, versions, sessions.port)

    server = grpc.aio.server(options=SERVER_OPTIONS)
    service = AgentService(settings, versions, endpoints, jobs, describe, sampler.sample, probing, device)
    agent_pb2_grpc.add_AgentServicer_to_server(service, server)
    healthy = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    for listen in settings.listen_ports:
        try:
            # Credentials of its own for each port: one that another port uses has nothing new to fetch.
            server.add_secure_port(listen, server_credentials(settings.certificates))
        except RuntimeError as error:
            raise CannotStart(f"listen: {listen} cannot be listened on: {error}") from error
    try:
        sessions.listen()
    except Refused as refused:
        log.warning("%s; it is tried again when a test needs it", refused)
    await server.start()
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    readiness.reason = None
    metrics.ready()
    listens = ", ".join(settings.listen_ports)
    log.info("agent of %s (%s) listens on %s; tools: %s", settings.node, settings.role, listens, versions)
    try:
        await asyncio.get_running_loop().create_future()  # until it is cancelled
    finally:
        await healthy.enter_graceful_shutdown()
        # Ending the server cancels running tests, which ends their process groups.
        await server.stop(grace=0)
        await endpoints.close_all()
        await probing.close()
        sessions.close()
