"""Calls with anything in them, to a real agent: each ends in a reply or a typed failure, and the agent lives on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.agents import RunningAgent, new_identity, running_agent
from tests.support.fuzzing import fuzzed

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_common.tls import Certificates, channel

CALL_SECONDS = 20
FAILURE_KEY = "netmesh-failure-bin"

uint32 = st.one_of(st.integers(0, 10), st.integers(0, 2**32 - 1))
doubles = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 0.1, 5.0, 1e300]))
names = st.one_of(
    st.sampled_from(
        ["tcp-bandwidth", "udp-latency", "path-mtu", "iperf3", "qperf", "sockperf", "stamp", "netmesh", ""]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
specs = st.builds(
    agent_pb2.Spec,
    test=names,
    instrument=names,
    family=st.one_of(st.sampled_from([4, 6]), uint32),
    duration_seconds=uint32,
    omit_seconds=uint32,
    interval_seconds=doubles,
    streams=uint32,
    offered_bits_per_second=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    message_bytes=st.one_of(st.none(), uint32),
    mss_bytes=st.one_of(st.none(), uint32),
    congestion_control=names,
    offered_per_second=st.one_of(st.none(), uint32),
)
some_sessions = st.builds(
    agent_pb2.StampSession, ssid=uint32, peers=st.lists(names, max_size=3), key=st.binary(max_size=40)
)
sessions = st.one_of(st.none(), some_sessions)
# Of the loopback network only.
peers = st.builds(
    agent_pb2.ProbePeer,
    address=st.one_of(names, st.sampled_from(["127.0.0.1", "127.0.0.2", "::1", "127.0.0.1%lo", "-h"])),
    port=uint32,
    ssid=uint32,
    key=st.binary(max_size=40),
    same_clock=st.booleans(),
)
calls = st.one_of(
    st.tuples(
        st.just("OpenEndpoint"),
        st.builds(agent_pb2.OpenEndpointRequest, group=names, spec=specs, lease_seconds=doubles, stamp=sessions),
    ),
    st.tuples(
        st.just("RunTest"),
        st.builds(
            agent_pb2.RunTestRequest,
            group=names,
            spec=specs,
            target_address=st.one_of(names, st.sampled_from(["127.0.0.1", "::1", "-h"])),
            target_ports=st.lists(uint32, max_size=3),
            stamp=sessions,
        ),
    ),
    st.tuples(st.just("Inspect"), st.builds(agent_pb2.InspectRequest)),
    st.tuples(
        st.just("ConfigureProbing"),
        st.builds(
            agent_pb2.ConfigureProbingRequest,
            version=st.integers(0, 2**64 - 1),
            interval_seconds=doubles,
            timeout_seconds=doubles,
            window_seconds=doubles,
            lease_seconds=st.one_of(doubles, st.just(1.0)),
            peers=st.lists(peers, max_size=4),
            answered=st.lists(some_sessions, max_size=3),
        ),
    ),
    st.tuples(
        st.just("WatchProbes"),
        st.builds(agent_pb2.WatchProbesRequest, instance=names, after=st.integers(0, 2**64 - 1)),
    ),
    st.tuples(st.just("CloseEndpoint"), st.builds(agent_pb2.CloseEndpointRequest, endpoint=names)),
    st.tuples(st.just("WatchHost"), st.builds(agent_pb2.WatchHostRequest, interval_seconds=doubles, endpoint=names)),
    st.tuples(
        st.just("AskReflector"),
        st.builds(
            agent_pb2.AskReflectorRequest,
            address=names,
            port=uint32,
            stamp=sessions,
            timeout_seconds=st.one_of(st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 0.2]), st.just(1e300)),
        ),
    ),
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    folder = tmp_path_factory.mktemp("fuzz")
    with running_agent(new_identity(folder / "mesh"), folder, port=19610) as running:
        yield running


@pytest.fixture
async def open_channel(agent: RunningAgent) -> AsyncIterator[grpc.aio.Channel]:
    connection = channel(agent.target, Certificates.read(agent.log.parent / "mesh" / "controller"))
    yield connection
    await connection.close()


async def call(stub: Any, name: str, request: Any) -> None:
    """Makes a call; of a stream the first answer is enough. What it refuses must be typed."""
    refused: grpc.aio.AioRpcError | None = None
    try:
        if name in ("RunTest", "WatchHost"):
            stream = getattr(stub, name)(request, timeout=CALL_SECONDS)
            await stream.read()
            stream.cancel()
        elif name == "WatchProbes":
            # It may have nothing to tell for long.
            stream = stub.WatchProbes(request, timeout=CALL_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(stream.read(), 0.05)
            stream.cancel()
        else:
            reply = await getattr(stub, name)(request, timeout=CALL_SECONDS)
            if name == "OpenEndpoint":
                closing = agent_pb2.CloseEndpointRequest(endpoint=reply.endpoint)
                await stub.CloseEndpoint(closing, timeout=CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        refused = error
    if refused is not None:
        found = [value for key, value in refused.trailing_metadata() or () if key == FAILURE_KEY]
        assert found, f"{name} ended in {refused.code()} ({refused.details()}) for {request}"
        data = found[0]
        assert isinstance(data, bytes)
        failure = agent_pb2.Failure.FromString(data)
        assert failure.code
        assert failure.message


async def test_any_call_ends_in_a_reply_or_a_typed_failure(agent: RunningAgent, open_channel: grpc.aio.Channel) -> None:
    stub = agent_pb2_grpc.AgentStub(open_channel)

    @fuzzed(60)
    @given(calls)
    def collect(one: tuple[str, Any]) -> None:
        collected.append(one)

    collected: list[tuple[str, Any]] = []
    collect()
    for name, request in collected:
        await call(stub, name, request)
    assert (await stub.Describe(agent_pb2.DescribeRequest(), timeout=CALL_SECONDS)).node == "node-1"
    assert agent.process.poll() is None
    assert "Traceback" not in agent.log.read_text()


async def test_a_message_that_is_too_large_is_refused_and_the_agent_lives_on(
    agent: RunningAgent, open_channel: grpc.aio.Channel
) -> None:
    stub = agent_pb2_grpc.AgentStub(open_channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.CloseEndpoint(agent_pb2.CloseEndpointRequest(endpoint="x" * 2**23), timeout=CALL_SECONDS)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.Describe(agent_pb2.DescribeRequest(), timeout=CALL_SECONDS)).node == "node-1"


async def test_bytes_that_are_no_message_are_refused(agent: RunningAgent, open_channel: grpc.aio.Channel) -> None:
    raw: Any = open_channel.unary_unary("/netmesh.v1.Agent/OpenEndpoint")
    with pytest.raises(grpc.aio.AioRpcError):
        await raw(b"\xff" * 100, timeout=CALL_SECONDS)
    stub = agent_pb2_grpc.AgentStub(open_channel)
    assert (await stub.Describe(agent_pb2.DescribeRequest(), timeout=CALL_SECONDS)).node == "node-1"
    assert Path(agent.log).exists()
