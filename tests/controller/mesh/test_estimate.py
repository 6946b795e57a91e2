"""What a plan costs."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.mesh.simulate import nodes

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.estimate import Estimate, lower_bound_seconds
from netmesh_controller.mesh.plan import make_plan


def cost(count: int, line_rate: int | None = None, **asked: Any) -> Estimate:
    described = [
        Node(**{**dict(node), "facts": {"line_rate_bits_per_second": line_rate}}) if line_rate else node
        for node in nodes(count)
    ]
    return make_plan(ask_from(asked), described).estimate


@pytest.mark.parametrize(
    ("work", "cap", "bound"),
    [
        ([], None, 0),
        # One node has it all.
        ([(("a", "b"), 5), (("a", "c"), 5), (("a",), 2)], None, 12),
        # Three nodes that all need each other work one pair at a time.
        ([(("a", "b"), 5), (("b", "c"), 5), (("a", "c"), 5)], None, 15),
        # A fourth that is only local is no partner; local work goes on beside the pairs.
        ([(("a", "b"), 5), (("b", "c"), 5), (("a", "c"), 5), (("d",), 1)], None, 15),
        ([(("a", "b"), 5), (("c", "d"), 5)], None, 5),
        ([(("a", "b"), 5), (("c", "d"), 5)], 1, 10),
    ],
)
def test_the_lower_bound(work: list[tuple[tuple[str, ...], float]], cap: int | None, bound: float) -> None:
    assert lower_bound_seconds(work, cap) == pytest.approx(bound)


@pytest.mark.parametrize(
    ("count", "seconds"),
    [
        (1, 11.1),
        # Busiest node: 2 tests in 2 directions with each of N - 1 nodes, and its local cells.
        (4, 3 * 22.2 + 11.1),
        # 10 pairs, 2 at a time.
        (5, 10 * 22.2 / 2),
    ],
)
def test_a_sweep_of_all_pairs(count: int, seconds: float) -> None:
    estimate = cost(count)
    assert estimate.cells == estimate.measurements == 2 * count * count
    assert estimate.lower_bound_seconds == pytest.approx(seconds)
    assert estimate.expected_seconds > estimate.lower_bound_seconds


def test_an_offered_rate_is_traffic() -> None:
    estimate = cost(2, tests="udp-bandwidth", rate="20M", pairs="node-1:node-2")
    assert estimate.traffic_bytes == 20_000_000 * 6 / 8
    assert estimate.traffic_note == "at the asked rate"
    both = cost(2, tests="udp-bandwidth", rate="20M", pairs="node-1:node-2", bidirectional=True)
    assert both.traffic_bytes == 2 * 20_000_000 * 6 / 8
    assert (both.measurements, both.cells) == (1, 2)


def test_what_goes_through_is_known_by_the_links_rates_only() -> None:
    assert cost(2).traffic_bytes is None
    assert "the rate of the links is not known" in cost(2).traffic_note
    known = cost(2, line_rate=10**9, pairs="node-1:node-2")
    assert known.traffic_bytes == 10**9 * 6 / 8
    assert known.traffic_note == "at most, by the links' rates, and the latency tests' small messages"


def test_latency_alone_is_small_and_unknown() -> None:
    estimate = cost(2, tests="tcp-latency")
    assert (estimate.traffic_bytes, estimate.traffic_note) == (None, "one small message at a time")


def test_nothing_to_do_costs_nothing() -> None:
    estimate = cost(2, tests="tcp-bandwidth", tool="qperf", streams=2)
    assert (estimate.measurements, estimate.lower_bound_seconds, estimate.traffic_bytes) == (0, 0, 0)


def test_what_stays_within_a_node_is_not_bounded_by_its_line_rate() -> None:
    local = cost(2, line_rate=10**9, tests="tcp-bandwidth", pairs="node-1:node-1")
    assert local.traffic_bytes is None
    assert "stays within the nodes" in local.traffic_note
    both = cost(2, line_rate=10**9, tests="tcp-bandwidth", pairs="node-1:node-2,node-1:node-1")
    assert both.traffic_bytes == 10**9 * 6 / 8
    assert both.traffic_note == "at most, by the links' rates, without what stays within a node"


def test_each_path_has_its_traffic() -> None:
    asked = ask_from({"paths": "pod-to-pod,hairpin", "tests": "udp-bandwidth,tcp-connect", "pairs": "all"})
    estimate = make_plan(asked, nodes(2), services=True).estimate
    each = 100_000_000 * 6 // 8
    assert estimate.traffic_by_path == {"pod-to-pod": 4 * each, "hairpin": 2 * each}
    assert estimate.traffic_bytes == 6 * each
    assert not estimate.traffic_unknown


def test_a_load_sends_for_as_long_as_it_runs() -> None:
    loaded = cost(2, tests="tcp-latency", under_load=True, rate="8M", pairs="node-1:node-2")
    # Its lead, the test of 5 s and what that takes to start, and its tail: 8 s.
    assert loaded.traffic_bytes == 8 * 10**6
    assert cost(2, tests="tcp-latency", under_load=True).traffic_unknown


def test_large_messages_are_traffic() -> None:
    paced = cost(2, tests="udp-latency", tool="sockperf", message_sizes="32k", pairs="node-1:node-2")
    # 1,000 a second, there and back, in 5 s and sockperf's silent start.
    assert paced.traffic_bytes == round(1000 * 2 * 32_768 * 7.3)
    assert paced.traffic_note == "at the asked rate"
    sent = cost(2, tests="udp-latency", message_sizes="32k", pairs="node-1:node-2", line_rate=10**9)
    assert sent.traffic_bytes is not None
    assert sent.traffic_note == "at most, by the links' rates"


def test_what_is_not_known_between_nodes_is_told_apart_from_what_is_small() -> None:
    assert cost(2).traffic_unknown
    assert not cost(2, tests="tcp-latency").traffic_unknown
    assert not cost(2, line_rate=10**9).traffic_unknown
