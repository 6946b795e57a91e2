"""Sweeps of labs with a known truth: what is measured is what the shaping allows, on every path at once."""

import math
from collections.abc import Callable
from datetime import datetime

import pytest
from tests.support.cli import Controller, cell, mean, sweep
from tests.support.lab import run_in

from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import Cell

pytestmark = pytest.mark.measures

MBIT = 1e6
# tbf counts Ethernet frames without preamble and gap: 1448 bytes of data (MTU 1500, TCP timestamps) in 1514.
TCP_SHARE = 1448 / 1514


def test_every_remote_cell_is_within_two_per_cent_of_its_link(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    rates = {"node-1": 100, "node-2": 200, "node-3": 400, "node-4": 800}
    links = ", ".join(f"{node}: {{rate: {rate}M}}" for node, rate in rates.items())
    # By cubic, which keeps the shaper's queue filled: a sender that waits for a core does not leave the link idle.
    options = ("--tests", "tcp-bandwidth", "--duration", "2s", "--congestion", "cubic")
    document = sweep(controller, shared_lab(f"nodes: 4\nlinks: {{{links}}}"), *options)
    assert document.run.state == "complete"
    assert len(document.cells) == 16
    for one in document.cells:
        if one.source == one.target:
            assert mean(one, "bits_per_second") > 0
            continue
        allowed = min(rates[one.source], rates[one.target]) * MBIT * TCP_SHARE
        assert mean(one, "bits_per_second") == pytest.approx(allowed, rel=0.02), (one.source, one.target)


def test_two_pairs_of_one_gigabit_at_the_same_time(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    links = ", ".join(f"node-{number}: {{rate: 1G}}" for number in range(1, 5))
    document = sweep(
        controller,
        shared_lab(f"nodes: 4\nlinks: {{{links}}}"),
        *("--tests", "tcp-bandwidth", "--duration", "3s", "--pairs", "node-1:node-2,node-3:node-4"),
    )
    first = cell(document, "node-1", "node-2", "tcp-bandwidth")
    second = cell(document, "node-3", "node-4", "tcp-bandwidth")
    for one in (first, second):
        assert mean(one, "bits_per_second") == pytest.approx(1e9 * TCP_SHARE, rel=0.02)
    assert overlap_seconds(first, second) > 3


def overlap_seconds(first: Cell, second: Cell) -> float:
    spans = []
    for one in (first, second):
        assert one.started_at is not None
        assert one.duration_seconds is not None
        began = datetime.fromisoformat(one.started_at).timestamp()
        spans.append((began, began + one.duration_seconds))
    return min(end for _, end in spans) - max(start for start, _ in spans)


def test_loss_is_seen_where_it_is_and_nowhere_else(controller: Controller, lab: Callable[[str], Lab]) -> None:
    """Every 50th of one pair's datagrams; smaller ones are iperf3's unprotected handshake, and are left alone."""
    probability = 0.02
    running = lab("nodes: 3")
    target = next(agent.address for agent in running.targets() if (agent.node, agent.role) == ("node-2", "pod"))
    rule = "iptables -w -A FORWARD -p udp -d {} -m length --length 100:65535 -m statistic --mode nth "
    rule += "--every 50 --packet 0 -j DROP"
    run_in(running, "node-1", "host", *rule.format(target).split())
    document = sweep(controller, running, "--tests", "udp-bandwidth", "--rate", "20M", "--duration", "2s")
    assert len(document.cells) == 9
    for one in document.cells:
        lost = mean(one, "loss_ratio")
        if (one.source, one.target) != ("node-1", "node-2"):
            assert lost == 0, (one.source, one.target)
            continue
        # The draw has no chance in it, so that the figure may be off by what is lost after the last arrival only:
        # far inside the binomial 99 % interval of as many datagrams (± 0.6 %).
        datagrams = 20e6 * 2 / 8 / 1448
        assert lost == pytest.approx(probability, abs=3 / datagrams)
        assert 3 / datagrams < 2.576 * math.sqrt(probability * (1 - probability) / datagrams)
        # What the receiver got is what was sent less what was lost.
        assert mean(one, "bits_per_second") == pytest.approx(20e6 * (1 - lost), rel=0.01)


def test_both_directions_at_once_and_one_after_the_other(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    running = shared_lab("nodes: 2\nlinks: {node-1: {rate: 200M}, node-2: {rate: 200M}}")
    # Not by the machine's default: where that is bbr, one direction takes the link and the other is left a part of it.
    options = ("--tests", "tcp-bandwidth", "--duration", "2s", "--bidirectional", "--congestion", "cubic")
    document = sweep(controller, running, *options)
    there = cell(document, "node-1", "node-2", "tcp-bandwidth", direction="bidirectional")
    back = cell(document, "node-2", "node-1", "tcp-bandwidth", direction="bidirectional")
    for one in (there, back):
        # Acknowledgements of the other direction take 2.3 % of the link, and the queue that both share may lose some.
        rate = mean(one, "bits_per_second")
        assert 0.85 * 200e6 * TCP_SHARE < rate < 1.01 * 200e6 * TCP_SHARE
        host = one.hosts.target
        assert host is not None
        assert host.window_seconds is not None
        counted = host.device["received_bytes"]
        assert isinstance(counted, int)
        assert 0.9 * rate < counted * 8 / host.window_seconds < 1.15 * rate
    assert overlap_seconds(there, back) > 2.5
    assert len({(one.source, one.target) for one in document.cells}) == 4


def test_qperf_and_iperf3_agree_on_a_link(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    running = shared_lab("nodes: 2\nlinks: {node-1: {rate: 200M}}")
    pair = ("--pairs", "node-1:node-2", "--duration", "3s")
    by_iperf3 = sweep(controller, running, "--tests", "tcp-bandwidth", "--rate", "100M", *pair)
    by_qperf = sweep(
        controller,
        running,
        *("--tests", "tcp-bandwidth,udp-bandwidth,tcp-latency,udp-latency"),
        *("--no-stamp", "--tool", "qperf", "--rate", "unlimited", *pair),
    )
    tcp = cell(by_qperf, "node-1", "node-2", "tcp-bandwidth")
    # qperf has no omit: the bucket's burst, and a slow start, are in its figure.
    assert mean(tcp, "bits_per_second") == pytest.approx(200e6 * TCP_SHARE, rel=0.03)
    paced = cell(by_iperf3, "node-1", "node-2", "tcp-bandwidth")
    assert mean(paced, "bits_per_second") == pytest.approx(100e6, rel=0.02)
    udp = cell(by_qperf, "node-1", "node-2", "udp-bandwidth")
    assert udp.parameters.message_bytes == 1472
    assert mean(udp, "bits_per_second") == pytest.approx(200e6 * 1472 / 1514, rel=0.03)
    assert udp.values["jitter_seconds"] is None
    for test in ("tcp-latency", "udp-latency"):
        assert 0 < mean(cell(by_qperf, "node-1", "node-2", test), "round_trip_seconds") < 0.02


def test_what_a_test_costs_is_that_of_its_processes(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    """The tool's own CPU agrees with what iperf3 says of itself (getrusage(2)); the device counted the bytes."""
    running = shared_lab("nodes: 2\nlinks: {node-1: {rate: 500M}}")
    document = sweep(
        controller,
        running,
        *("--tests", "tcp-bandwidth", "--duration", "4s", "--pairs", "node-1:node-2", "--max-concurrent", "1"),
    )
    one = cell(document, "node-1", "node-2", "tcp-bandwidth")
    source, target = one.hosts.source, one.hosts.target
    assert source is not None
    assert target is not None
    assert source.tool_cpu_cores == pytest.approx(one.tool.reported["client_cpu_cores"], abs=0.05)
    assert target.tool_cpu_cores == pytest.approx(one.tool.reported["server_cpu_cores"], abs=0.05)
    for host, counter in ((source, "sent_bytes"), (target, "received_bytes")):
        assert host.window_seconds is not None
        assert host.window_seconds > 3
        counted = host.device[counter]
        assert isinstance(counted, int)
        # Headers come on top of the data; GSO frames on a veth carry one header for many segments.
        rate = counted * 8 / host.window_seconds
        assert 0.98 * mean(one, "bits_per_second") < rate < 1.07 * mean(one, "bits_per_second")
    assert document.run.facts["shared_host"] is True
