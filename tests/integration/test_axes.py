"""What a sweep is asked for is what it has cells of: families, tools, sizes, targets; and reasons where it cannot."""

from collections.abc import Callable

import pytest
from tests.support.cli import Controller, mean, one_sentence, sweep

from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.engines import calm
from netmesh_controller.engines.measure import AgentHandle
from netmesh_controller.lab import Lab
from netmesh_controller.mesh.fields import parse_pause

SHORT = ("--duration", "1s", "--omit", "0s")


@pytest.mark.measures
def test_qperf_and_sockperf_through_services(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(
        controller,
        shared_lab("nodes: 2"),
        *("--paths", "pod-to-service,hairpin", "--tests", "tcp-latency,udp-latency"),
        *("--tool", "qperf,sockperf", "--no-stamp", "--duration", "1s"),
        *("--pairs", "node-1:node-2,node-2:node-2"),
    )
    places = {(one.path, one.source, one.target) for one in document.cells}
    local = ("node-2", "node-2")
    assert places == {("pod-to-service", "node-1", "node-2"), ("pod-to-service", *local), ("hairpin", *local)}
    assert len(document.cells) == 2 * 2 * len(places)
    assert all(one.outcome == "measured" for one in document.cells)
    by_sockperf = [one for one in document.cells if one.parameters.instrument == "sockperf"]
    for one in by_sockperf:
        summary = one.values["round_trip_seconds"]
        assert summary is not None
        assert summary.p99 is not None
        assert summary.min is not None
        assert summary.p50 is not None
        assert summary.min <= summary.p50 <= summary.p99
        assert one.histograms["round_trip_seconds"]


@pytest.mark.measures
def test_both_families_and_a_tool_that_has_only_one(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(
        controller,
        shared_lab("nodes: 2"),
        *("--paths", "pod-to-service,host-to-host", "--family", "both"),
        *("--tests", "tcp-bandwidth,tcp-latency", "--tool", "iperf3,sockperf", "--rate", "50M", *SHORT),
        *("--pairs", "node-1:node-2,node-2:node-2"),
        code=3,
    )
    assert len({(one.path, one.source, one.target) for one in document.cells}) == 3
    gaps = {(one.parameters.instrument, one.parameters.family) for one in document.cells if one.reason is not None}
    assert gaps == {("sockperf", 6)}
    assert {one.reason.code for one in document.cells if one.reason is not None} == {"not_supported"}
    assert {one.parameters.family for one in document.cells if one.outcome == "measured"} == {4, 6}


def test_sizes_and_streams_make_an_axis_each(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(
        controller,
        shared_lab("nodes: 2"),
        *("--tests", "tcp-bandwidth,tcp-request-response", "--streams", "1,2", "--message-sizes", "64,1k"),
        *("--pairs", "node-1:node-2", "--rate", "20M", *SHORT),
    )
    bandwidth = {
        (one.parameters.streams, one.parameters.message_bytes) for one in document.cells if one.test == "tcp-bandwidth"
    }
    assert bandwidth == {(1, 64), (1, 1024), (2, 64), (2, 1024)}
    for one in document.cells:
        if one.test == "tcp-request-response":
            # One transaction at a time: the rate is the reciprocal of the round trip.
            product = mean(one, "transactions_per_second") * mean(one, "round_trip_seconds")
            assert product == pytest.approx(1, rel=0.1)


def test_sctp_is_a_typed_gap_where_the_kernel_has_none(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    document = sweep(
        controller, shared_lab("nodes: 2"), "--tests", "sctp-latency", "--pairs", "node-1:node-2", *SHORT, code=3
    )
    assert [one.reason.code for one in document.cells if one.reason is not None] == ["not_supported"]


def test_a_target_outside_of_the_mesh(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    running = shared_lab("nodes: 2")
    where = next(agent.address for agent in running.targets() if (agent.node, agent.role) == ("node-2", "peer"))
    document = sweep(
        controller,
        running,
        *("--tests", "tcp-connect", "--pairs", "node-1:node-2,node-2:node-1", *SHORT),
        *("--target", f"peer={where}:9410", "--target", f"closed={where}:9"),
        code=3,
    )
    outside = {(one.source, one.target): one for one in document.cells if one.path == "pod-to-external"}
    assert set(outside) == {("node-1", "peer"), ("node-2", "peer"), ("node-1", "closed"), ("node-2", "closed")}
    for (_, target), one in outside.items():
        if target == "peer":
            assert 0 < mean(one, "connect_seconds") < 0.1
        else:
            assert one.reason is not None
            assert one.reason.code == "refused"


def test_a_plan_with_more_traffic_than_allowed_is_refused(controller: Controller) -> None:
    answer = controller("sweep", "--lab", "2", "--tests", "udp-bandwidth", "--rate", "1G", "--max-traffic", "10M")
    assert answer.code == 2
    assert "max-traffic" in one_sentence(answer)


def test_idle_cells_have_hosts_and_no_values(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(controller, shared_lab("nodes: 2"), "--tests", "idle", "--duration", "1s")
    assert {(one.source, one.target) for one in document.cells} == {("node-1", "node-1"), ("node-2", "node-2")}
    for one in document.cells:
        assert one.values == {}
        assert one.hosts.source is not None
        assert one.hosts.source.cpu_cores is not None
        assert one.hosts.source.memory_bytes["available_min"] > 0


async def test_a_busy_node_is_waited_for_and_then_told(client: AgentClient) -> None:
    handle = AgentHandle("node-1", "pod", client, {4: "127.0.0.1"}, {}, None)
    assert await calm.pressure(handle, parse_pause("cpu > 100 %"), patience_seconds=5) is None
    reason = await calm.pressure(handle, parse_pause("memory > 0 %"), patience_seconds=0.5)
    assert reason is not None
    assert reason.code == "pressure"
    assert "memory > 0 %" in reason.message
