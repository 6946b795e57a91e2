# ruff: noqa: N802, ARG002 (the methods are the contract's)
"""Agents that have the right certificate and mean no good: a way of being bad for each method of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tests.support.agents import Identity

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_common.tls import SERVER_OPTIONS, channel, server_credentials

Context = grpc.aio.ServicerContext[Any, Any]
Events = AsyncGenerator[agent_pb2.RunTestEvent, None]
ACCEPTED = agent_pb2.RunTestEvent(accepted=agent_pb2.Accepted(command="iperf3 -c", monotonic_nanoseconds=10**9))
HUGE = 8 * 2**20


def sample(moment: int = 0, **more: Any) -> agent_pb2.HostSamples:
    return agent_pb2.HostSamples(
        monotonic_nanoseconds=[10**9 + moment * 10**8],
        idle_seconds=[4 * moment / 10],
        core_idle_seconds=[moment / 10] * 4,
        mode_seconds=[0.0] * 6,
        **more,
    )


def outcome(mean: float = 1e7, **more: Any) -> agent_pb2.RunTestEvent:
    reading = agent_pb2.Reading(values={"bits_per_second": agent_pb2.Summary(mean=mean, count=1)}, **more)
    return agent_pb2.RunTestEvent(
        outcome=agent_pb2.Outcome(
            reading=reading, started_monotonic_nanoseconds=10**9, ended_monotonic_nanoseconds=2 * 10**9
        )
    )


async def floods() -> Events:
    """Samples that could be true, as fast as they go, without an end."""
    yield ACCEPTED
    moment = 0
    while True:
        yield agent_pb2.RunTestEvent(host=sample(moment))
        moment += 1


async def chatters() -> Events:
    """Messages with nothing in them, without an end."""
    while True:
        yield agent_pb2.RunTestEvent()


async def huge() -> Events:
    """One message of 8 MB."""
    yield ACCEPTED
    yield outcome(raw="x" * HUGE)


async def crowds() -> Events:
    """Half a million samples in one message that is not too large."""
    yield ACCEPTED
    yield agent_pb2.RunTestEvent(host=agent_pb2.HostSamples(monotonic_nanoseconds=range(500_000)))


async def drips() -> Events:
    """A sample now and then, without an end."""
    yield ACCEPTED
    moment = 0
    while True:
        yield agent_pb2.RunTestEvent(host=sample(moment))
        moment += 1
        await asyncio.sleep(0.05)


async def twisted() -> Events:
    """Samples whose parts do not fit together."""
    yield ACCEPTED
    for moment in range(20):
        yield agent_pb2.RunTestEvent(host=sample(moment, core_idle_ticks=[1, 2, 3]))
    yield outcome()


async def twisted_last() -> Events:
    """The same of those that come with the outcome."""
    yield ACCEPTED
    event = outcome()
    event.last.MergeFrom(sample(1, core_idle_ticks=[1, 2, 3]))
    yield event


async def no_number() -> Events:
    """A figure that is none."""
    yield ACCEPTED
    yield outcome(float("nan"))


async def no_count() -> Events:
    """A figure of no intervals."""
    yield ACCEPTED
    event = outcome()
    event.outcome.reading.values["bits_per_second"].count = 0
    yield event


async def twice() -> Events:
    """An outcome, and then another."""
    yield ACCEPTED
    yield outcome()
    yield outcome(2e7)


async def nothing() -> Events:
    """It ends as if all were well, and has said nothing."""
    yield ACCEPTED


class Hostile(agent_pb2_grpc.AgentServicer):
    """Describes itself as `description`, and runs tests as `run` does. With `real`, the calls for a server side go on
    to the agent there, and a watch of it floods."""

    def __init__(
        self,
        description: agent_pb2.DescribeReply,
        run: Callable[[], Events] = nothing,
        real: agent_pb2_grpc.AgentAsyncStub | None = None,
    ) -> None:
        self._description, self._run, self._real = description, run, real

    async def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> agent_pb2.DescribeReply:
        return self._description

    async def RunTest(self, request: agent_pb2.RunTestRequest, context: Context) -> Events:
        async for event in self._run():
            yield event

    async def OpenEndpoint(
        self, request: agent_pb2.OpenEndpointRequest, context: Context
    ) -> agent_pb2.OpenEndpointReply:
        assert self._real is not None
        return await self._real.OpenEndpoint(request)

    async def CloseEndpoint(
        self, request: agent_pb2.CloseEndpointRequest, context: Context
    ) -> agent_pb2.CloseEndpointReply:
        assert self._real is not None
        return await self._real.CloseEndpoint(request)

    async def WatchHost(
        self, request: agent_pb2.WatchHostRequest, context: Context
    ) -> AsyncGenerator[agent_pb2.HostSamples, None]:
        moment = 0
        while True:
            yield sample(moment)
            moment += 1

    async def Inspect(self, request: agent_pb2.InspectRequest, context: Context) -> agent_pb2.InspectReply:
        raise NotImplementedError

    async def ConfigureProbing(
        self, request: agent_pb2.ConfigureProbingRequest, context: Context
    ) -> agent_pb2.ConfigureProbingReply:
        raise NotImplementedError

    async def WatchProbes(
        self, request: agent_pb2.WatchProbesRequest, context: Context
    ) -> AsyncGenerator[agent_pb2.ProbeReport, None]:
        while True:
            yield agent_pb2.ProbeReport(version=1, instance="x", window=1)

    async def AskReflector(
        self, request: agent_pb2.AskReflectorRequest, context: Context
    ) -> agent_pb2.AskReflectorReply:
        raise NotImplementedError


@asynccontextmanager
async def hostile_agent(identity: Identity, address: str, servicer: Hostile) -> AsyncIterator[None]:
    """It listens at `address` ("host:port") with an agent's certificate."""
    server = grpc.aio.server(options=[*SERVER_OPTIONS, ("grpc.max_send_message_length", -1)])
    agent_pb2_grpc.add_AgentServicer_to_server(servicer, server)
    assert server.add_secure_port(address, server_credentials(identity.agent))
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


@asynccontextmanager
async def stub_of(identity: Identity, target: str) -> AsyncIterator[agent_pb2_grpc.AgentAsyncStub]:
    """A real agent's stub, as the controller has it."""
    async with channel(target, identity.controller()) as opened:
        stub: Any = agent_pb2_grpc.AgentStub(opened)
        yield stub
