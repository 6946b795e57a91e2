"""A real agent process, asked over real mutual TLS, running the real tools on loopback."""

import asyncio
import dataclasses
import gc
import socket
import time
from contextlib import aclosing, suppress
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.agents import Identity, RunningAgent, new_identity

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_agent import sockets
from netmesh_common.tasks import cancelled
from netmesh_common.tls import CHANNEL_OPTIONS, Certificates, channel
from netmesh_controller.clients.agents import Accepted, AgentClient, AgentError, Opened, Spec
from netmesh_controller.clients.samples import Received
from netmesh_controller.engines.monitoring.members import Members
from netmesh_controller.engines.survey import survey
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh import hostwindow
from netmesh_controller.mesh.evidence import Side
from netmesh_controller.mesh.hostsamples import Part, Samples

TCP = Spec("tcp-bandwidth", "iperf3", 4, 1, 0, 0.1, offered_bits_per_second=200_000_000)
LATENCY = Spec("tcp-latency", "qperf", 4, 1, 0, 0.1)


async def run(client: AgentClient, group: str, spec: Spec, endpoint: Opened) -> tuple[Accepted, list[Part], Side]:
    accepted, parts, side = None, list[Part](), None
    async with aclosing(client.run_test(group, spec, "127.0.0.1", endpoint.ports, 30, batch_seconds=0.5)) as events:
        async for event in events:
            match event:
                case Accepted():
                    accepted = event
                case Received():
                    parts.append(event)
                case Side():
                    side = event
    assert accepted is not None
    assert side is not None
    return accepted, parts, side


async def gone(agent: RunningAgent, *programs: str, seconds: float = 5) -> None:
    """Waits until no process of these names is left below the agent."""

    def name(child: psutil.Process) -> str | None:
        with suppress(psutil.NoSuchProcess):
            return child.name()
        return None

    until = time.monotonic() + seconds
    while left := [child for child in agent.descendants() if name(child) in programs]:
        assert time.monotonic() < until, f"still there: {left}"
        await asyncio.sleep(0.05)


async def test_it_says_what_it_is(client: AgentClient) -> None:
    facts = await client.describe()
    assert facts["node"] == "node-1"
    assert facts["role"] == "pod"
    assert facts["addresses"] == ["127.0.0.1", "::1"]
    assert set(facts["tools"]) >= {"iperf3", "qperf"}
    assert facts["cpus"] == psutil.cpu_count()
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert facts["limits"] == {"seconds": 20, "streams": 64, "bits_per_second": 2_000_000_000}
    assert facts["line_rate_bits_per_second"] is None


async def test_health_is_served(identity: Identity, agent: RunningAgent) -> None:
    async with channel(agent.target, identity.controller()) as connection:
        stub = health_pb2_grpc.HealthStub(connection)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)  # type: ignore[attr-defined]  # made at run time
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_bandwidth_test_from_open_to_close(client: AgentClient, agent: RunningAgent) -> None:
    endpoint = await client.open_endpoint("g1", TCP, 30)
    assert sockets.listening("tcp", endpoint.ports[0])
    watched: list[Part] = []
    first = asyncio.Event()

    async def watch() -> None:
        async with aclosing(client.watch_host(endpoint.id, 0.1, batch_seconds=5)) as seen:
            async for part in seen:
                watched.append(part)
                first.set()

    watching = asyncio.create_task(watch())
    await first.wait()
    accepted, parts, side = await run(client, "g1", TCP, endpoint)
    server = await client.close_endpoint(endpoint.id, finished=True)
    await cancelled(watching)
    # Of the server's host one sample came at once, and all others with its words, up to the test's end.
    assert [len(part.moments) for part in watched] == [1]
    at_target = Samples((*watched, *server.samples))
    moments = at_target.moments.tolist()
    assert moments == sorted(set(moments))
    assert moments[0] < side.started_seconds
    assert len(moments) >= 6
    assert moments[-1] > side.started_seconds + 0.5
    assert at_target[-1].cores == psutil.cpu_count()
    assert hostwindow.cpu_cores(at_target[0], at_target[-1]) is not None
    assert side.failure is None
    assert side.values["bits_per_second"].mean == pytest.approx(200e6, rel=0.05)
    # The receiver's own account of the same seconds.
    received = server.intervals["bits_per_second"]
    assert sum(received) / len(received) == pytest.approx(side.values["bits_per_second"].mean, rel=0.1)
    assert "iperf3 -c 127.0.0.1" in accepted.command
    samples = Samples(parts)
    assert len(samples) >= 5
    # They travelled together, and are in order.
    assert len(parts) < len(samples)
    assert samples.moments.tolist() == sorted(samples.moments.tolist())
    assert np.isfinite(samples.column("tool_cpu_seconds")).any()
    assert side.congestion_control
    await gone(agent, "iperf3", "timeout")
    assert not sockets.listening("tcp", endpoint.ports[0])


async def test_a_latency_test_by_qperf(client: AgentClient, agent: RunningAgent) -> None:
    endpoint = await client.open_endpoint("g1", LATENCY, 30)
    assert len(endpoint.ports) == 2
    _, _, side = await run(client, "g1", LATENCY, endpoint)
    await client.close_endpoint(endpoint.id, finished=True)
    assert side.failure is None
    assert 1e-6 < side.values["round_trip_seconds"].mean < 0.05
    # Asked of the kernel while the test ran, since qperf does not tell.
    assert side.congestion_control == Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    await gone(agent, "qperf", "timeout")


async def test_the_lease_ends_an_endpoint(client: AgentClient, agent: RunningAgent) -> None:
    endpoint = await client.open_endpoint("g1", TCP, 0.5)
    await gone(agent, "iperf3", "timeout")
    # Its program ends by a deadline of its own at the same moment; the agent forgets the endpoint after that.
    await asyncio.sleep(1.0)
    with pytest.raises(AgentError, match="no endpoint") as refusal:
        await client.close_endpoint(endpoint.id, finished=False)
    assert refusal.value.code == "refused"
    # The place is free again.
    again = await client.open_endpoint("g2", TCP, 5)
    await client.close_endpoint(again.id, finished=False)


async def test_a_stream_that_is_left_before_its_end_leaves_no_connection(
    identity: Identity, agent: RunningAgent
) -> None:
    """Without the collector's help: a soak of sweeps had dozens of them open."""

    def connections() -> int:
        seen = psutil.Process(agent.process.pid).net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == agent.port for one in seen)

    gc.disable()
    try:
        client = AgentClient(agent.target, identity.controller())
        async with aclosing(client.watch_host("", 0.1)) as samples:
            await anext(samples)
        assert connections() == 1
        await client.close()
        async with asyncio.timeout(10):
            while connections():
                await asyncio.sleep(0.05)
    finally:
        gc.enable()


async def test_cancelling_ends_the_tool(client: AgentClient, agent: RunningAgent) -> None:
    long = dataclasses.replace(TCP, duration_seconds=15)
    endpoint = await client.open_endpoint("g1", long, 30)
    events = client.run_test("g1", long, "127.0.0.1", endpoint.ports, 30)
    async for event in events:
        if isinstance(event, Received):
            break
    assert [child for child in agent.descendants() if child.name() == "iperf3"]
    await events.aclose()
    await client.close_endpoint(endpoint.id, finished=False)
    await gone(agent, "iperf3", "timeout")


async def test_a_controller_that_vanishes_leaves_nothing_behind(identity: Identity, agent: RunningAgent) -> None:
    vanishing = AgentClient(agent.target, identity.controller())
    long = dataclasses.replace(TCP, duration_seconds=15)
    endpoint = await vanishing.open_endpoint("g1", long, 2)
    events = vanishing.run_test("g1", long, "127.0.0.1", endpoint.ports, 30)
    async for event in events:
        if isinstance(event, Received):
            break
    await vanishing.close()
    with pytest.raises((AgentError, asyncio.CancelledError)):
        await anext(events)
    await gone(agent, "iperf3", "timeout", seconds=10)


async def test_one_group_runs_and_one_waits(client: AgentClient) -> None:
    first = await client.open_endpoint("g1", TCP, 30)
    ahead = await client.open_endpoint("g2", TCP, 30)
    with pytest.raises(AgentError, match="holds endpoints for g2") as refusal:
        await client.open_endpoint("g3", TCP, 30)
    assert refusal.value.code == "busy"
    with pytest.raises(AgentError) as refusal:
        await run(client, "g2", TCP, ahead)
    assert refusal.value.code == "busy"
    await client.close_endpoint(first.id, finished=False)
    _, _, side = await run(client, "g2", TCP, ahead)
    assert side.failure is None
    await client.close_endpoint(ahead.id, finished=True)


async def test_a_stranger_that_connects_and_leaves_costs_the_attempt_not_the_agent(
    client: AgentClient, agent: RunningAgent
) -> None:
    endpoint = await client.open_endpoint("g1", TCP, 30)
    with socket.create_connection(("127.0.0.1", endpoint.ports[0])):
        pass
    await gone(agent, "iperf3")
    _, _, side = await run(client, "g1", TCP, endpoint)
    assert side.failure is not None
    assert side.failure.code == "refused"
    server = await client.close_endpoint(endpoint.id, finished=False)
    assert server.failure is not None
    again = await client.open_endpoint("g1/2", TCP, 30)
    _, _, side = await run(client, "g1/2", TCP, again)
    assert side.failure is None
    await client.close_endpoint(again.id, finished=True)


async def test_a_silent_stranger_ends_in_a_timeout_not_a_hang(client: AgentClient, agent: RunningAgent) -> None:
    endpoint = await client.open_endpoint("g1", TCP, 30)
    with socket.create_connection(("127.0.0.1", endpoint.ports[0])):
        _, _, side = await run(client, "g1", TCP, endpoint)
    assert side.failure is not None
    assert side.failure.code == "timeout"
    await client.close_endpoint(endpoint.id, finished=False)
    await gone(agent, "iperf3", "timeout")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"duration_seconds": 0}, "refused", "duration_seconds"),
        ({"duration_seconds": 21}, "refused", "duration_seconds"),
        ({"omit_seconds": 20}, "refused", "duration_seconds"),
        ({"streams": 65}, "refused", "streams"),
        ({"streams": 0}, "refused", "streams"),
        ({"interval_seconds": float("nan")}, "refused", "interval_seconds"),
        ({"offered_bits_per_second": 3_000_000_000}, "refused", "offered_bits_per_second"),
        ({"offered_bits_per_second": None}, "refused", "offered_bits_per_second"),
        ({"family": 5}, "refused", "family"),
        ({"instrument": "netcat"}, "not_supported", "instrument"),
        ({"offered_per_second": 10}, "rate_not_supported", "offered_per_second"),
        ({"instrument": "qperf", "offered_bits_per_second": 10}, "rate_not_supported", "offered_bits_per_second"),
        ({"test": "tcp-gossip"}, "not_supported", "test"),
    ],
)
async def test_what_the_agent_does_not_allow_is_refused_by_field(
    client: AgentClient, changes: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(AgentError) as refusal:
        await client.open_endpoint("g1", dataclasses.replace(TCP, **changes), 30)  # type: ignore[arg-type]  # fields by name
    assert refusal.value.code == code
    assert refusal.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize("target", ["localhost", "::1", "", "127.0.0.1;reboot"])
async def test_a_target_that_is_no_address_of_the_family_is_refused(client: AgentClient, target: str) -> None:
    events = client.run_test("g1", TCP, target, (61863,), 10)
    with pytest.raises(AgentError, match="target_address"):
        await anext(events)


async def test_what_an_earlier_term_opened_is_ended_at_once(identity: Identity, agent: RunningAgent) -> None:
    """A controller that was killed leaves both places of an agent taken, for as long as its leases last."""
    earlier, later = (AgentClient(agent.target, identity.controller(), term=term) for term in (1, 2))
    try:
        opened = [await earlier.open_endpoint(group, TCP, 60) for group in ("g1", "g2")]
        with pytest.raises(AgentError, match="measur"):
            await earlier.open_endpoint("g3", TCP, 60)
        await earlier.close()
        await later.describe()
        await gone(agent, "iperf3", "timeout")
        assert not any(sockets.listening("tcp", one.ports[0]) for one in opened)
        endpoint = await later.open_endpoint("g3", TCP, 60)
        # The same term ends nothing.
        await later.describe()
        _, _, side = await run(later, "g3", TCP, endpoint)
        assert side.failure is None
        await later.close_endpoint(endpoint.id, finished=True)
    finally:
        await earlier.close()
        await later.close()


async def test_an_older_term_is_refused(identity: Identity, agent: RunningAgent) -> None:
    newer, older = (AgentClient(agent.target, identity.controller(), term=term) for term in (2, 1))
    await newer.describe()
    with pytest.raises(AgentError, match="term 1 is over"):
        await older.describe()
    await newer.describe()
    await newer.close()
    await older.close()


@pytest.mark.parametrize(("node", "role", "other"), [("node-2", "pod", "node"), ("node-1", "peer", "role")])
async def test_an_agent_at_the_address_of_another_is_not_taken_for_it(
    identity: Identity, agent: RunningAgent, node: str, role: str, other: str
) -> None:
    """As where a pod's address has become another pod's."""
    located = [Located(agent.target, node, role)]
    found = await survey(located, identity.controller(), idle_seconds=0)
    assert found.agents == {}
    assert found.unreachable[node].code == "refused"
    assert f"says that its {other} is" in found.unreachable[node].message

    async def locate() -> list[Located]:
        return located

    looked = await Members(Source(locate, identity.controller, {}), term=1).look()
    # Peers take no part in monitoring, whatever they say.
    assert {name: reason.code for name, (_, reason) in looked.missing.items()} == (
        {node: "refused"} if role == "pod" else {}
    )
    assert looked.members == {}


async def refused_call(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    make = grpc.aio.insecure_channel(address) if credentials is None else None
    async with make or grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS) as connection:  # type: ignore[arg-type]  # one of both is there
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await agent_pb2_grpc.AgentStub(connection).Describe(agent_pb2.DescribeRequest(), timeout=3)
    return refusal.value.code()


async def test_strangers_get_nothing(identity: Identity, agent: RunningAgent, tmp_path: Path) -> None:
    ca = identity.controller().ca
    other = new_identity(tmp_path / "other").controller()
    own = Certificates.read(identity.agent)
    unreachable = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert await refused_call(agent.target, None) in unreachable
    assert await refused_call(agent.target, grpc.ssl_channel_credentials(ca)) in unreachable
    foreign = grpc.ssl_channel_credentials(ca, other.key, other.chain)
    assert await refused_call(agent.target, foreign) in unreachable
    # An agent's own certificate is for serving only.
    assert await refused_call(agent.target, grpc.ssl_channel_credentials(ca, own.key, own.chain)) in unreachable


async def test_a_controller_of_another_authority_is_told_so(agent: RunningAgent, tmp_path: Path) -> None:
    client = AgentClient(agent.target, new_identity(tmp_path / "other").controller())
    with pytest.raises(AgentError, match="TLS handshake"):
        await client.describe()
    await client.close()


async def test_sigterm_ends_tests_and_servers(identity: Identity, agent: RunningAgent) -> None:
    client = AgentClient(agent.target, identity.controller())
    long = dataclasses.replace(TCP, duration_seconds=15)
    endpoint = await client.open_endpoint("g1", long, 30)
    events = client.run_test("g1", long, "127.0.0.1", endpoint.ports, 30)
    async for event in events:
        if isinstance(event, Received):
            break
    below = agent.descendants()
    agent.process.terminate()
    with pytest.raises(AgentError) as lost:
        async for _ in events:
            pass
    assert lost.value.lost
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
    assert agent.process.wait(10) == 0
    await client.close()


async def test_a_slow_handshake_is_waited_for(client: AgentClient, identity: Identity, agent: RunningAgent) -> None:
    """A busy machine takes a while for a handshake; giving it up after 0.2 s made gaps of healthy agents."""
    host, _, port = agent.target.rpartition(":")
    opened, ended = 0, asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await asyncio.sleep(0.6)
        onward, back = await asyncio.open_connection(host.strip("[]"), int(port))

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(2**16):
                    target.write(data)
            target.close()

        await asyncio.gather(pass_on(reader, back), pass_on(onward, writer))
        await asyncio.gather(back.wait_closed(), writer.wait_closed(), return_exceptions=True)
        ended.set()

    async with await asyncio.start_server(slowly, "127.0.0.1", 0) as server:
        slow = AgentClient(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", identity.controller())
        assert (await slow.describe())["node"] == (await client.describe())["node"]
        await slow.close()
        async with asyncio.timeout(20):
            await ended.wait()
    assert opened == 1
