"""What a cell is measured with, and how long it takes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.mesh.plans import node, parameters, plan, whole

from netmesh_controller.mesh.document import Parameters


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tests": "tcp-bandwidth"}, {"instrument": "iperf3", "streams": 1, "direction": "forward"}),
        (
            {"tests": "tcp-bandwidth", "streams": 4, "congestion": "reno", "rate": "20M"},
            {
                "instrument": "iperf3",
                "streams": 4,
                "direction": "forward",
                "congestion_control": "reno",
                "offered_bits_per_second": 20_000_000,
            },
        ),
        (
            {"tests": "udp-bandwidth", "congestion": "reno"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 100_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "rate": "unlimited"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward"},
        ),
        ({"tests": "tcp-latency", "rate": "20M", "bidirectional": True}, {"instrument": "qperf"}),
        ({"tests": "udp-latency"}, {"instrument": "qperf"}),
        (
            {"tests": "udp-bandwidth", "tool": "qperf", "rate": "unlimited"},
            {"instrument": "qperf", "streams": 1, "direction": "forward", "message_bytes": 1400 - 28},
        ),
    ],
)
def test_parameters_say_what_a_cell_is_measured_with(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    made = plan([node(1, mtu_bytes=9000), node(2, mtu_bytes=1400)], pairs="node-1:node-2", **asked)
    assert parameters(made) == Parameters.model_validate(expected)


def test_messages_fit_the_path_mtu_of_the_family() -> None:
    v6 = [node(1, address="fd00::1"), node(2, address="fd00::2")]
    asked = {"tests": "udp-bandwidth", "tool": "qperf", "rate": "unlimited", "pairs": "node-1:node-2"}
    assert parameters(plan(v6, family=6, **asked)).message_bytes == 1452
    # 1,280 bytes go through where the MTU is not known; a loopback's 65,536 are more than a datagram holds.
    assert parameters(plan([node(1, mtu_bytes=None), node(2)], **asked)).message_bytes == 1252
    assert parameters(plan([node(1, mtu_bytes=65536), node(2, mtu_bytes=65536)], **asked)).message_bytes == 65507


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tests": "tcp-latency", "tool": "sockperf"}, {"instrument": "sockperf", "offered_per_second": 1000}),
        (
            {"tests": "tcp-latency", "tool": "sockperf", "message-rate": 50, "message-sizes": "1k"},
            {"instrument": "sockperf", "offered_per_second": 50, "message_bytes": 1024},
        ),
        ({"tests": "tcp-connect"}, {"instrument": "netmesh", "offered_per_second": 100}),
        ({"tests": "path-mtu", "family": 6}, {"instrument": "netmesh", "family": 6}),
        (
            {"tests": "tcp-request-response", "message-sizes": "64", "congestion": "reno"},
            {"instrument": "netmesh", "message_bytes": 64, "congestion_control": "reno"},
        ),
        (
            {"tests": "tcp-bandwidth", "mss": "1000"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "mss_bytes": 1000},
        ),
        (
            {"tests": "tcp-bandwidth", "max-rate": "50M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 50_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "50M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 50_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "500M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 100_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "500M", "rate": "unlimited"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 500_000_000},
        ),
    ],
)
def test_parameters_of_every_instrument(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parameters(plan([whole(1), whole(2)], **asked)) == Parameters.model_validate(expected)


@pytest.mark.parametrize(
    ("test", "asked", "seconds"),
    [
        ("tcp-bandwidth", {}, 7.05),
        ("tcp-latency", {}, 5.05),
        ("tcp-latency", {"tool": "sockperf"}, 7.3),
        ("tcp-connect", {}, 7.1),
        ("path-mtu", {}, 1.1),
    ],
)
def test_what_an_instrument_adds_is_in_the_expected_seconds(test: str, asked: dict[str, Any], seconds: float) -> None:
    made = plan([whole(1), whole(2)], tests=test, omit=2, **asked)
    assert {round(one.seconds, 3) for one in made.measurements} == {seconds}


def test_the_expected_seconds_are_the_tools_own() -> None:
    made = plan([node(1), node(2)], tests="tcp-bandwidth,tcp-latency,udp-latency", omit=2, duration=7)
    assert {one.variant.test: round(one.seconds, 3) for one in made.measurements} == {
        "tcp-bandwidth": 9.05,
        "tcp-latency": 7.05,
        "udp-latency": 8.05,
    }
