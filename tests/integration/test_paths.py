"""Every path and every instrument in labs with a known truth."""

from collections import Counter
from collections.abc import Callable
from statistics import median

import pytest
from tests.support.cli import Controller, cell, mean, sweep

from netmesh_controller.lab import Lab

pytestmark = pytest.mark.measures

# Cells of one test in a mesh of two nodes.
CELLS = {
    "pod-to-pod": 4,
    "pod-to-service": 4,
    "hairpin": 2,
    "host-to-host": 2,
    "host-to-pod": 4,
    "pod-to-host": 4,
}
SHORT = ("--duration", "1s", "--omit", "0s")


def test_all_paths_tcp_and_udp_local_and_remote(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(
        controller,
        shared_lab("nodes: 2"),
        *("--paths", "all", "--tests", "tcp-bandwidth,udp-bandwidth", "--rate", "50M", *SHORT),
    )
    for test in ("tcp-bandwidth", "udp-bandwidth"):
        assert Counter(one.path for one in document.cells if one.test == test) == CELLS
    assert all(one.outcome == "measured" for one in document.cells)
    for one in document.cells:
        if one.test == "udp-bandwidth":
            assert mean(one, "bits_per_second") == pytest.approx(50e6, rel=0.03), (one.path, one.source, one.target)
    # A path has local or remote cells or both; where it has none, the matrix says so.
    for matrix in document.matrices:
        diagonal = {matrix.reasons[place][place] for place in range(2)}
        assert diagonal == ({"not_applicable"} if matrix.path == "host-to-host" else {None}) or matrix.value not in (
            "bits_per_second",
            "connect_seconds",
        )


def test_the_mtu_of_one_link_is_found_and_a_black_hole_is_told(
    controller: Controller, lab: Callable[[str], Lab]
) -> None:
    hole = "{from: node-1, to: node-2, drop_larger_than: 1300, icmp: false}"
    running = lab(f"nodes: 3\nlinks: {{node-3: {{mtu: 1400}}}}\npairs: [{hole}]")
    document = sweep(controller, running, "--tests", "path-mtu")
    expected = {("node-1", "node-2"): (1300, 1), ("node-2", "node-1"): (1500, 0)}
    for one in document.cells:
        if one.source == one.target:
            width = (1400, 0) if one.source == "node-3" else (1500, 0)
        elif "node-3" in (one.source, one.target):
            width = (1400, 0)
        else:
            width = expected[one.source, one.target]
        assert (mean(one, "mtu_bytes"), mean(one, "black_hole")) == width, (one.source, one.target)


def test_a_pod_with_a_fifth_of_a_core_is_seen_to_be_bound_by_it(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    running = shared_lab("nodes: 2\nlinks: {node-1: {rate: 10G}, node-2: {rate: 10G}}\npods: {node-2: {cpu: 0.2}}")
    # With small messages both ends want more than that, the receiver half a core on a fast machine.
    document = sweep(
        controller,
        running,
        *("--tests", "tcp-bandwidth", "--message-sizes", "256", "--duration", "3s"),
        *("--pairs", "node-1:node-2,node-2:node-1", "--max-concurrent", "1"),
    )
    # What a pod's own limit makes of its bandwidth is that pod's bandwidth: measured, and marked.
    for one, end in (
        (cell(document, "node-1", "node-2", "tcp-bandwidth"), "target"),
        (cell(document, "node-2", "node-1", "tcp-bandwidth"), "source"),
    ):
        assert mean(one, "bits_per_second") > 0
        assert one.witness is not None
        assert one.witness.verdict == "marked"
        assert "throttled" in one.witness.signs
        assert one.witness.figures[f"{end}.throttled"] > 0.05
    receives = cell(document, "node-1", "node-2", "tcp-bandwidth").hosts.target
    sends = cell(document, "node-2", "node-1", "tcp-bandwidth").hosts.source
    for host in (receives, sends):
        assert host is not None
        assert host.throttled_seconds is not None
        assert host.throttled_seconds > 0.2
        assert host.tool_cpu_cores is not None
        assert host.tool_cpu_cores < 0.3
    free = cell(document, "node-1", "node-2", "tcp-bandwidth").hosts.source
    assert free is not None
    assert free.throttled_seconds == 0


def test_rules_before_a_service_cost_each_new_connection(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    """2,000 rules of other Services: each new connection walks through them, at both of its nodes."""

    def handshake_seconds(text: str, path: str) -> float:
        document = sweep(
            controller,
            shared_lab(text),
            *("--paths", path, "--tests", "tcp-connect", "--message-rate", "200", "--duration", "1s", "--omit", "0s"),
            *("--repeat", "2", "--pairs", "node-1:node-2,node-2:node-1", "--max-concurrent", "1"),
        )
        assert all(mean(one, "connect_seconds") > 0 for one in document.cells)
        # The kernel's own time from SYN to SYN-ACK, without the wake-up of the process.
        return median(one.tool.reported["handshake_round_trip_seconds"] for one in document.cells)

    direct = handshake_seconds("nodes: 2", "pod-to-pod")
    by_service = handshake_seconds("nodes: 2\nservices: {unrelated_rules: 2000}", "pod-to-service")
    assert by_service > 1.15 * direct


def test_a_delay_on_a_link_is_in_every_round_trip_through_it(controller: Controller, lab: Callable[[str], Lab]) -> None:
    running = lab("nodes: 3\nlinks: {node-3: {delay: 5ms, direction: both}}")
    document = sweep(controller, running, "--tests", "tcp-latency", "--duration", "1s")
    for one in document.cells:
        delayed = one.source != one.target and "node-3" in (one.source, one.target)
        if delayed:
            # The relay never lets a packet go early; how late it is depends on who else wants the CPU.
            assert 0.0099 < mean(one, "round_trip_seconds") < 0.014
        else:
            assert mean(one, "round_trip_seconds") < 0.002


def test_latency_under_load_is_that_of_the_queue(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    running = shared_lab("nodes: 2\nlinks: {node-1: {rate: 50M}, node-2: {rate: 50M}}")
    document = sweep(
        controller,
        running,
        *("--tests", "tcp-latency", "--under-load", "--tool", "sockperf"),
        *("--duration", "3s", "--pairs", "node-1:node-2"),
    )
    idle = cell(document, "node-1", "node-2", "tcp-latency", load=None)
    loaded = cell(document, "node-1", "node-2", "tcp-latency", load="tcp-bandwidth")
    # The shaper's queue holds some 10 to 20 ms; how much of it a sender fills depends on its congestion control.
    assert mean(idle, "round_trip_seconds") < 0.0015
    assert mean(loaded, "round_trip_seconds") > 0.002
    # The load ran at the link's rate all the while.
    assert loaded.tool.reported["load_bits_per_second"] == pytest.approx(50e6 * 1448 / 1514, rel=0.05)


def test_max_rate_paces_what_would_be_unlimited(controller: Controller, shared_lab: Callable[[str], Lab]) -> None:
    document = sweep(
        controller,
        shared_lab("nodes: 2"),
        *("--tests", "tcp-bandwidth", "--max-rate", "30M", "--pairs", "node-1:node-2", *SHORT),
    )
    one = cell(document, "node-1", "node-2", "tcp-bandwidth")
    assert one.parameters.offered_bits_per_second == 30_000_000
    assert mean(one, "bits_per_second") == pytest.approx(30e6, rel=0.05)


def test_an_instrument_agrees_with_another_on_the_same_path(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    """With a known 4 ms in the path, instruments of three authors say the same round trip: none less, few more."""
    running = shared_lab("nodes: 2\npairs: [{from: node-1, to: node-2, delay: 4ms}]")
    document = sweep(
        controller,
        running,
        *("--tests", "tcp-latency,tcp-request-response", "--tool", "qperf,sockperf", "--duration", "2s"),
        *("--pairs", "node-1:node-2"),
    )
    figures = [mean(one, "round_trip_seconds") for one in document.cells]
    assert len(figures) == 3
    assert 0.0039 < min(figures) <= max(figures) < 0.0065
