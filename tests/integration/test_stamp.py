"""STAMP through a real agent over gRPC, and through a whole sweep of a lab."""

import asyncio
import dataclasses
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing, suppress
from multiprocessing import get_context
from pathlib import Path

import psutil
import pytest
from tests.support.agents import Identity, RunningAgent, running_agent
from tests.support.cli import Controller, cell, mean, sweep
from tests.support.lab import run_in

from netmesh_agent.histogram import percentile
from netmesh_agent.stamp import packets
from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient, AgentError, Opened, Spec, close_all
from netmesh_controller.clients.stamp import ProbePeer, Probing, StampSession
from netmesh_controller.engines.reach import service_ready
from netmesh_controller.lab import Lab, exec_argv, namespaces
from netmesh_controller.lab.addressing import fabric_namespace
from netmesh_controller.mesh.document import Cell, Reason
from netmesh_controller.mesh.evidence import Side

STAMP = Spec("udp-latency", "stamp", 4, 1, 0, 0.1, offered_per_second=400)
KEY = b"a key that nobody else may read!"


@pytest.fixture
def reflecting(identity: Identity, tmp_path: Path) -> Iterator[RunningAgent]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_agent(identity, tmp_path, port=port, options=("--stamp-port", "0")) as running:
        yield running


@pytest.fixture
async def asked(identity: Identity, reflecting: RunningAgent) -> AsyncIterator[AgentClient]:
    connection = AgentClient(reflecting.target, identity.controller())
    yield connection
    await connection.close()


async def run(client: AgentClient, spec: Spec, endpoint: Opened, session: StampSession) -> Side:
    told = dataclasses.replace(session, ssid=endpoint.ssid)
    sides = []
    async with aclosing(client.run_test("g1", spec, "127.0.0.1", endpoint.ports, 30, told)) as events:
        async for event in events:
            if isinstance(event, Side):
                sides.append(event)
    assert len(sides) == 1
    return sides[0]


async def answers(port: int, packet: bytes, *, seconds: float = 0.3) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(packet, ("127.0.0.1", port))
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2048), seconds)
        except TimeoutError:
            return False
        return True


async def test_a_session_comes_and_goes_over_grpc_and_its_key_is_nowhere(
    asked: AgentClient, reflecting: RunningAgent
) -> None:
    session = StampSession(peers=("127.0.0.1",), key=KEY, same_clock=True)
    endpoint = await asked.open_endpoint("g1", STAMP, 30, session)
    assert (await asked.describe())["stamp_port"] == endpoint.ports[0]
    request = packets.Request(0, 1, 0x0101, endpoint.ssid)
    assert not await answers(endpoint.ports[0], packets.encode_request(request))
    assert not await answers(endpoint.ports[0], packets.encode_request(request, key=b"x" * 32))
    assert await answers(endpoint.ports[0], packets.encode_request(request, key=KEY), seconds=20)

    running = asyncio.create_task(run(asked, STAMP, endpoint, session))
    seen: list[str] = []
    while not running.done():
        for child in reflecting.descendants():
            with suppress(psutil.NoSuchProcess):
                seen += child.cmdline()
        await asyncio.sleep(0.05)
    side = await running
    server = await asked.close_endpoint(endpoint.id, finished=True)
    assert side.failure is None, side.failure
    # Of a machine that stands still for 2 s answers are late, and so lost; on the way nothing is.
    assert side.values["forward_loss_ratio"].mean == side.values["return_loss_ratio"].mean == 0
    assert side.values["forward_delay_seconds"].count == side.values["network_round_trip_seconds"].count > 0
    assert server.reported["reflected"] >= side.reported["sent"]
    assert "--authenticated" in seen
    told = [*seen, side.command, server.command, str(side), str(server), reflecting.log.read_text(), repr(session)]
    for text in told:
        assert KEY.decode() not in text
        assert KEY.hex() not in text
    assert not await answers(endpoint.ports[0], packets.encode_request(request, key=KEY))


async def test_a_session_ends_with_its_lease(asked: AgentClient) -> None:
    endpoint = await asked.open_endpoint("g1", STAMP, 3, StampSession())
    request = packets.encode_request(packets.Request(0, 1, 0x0101, endpoint.ssid))
    assert await answers(endpoint.ports[0], request, seconds=20)
    # The controller is gone: nobody closes it.
    async with asyncio.timeout(20):
        while await answers(endpoint.ports[0], request):
            await asyncio.sleep(0.05)
    with pytest.raises(AgentError, match="no endpoint"):
        await asked.close_endpoint(endpoint.id, finished=False)


@pytest.mark.parametrize(
    ("instrument", "session", "field"),
    [
        ("stamp", None, "stamp"),
        ("qperf", StampSession(), "stamp"),
        ("stamp", StampSession(key=b"short"), "stamp.key"),
        ("stamp", StampSession(peers=("node-1",)), "stamp.peers"),
    ],
)
async def test_a_session_that_cannot_be_is_refused_by_field(
    asked: AgentClient, instrument: str, session: StampSession | None, field: str
) -> None:
    spec = dataclasses.replace(STAMP, instrument=instrument, offered_per_second=None if instrument == "qperf" else 400)
    with pytest.raises(AgentError) as refused:
        await asked.open_endpoint("g1", spec, 10, session)
    assert refused.value.code == "refused"
    assert refused.value.message.startswith(f"{field}: ")


def p50(one: Cell, value: str) -> float:
    summary = one.values[value]
    assert summary is not None
    assert summary.p50 is not None
    return summary.p50


def test_a_sweep_by_stamp_on_all_kinds_of_paths(controller: Controller, lab: Callable[[str], Lab]) -> None:
    """The path's known 4 ms one way, and a fifth lost on the way from node-1 to node-2, are where they belong."""
    running = lab("nodes: 2\npairs: [{from: node-1, to: node-2, delay: 4ms}]")
    agents = {(agent.node, agent.role): agent for agent in running.targets()}
    source, target = agents["node-1", "pod"], agents["node-2", "pod"]
    # Where datagrams arrive, behind the relay: a drop at their sender would be told to it.
    rule = (
        f"iptables -w -A FORWARD -p udp -s {source.address} -d {target.address} --dport 61862 -m statistic --mode nth"
    )
    run_in(running, "node-2", "host", *f"{rule} --every 5 --packet 0 -j DROP".split())
    document = sweep(
        controller,
        running,
        *("--tests", "udp-latency", "--tool", "stamp", "--paths", "pod-to-pod,pod-to-service,hairpin,host-to-host"),
        *("--message-rate", "500", "--duration", "1s", "--omit", "0s"),
    )
    assert {(one.path, one.source == one.target) for one in document.cells} == {
        *(("pod-to-pod", True), ("pod-to-pod", False), ("pod-to-service", True), ("pod-to-service", False)),
        *(("hairpin", True), ("host-to-host", False)),
    }
    for one in document.cells:
        remote = one.source != one.target
        there = one.source == "node-1" and remote
        assert one.parameters.instrument == "stamp"
        assert one.parameters.offered_per_second == 500
        network, whole = p50(one, "network_round_trip_seconds"), p50(one, "round_trip_seconds")
        assert 0 < network < whole
        # One clock on one machine: ways are told apart without an error.
        assert one.tool.reported["one_way_error_seconds"] == 0
        assert one.tool.reported["kernel_stamps"] == 4, (one.path, one.source, one.target, one.tool.raw)
        # Of means, not of medians: those of two ways need not add up to that of both.
        ways = mean(one, "forward_delay_seconds") + mean(one, "return_delay_seconds")
        assert ways == pytest.approx(mean(one, "network_round_trip_seconds"), rel=0.02)
        if remote:
            slow, fast = ("forward", "return") if there else ("return", "forward")
            assert 0.0037 < p50(one, f"{slow}_delay_seconds") < 0.012
            assert p50(one, f"{fast}_delay_seconds") < 0.002
        lossy = there and one.path in ("pod-to-pod", "pod-to-service")
        losses = {name: one.values[name] for name in one.values if name.endswith(("loss_ratio", "late_packets"))}
        said = (one.path, one.source, one.target, losses, one.tool.reported, one.witness)
        assert mean(one, "loss_ratio") == pytest.approx(0.2 if lossy else 0, abs=0.01), said
        assert mean(one, "return_loss_ratio") == 0
        # All that was lost was lost there; but where the last probe of a port went, no answer tells.
        sent = one.tool.reported["sent"]
        untold = sent * (mean(one, "loss_ratio") - mean(one, "forward_loss_ratio"))
        assert -0.5 < untold < (16.5 if lossy else 0.5), said
        # Each source port may take a way of its own: its counts add up to the cell's.
        assert len(one.tool.source_ports) == 16
        assert sum(port.sent for port in one.tool.source_ports) == one.tool.reported["sent"] > 200
        # Where the machine was busy, the sender says how many of its 500 it could not send in their time.
        assert one.tool.reported["sent"] + one.tool.reported["not_sent_in_time"] == pytest.approx(
            500 * one.tool.reported["seconds"], abs=25
        )
        assert sum(port.lost for port in one.tool.source_ports) == pytest.approx(
            mean(one, "loss_ratio") * one.tool.reported["sent"]
        )
        summary = one.values["network_round_trip_seconds"]
        assert summary is not None
        assert summary.max is not None
        longest = percentile(one.histograms["network_round_trip_seconds"], 100)
        assert longest == pytest.approx(summary.max * 1e9, rel=1e-3)
        assert one.tool.reported["reflector_socket_drops"] == 0
        assert one.tool.command_target is not None
        assert "61862" in one.tool.command_target
    values = {matrix.value for matrix in document.matrices}
    assert values >= {"network_round_trip_seconds", "host_seconds", "forward_loss_ratio", "late_packets"}


def test_udp_latency_has_stamp_beside_its_tool_unless_refused(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    running = shared_lab("nodes: 2")
    options = ("--tests", "udp-latency", "--duration", "1s", "--omit", "0s", "--pairs", "node-1:node-2")
    both = sweep(controller, running, *options, "--family", "6")
    assert {one.parameters.instrument for one in both.cells} == {"qperf", "stamp"}
    by_stamp = cell(both, "node-1", "node-2", "udp-latency", instrument="stamp")
    by_qperf = cell(both, "node-1", "node-2", "udp-latency", instrument="qperf")
    assert by_stamp.parameters.family == 6
    # The network's share is the smaller part of what processes see.
    assert p50(by_stamp, "network_round_trip_seconds") < mean(by_qperf, "round_trip_seconds")
    assert "network_round_trip_seconds" not in by_qperf.values
    alone = sweep(controller, running, *options, "--no-stamp")
    assert {one.parameters.instrument for one in alone.cells} == {"qperf"}
    # What STAMP cannot send it is not asked for, where nobody named it.
    small = sweep(controller, running, *options, "--message-sizes", "64")
    assert {one.parameters.instrument for one in small.cells} == {"qperf"}
    named = sweep(controller, running, *options, "--message-sizes", "64", "--tool", "stamp", code=3)
    assert [one.reason.code for one in named.cells if one.reason is not None] == ["not_supported"]
    text = controller("sweep", "--lab", running.name, *options, "--tool", "stamp", "--message-rate", "200")
    assert text.code == 0, text.stderr
    assert "network round trip" in text.stdout
    assert "in the hosts" in text.stdout


def test_a_reflector_outside_of_the_mesh(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    """Any standard reflector, asked without a session identifier."""
    running = shared_lab("nodes: 2")
    place = next(agent for agent in running.targets() if (agent.node, agent.role) == ("node-2", "peer")).address
    reflect = [sys.executable, "-m", "netmesh_agent.stamp.measure", "reflect", "--ssid", "0"]
    command = exec_argv(running.name, "node-2", "peer", [*reflect, "--address", place, "--port", "862"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reflector:
        try:
            document = sweep(
                controller,
                running,
                *("--tests", "udp-latency", "--tool", "stamp", "--duration", "1s", "--pairs", "node-1:node-2"),
                *("--target", f"router={place}:862", "--target", f"nobody={place}:863"),
                code=3,
            )
        finally:
            reflector.terminate()
    outside = {one.target: one for one in document.cells if one.path == "pod-to-external"}
    assert p50(outside["router"], "network_round_trip_seconds") > 0
    assert mean(outside["router"], "loss_ratio") == 0
    reason = outside["nobody"].reason
    assert reason is not None
    assert reason.code == "unreachable"


async def test_agents_probe_each_other_all_the_time_over_grpc(asked: AgentClient) -> None:
    session = StampSession(77, ("127.0.0.1",), KEY)
    port = (await asked.describe())["stamp_port"]
    peers = (ProbePeer("127.0.0.1", port, 77, KEY, same_clock=True), ProbePeer("127.0.0.9", port, 77))
    probing = Probing(3, peers, (session,), interval_seconds=0.1, timeout_seconds=0.3, window_seconds=0.5)
    instance, told_port = await asked.configure_probing(probing)
    assert told_port == port
    reports = []
    async with asyncio.timeout(20), aclosing(asked.watch_probes()) as told:
        async for report in told:
            reports.append(report)
            if len(reports) == 4:
                break
    assert [report.window for report in reports] == [1, 2, 3, 4]
    assert {(report.version, report.instance) for report in reports} == {(3, instance)}
    # A column that is 0 throughout is empty: a short first window may have settled one peer's probes only.
    rows = [[tuple(column) or (0, 0) for column in (one.sent, one.lost, one.measured)] for one in reports]
    assert sum(sent[0] for sent, _, _ in rows) == sum(measured[0] for _, _, measured in rows) > 5
    # Nobody answers there.
    assert sum(lost[1] for _, lost, _ in rows) > 5
    assert all(lost[1] == sent[1] for sent, lost, _ in rows)
    # The window's witness: what the host and the agent's own process did meanwhile.
    assert all(report.host.monotonic_nanoseconds and report.host.cpus for report in reports)
    # It goes on while nobody reads, and a reader goes on where it was.
    await asyncio.sleep(1.1)
    async with asyncio.timeout(20), aclosing(asked.watch_probes(instance, 4)) as told:
        async for report in told:
            assert report.window == 5
            break
    # A test of its own runs beside it.
    endpoint = await asked.open_endpoint("g1", STAMP, 30, StampSession())
    side = await run(asked, STAMP, endpoint, StampSession())
    assert side.failure is None
    assert side.values["forward_loss_ratio"].mean == side.values["return_loss_ratio"].mean == 0
    await asked.close_endpoint(endpoint.id, finished=True)


def test_a_service_is_waited_for(controller: Controller, lab: Callable[[str], Lab]) -> None:
    """Through a Service's address once its rules are there; without them the reason says so."""
    running = lab("nodes: 2")
    agents = {(agent.node, agent.role): agent for agent in running.targets()}
    source, target = agents["node-1", "pod"], agents["node-2", "pod"]
    certificates = str(running.certificates / "controller")
    targets = [f"{agent.address}:{agent.port}" for agent in (source, target)]
    # The lab is reached from inside only: by a process that has not yet started gRPC elsewhere.
    with ProcessPoolExecutor(1, get_context("spawn")) as inside:

        def ready(seconds: float) -> Reason | None:
            assert target.service is not None
            return inside.submit(ask_in, running.name, certificates, targets, target.service, seconds).result(60)

        assert ready(5) is None
        rule = f"iptables -w -t raw -I PREROUTING -p udp -d {target.service} -j DROP"
        run_in(running, "node-1", "host", *rule.split())
        blocked = ready(1)
    assert blocked is not None
    assert blocked.code == "service_not_ready"
    assert str(target.service) in blocked.message


def ask_in(lab: str, certificates: str, targets: list[str], service: str, seconds: float) -> Reason | None:
    """Waits for a Service from within a lab's network."""
    namespaces.enter(fabric_namespace(lab))

    async def asking() -> Reason | None:
        source, target = (AgentClient(address, Certificates.read(Path(certificates))) for address in targets)
        try:
            return await service_ready(source, target, service, timeout_seconds=seconds)
        finally:
            await close_all([source, target])

    return asyncio.run(asking())
