"""gRPC in: the calls of the contract, each checked for who calls and for the controller's term."""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NoReturn, Protocol, TypeVar

import grpc

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_agent import requests, wire
from netmesh_agent.batches import Batch
from netmesh_agent.endpoints import Closed, Endpoints
from netmesh_agent.errors import Refused
from netmesh_agent.inspection import inspect
from netmesh_agent.jobs import Finished, Jobs, Started
from netmesh_agent.probing import Probing
from netmesh_agent.settings import Settings
from netmesh_agent.stamp import reach
from netmesh_agent.tools.base import Failure, Spec
from netmesh_agent.tools.stamp import STAMP
from netmesh_agent.waiting import Lateness
from netmesh_common.tls import CONTROLLER_NAME, peer_names

log = logging.getLogger(__name__)

FAILURE_KEY = "netmesh-failure-bin"
_STATUS = {"busy": grpc.StatusCode.RESOURCE_EXHAUSTED, "tool_missing": grpc.StatusCode.FAILED_PRECONDITION}

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC}


class _Request(Protocol):
    @property
    def term(self) -> int: ...


Context = grpc.aio.ServicerContext[Any, Any]
RequestT = TypeVar("RequestT", bound=_Request)
ReplyT = TypeVar("ReplyT")


def _exhausted(error: OSError) -> Refused:
    """Not now, where the host or this process has no more descriptors, memory or processes; else the error, raised."""
    if error.errno not in _EXHAUSTED:
        raise error
    log.warning("a call is refused: %s", error)
    return Refused("busy", f"the agent has no room for it now: {error.strerror}")


async def _abort(context: Context, refused: Refused) -> NoReturn:
    failure = agent_pb2.Failure(code=refused.code, message=refused.message, field=refused.field)
    await context.abort(
        _STATUS.get(refused.code, grpc.StatusCode.INVALID_ARGUMENT),
        refused.message,
        trailing_metadata=((FAILURE_KEY, failure.SerializeToString()),),
    )


def _unary(
    method: Callable[[AgentService, RequestT], Awaitable[ReplyT]],
) -> Callable[[AgentService, RequestT, Context], Awaitable[ReplyT]]:
    """A call that is admitted first; what it refuses goes out typed."""

    @functools.wraps(method)
    async def call(self: AgentService, request: RequestT, context: Context) -> ReplyT:
        try:
            self.admit(request, context)
            return await method(self, request)
        except Refused as refused:
            await _abort(context, refused)
        except OSError as error:
            await _abort(context, _exhausted(error))

    return call


def _stream(
    method: Callable[[AgentService, RequestT], AsyncGenerator[ReplyT, None]],
) -> Callable[[AgentService, RequestT, Context], AsyncGenerator[ReplyT, None]]:
    """The same for a call that answers with a stream; when the caller goes away, the iterator is closed."""

    @functools.wraps(method)
    async def call(self: AgentService, request: RequestT, context: Context) -> AsyncGenerator[ReplyT, None]:
        try:
            self.admit(request, context)
            replies = method(self, request)
            try:
                async for reply in replies:
                    yield reply
            finally:
                await replies.aclose()
        except Refused as refused:
            await _abort(context, refused)
        except OSError as error:
            await _abort(context, _exhausted(error))

    return call


class AgentService(agent_pb2_grpc.AgentServicer):
    """The agent's side of the contract. `versions` are the installed tools by name, `device` is the traffic device."""

    def __init__(
        self,
        settings: Settings,
        versions: dict[str, str],
        endpoints: Endpoints,
        jobs: Jobs,
        describe: Callable[[], agent_pb2.DescribeReply],
        sample: Callable[[int | None], agent_pb2.HostSample],
        probing: Probing,
        device: str | None = None,
    ) -> None:
        self._settings = settings
        self._versions = versions
        self._endpoints = endpoints
        self._jobs = jobs
        self._describe = describe
        self._sample = sample
        self._probing = probing
        self._device = device
        self._term = 0
        self._superseding: asyncio.Future[list[Closed | BaseException]] | None = None
        # By endpoint: what a watch of it has not sent yet.
        self._kept: dict[str, Batch] = {}

    def admit(self, request: _Request, context: Context) -> None:
        """Lets in the controller only, and no controller whose term is over."""
        if CONTROLLER_NAME not in peer_names(context.auth_context()):
            raise Refused("refused", f"only {CONTROLLER_NAME} may call an agent")
        if request.term < self._term:
            raise Refused("refused", f"term {request.term} is over; the controller of term {self._term} is in charge")
        if request.term > self._term:
            self._term = request.term
            # Nobody comes back for what an earlier term opened: it would keep its place until its lease ends.
            self._superseding = self._endpoints.close_all()

    @_unary
    async def Describe(self, request: agent_pb2.DescribeRequest) -> agent_pb2.DescribeReply:  # noqa: N802, ARG002, D102
        return self._describe()

    @_unary
    async def Inspect(self, request: agent_pb2.InspectRequest) -> agent_pb2.InspectReply:  # noqa: N802, ARG002, D102
        return inspect(self._device)

    @_unary
    async def OpenEndpoint(self, request: agent_pb2.OpenEndpointRequest) -> agent_pb2.OpenEndpointReply:  # noqa: N802, D102
        session = wire.session_from_message(request.stamp) if request.HasField("stamp") else None
        spec = wire.spec_from_message(request.spec, session)
        requests.check_lease(request.lease_seconds, self._settings.limits)
        instrument = requests.instrument_for(spec, self._settings.limits, self._versions)
        requests.check_session(spec)
        endpoint = await self._endpoints.open(request.group, spec, instrument, request.lease_seconds)
        reply = agent_pb2.OpenEndpointReply(endpoint=endpoint.id, ports=endpoint.ports, command=endpoint.command)
        if endpoint.session is not None:
            reply.stamp.CopyFrom(wire.session_to_message(endpoint.session))
        return reply

    @_unary
    async def CloseEndpoint(self, request: agent_pb2.CloseEndpointRequest) -> agent_pb2.CloseEndpointReply:  # noqa: N802, D102
        watched = self._kept.get(request.endpoint)
        closed = await self._endpoints.close(request.endpoint, finished=request.finished)
        return agent_pb2.CloseEndpointReply(
            outcome=wire.outcome_to_message(closed.command, closed.ended, closed.result),
            samples=watched.rest() if watched is not None else None,
        )

    @_stream
    async def RunTest(self, request: agent_pb2.RunTestRequest) -> AsyncGenerator[agent_pb2.RunTestEvent, None]:  # noqa: N802, D102
        # A reflector outside of the mesh has no session of ours: 0 is what a sender without one sends.
        session = wire.session_from_message(request.stamp) if request.spec.instrument == STAMP else None
        spec = wire.spec_from_message(request.spec, session)
        instrument = requests.instrument_for(spec, self._settings.limits, self._versions)
        ports = tuple(request.target_ports)
        requests.check_target(request.target_address, ports, spec.family, instrument.ports_needed(spec))
        batch = Batch(request.batch_seconds)
        events = self._jobs.run(request.group, spec, instrument, request.target_address, ports)
        try:
            async for event in events:
                if isinstance(event, agent_pb2.HostSample):
                    samples = batch.add(event)
                    if samples is not None:
                        yield agent_pb2.RunTestEvent(host=samples)
                    continue
                message = _event_to_message(event, spec)
                last = batch.rest() if isinstance(event, Finished) else None
                if last is not None:
                    message.last.CopyFrom(last)
                yield message
        finally:
            await events.aclose()

    @_stream
    async def WatchHost(self, request: agent_pb2.WatchHostRequest) -> AsyncGenerator[agent_pb2.HostSamples, None]:  # noqa: N802, D102
        seconds = request.interval_seconds
        if not (math.isfinite(seconds) and 0.05 <= seconds <= 60):
            raise Refused("refused", "interval_seconds is between 0.05 and 60", "interval_seconds")
        late, batch = Lateness(), Batch(request.batch_seconds)
        if request.endpoint:
            self._kept[request.endpoint] = batch
        try:
            while True:
                sample = self._sample(self._endpoints.process_id(request.endpoint))
                sample.loop_late_seconds = late.seconds
                message = batch.add(sample)
                if message is not None:
                    yield message
                late.due_in(seconds)
                await asyncio.sleep(seconds)
                late.fired()
        finally:
            if self._kept.get(request.endpoint) is batch:
                del self._kept[request.endpoint]

    @_unary
    async def ConfigureProbing(self, request: agent_pb2.ConfigureProbingRequest) -> agent_pb2.ConfigureProbingReply:  # noqa: N802, D102
        port = await self._probing.configure(wire.probing_from_message(request))
        return agent_pb2.ConfigureProbingReply(instance=self._probing.instance, stamp_port=port)

    @_stream
    async def WatchProbes(self, request: agent_pb2.WatchProbesRequest) -> AsyncGenerator[agent_pb2.ProbeReport, None]:  # noqa: N802, D102
        reports = self._probing.reports(request.instance, request.after)
        try:
            async for report in reports:
                yield report
        finally:
            await reports.aclose()

    @_unary
    async def AskReflector(self, request: agent_pb2.AskReflectorRequest) -> agent_pb2.AskReflectorReply:  # noqa: N802, D102
        requests.check_question(request.address, request.port, request.timeout_seconds)
        answered, questions = await reach.ask(
            request.address,
            request.port,
            request.stamp.ssid,
            key=request.stamp.key or None,
            timeout_seconds=request.timeout_seconds,
        )
        return agent_pb2.AskReflectorReply(answered=answered, questions=questions)


def _event_to_message(event: Started | Finished, spec: Spec) -> agent_pb2.RunTestEvent:
    match event:
        case Started():
            return agent_pb2.RunTestEvent(
                accepted=agent_pb2.Accepted(
                    command=event.command,
                    monotonic_nanoseconds=event.monotonic_nanoseconds,
                    expected_seconds=event.expected_seconds,
                )
            )
        case Finished():
            if isinstance(event.result, Failure):
                log.info("%s by %s: %s", spec.test, spec.instrument, event.result.message)
            return agent_pb2.RunTestEvent(outcome=wire.outcome_to_message(event.command, event.ended, event.result))
