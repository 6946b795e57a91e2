"""Starvation in a lab: what a throttled process timed is discarded with its reason, and what it carried is marked."""

import sys
from collections.abc import Callable

import pytest
from tests.controller.lab.support import Pod
from tests.support.cli import Controller, cell, mean

from netmesh_controller.lab import Lab, load_spec, set_lab


@pytest.mark.measures
def test_a_throttled_pods_latency_is_discarded_and_its_bandwidth_marked(
    controller: Controller, lab: Callable[[str], Lab]
) -> None:
    running = lab("nodes: 2")
    # Once its agent is up: it is little to start with.
    set_lab(running.name, load_spec("nodes: 2\npods: {node-2: {cpu: 0.05}}"))
    answer = controller(
        *("sweep", "--lab", running.name, "--format", "json", "--pairs", "node-1:node-2", "--duration", "3s"),
        *("--tests", "tcp-bandwidth,tcp-latency,udp-latency", "--tool", "iperf3,qperf,stamp"),
        *("--rate", "100M", "--omit", "0s"),
    )
    assert answer.code == 3, answer.stderr
    document = answer.document()
    latency = cell(document, "node-1", "node-2", "tcp-latency")
    assert latency.outcome == "discarded"
    assert latency.reason is not None
    assert latency.reason.code == "starved"
    assert latency.reason.message.startswith("node-2: its CPU limit")
    assert latency.witness is not None
    assert latency.witness.verdict == "starved"
    assert latency.witness.figures["target.throttled"] > 0.3
    # It keeps its values; the matrix holds the reason.
    kept = latency.values["round_trip_seconds"]
    assert kept is not None
    assert kept.mean > 0
    matrix = next(one for one in document.matrices if one.value == "round_trip_seconds" and one.test == "tcp-latency")
    assert {entry for row in matrix.values for entry in row} == {None}
    assert "starved" in {entry for row in matrix.reasons for entry in row}
    bandwidth = cell(document, "node-1", "node-2", "tcp-bandwidth", instrument="iperf3")
    assert mean(bandwidth, "bits_per_second") > 0
    assert bandwidth.witness is not None
    assert bandwidth.witness.verdict in ("healthy", "marked")
    assert bandwidth.hosts.source is not None
    assert bandwidth.hosts.source.throttled_seconds == 0
    # The kernels' times stay those of the network, though the reflector is the agent that stands still.
    by_kernel = cell(document, "node-1", "node-2", "udp-latency", instrument="stamp")
    assert by_kernel.witness is not None
    assert by_kernel.witness.verdict == "marked"
    assert "throttled" in by_kernel.witness.signs
    network, process = (by_kernel.values[name] for name in ("network_round_trip_seconds", "round_trip_seconds"))
    assert network is not None
    assert process is not None
    assert network.p50 is not None
    assert network.p50 < 0.001
    assert process.mean > 20 * network.mean


@pytest.mark.measures
def test_traffic_of_others_on_the_device_is_told_at_the_end_that_carries_it(
    controller: Controller, lab: Callable[[str], Lab]
) -> None:
    running = lab("nodes: 2")
    source, elsewhere = Pod(running, 1), Pod(running, 2, "peer")
    sink = elsewhere.udp()
    flood = source.start(sys.executable, "-c", FLOOD, *map(str, sink.getsockname()[:2]))
    try:
        answer = controller(
            *("sweep", "--lab", running.name, "--format", "json", "--pairs", "node-1:node-2", "--duration", "2s"),
            *("--tests", "tcp-latency,tcp-bandwidth", "--rate", "50M", "--omit", "0s"),
        )
    finally:
        flood.kill()
        flood.communicate()
        sink.close()
    document = answer.document()
    for test in ("tcp-latency", "tcp-bandwidth"):
        seen = cell(document, "node-1", "node-2", test).witness
        assert seen is not None
        assert seen.figures["source.other_traffic"] > 2e6
        # It goes to another pod of the target's node, and not by the target's device.
        assert "target.other_traffic" not in seen.figures


# 80 Mbit/s in datagrams of 1,000 bytes: 100 each 10 ms.
FLOOD = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
due = time.monotonic()
while True:
    for _ in range(100):
        sock.send(bytes(1000))
    due = max(due + 0.01, time.monotonic() - 0.1)
    time.sleep(max(0.0, due - time.monotonic()))
"""
