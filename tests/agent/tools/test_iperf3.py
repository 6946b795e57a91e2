"""iperf3's recorded outputs: what each file says, read off it by hand."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from tests.agent.tools.iperf3 import IPERF3, TCP, TCP_1S, UDP, UDP_1S, UDP_OMIT, Samples, near, one, parse, rtt

from netmesh_agent.tools.base import Failure, Reading, Spec, Summary

# Name of the sample, side, what was asked: the code of the failure, or (values, intervals), read off the file.
ROWS: tuple[tuple[str, str, Spec, str | tuple[dict[str, Summary], dict[str, Any]]], ...] = (
    (
        "tcp_ok",
        "client",
        TCP,
        (
            {
                "bits_per_second": one(25313659576.843632),
                "retransmits": one(0),
                "round_trip_seconds": rtt(35e-6, 32e-6, 38e-6, 2),
            },
            {"retransmits": near(0, 0), "round_trip_seconds": near(32e-6, 38e-6)},
        ),
    ),
    (
        "tcp_retransmits_omit",
        "client",
        dataclasses.replace(TCP, duration_seconds=3, omit_seconds=1),
        (
            {
                "bits_per_second": one(190576892.25829053),
                "retransmits": one(51),
                "round_trip_seconds": rtt((10651 + 9653 + 12587) / 3e6, 9653e-6, 12587e-6, 3),
            },
            {"retransmits": near(29, 22, 0), "round_trip_seconds": near(10651e-6, 9653e-6, 12587e-6)},
        ),
    ),
    (
        "tcp_reverse",
        "client",
        TCP,
        ({"bits_per_second": one(28501735133.195171), "retransmits": one(0)}, {}),
    ),
    (
        "tcp_server_output",
        "client",
        TCP_1S,
        ({"bits_per_second": one(28434829010.73583), "retransmits": one(1)}, {}),
    ),
    (
        "tcp_bidir",
        "client",
        TCP,
        (
            {
                "bits_per_second": one(13532967618.453653),
                "retransmits": one(3000),
                "round_trip_seconds": rtt(148.5e-6, 103e-6, 194e-6, 2),
            },
            {"retransmits": near(734, 2266), "round_trip_seconds": near(103e-6, 194e-6)},
        ),
    ),
    (
        # `-V` puts a line before the document: it is cut off, and what follows is good.
        "tcp_J_V_not_json",
        "client",
        TCP_1S,
        (
            {
                "bits_per_second": one(29287267300.363506),
                "retransmits": one(0),
                "round_trip_seconds": rtt(31e-6, 31e-6, 31e-6, 1),
            },
            {"retransmits": near(0), "round_trip_seconds": near(31e-6)},
        ),
    ),
    (
        "udp_ok",
        "client",
        UDP,
        (
            {
                "bits_per_second": one(93732834.456871927),
                "sent_bits_per_second": one(99954137.9262071),
                "packets_per_second": one((17258 - 1073) / 2.000228),
                "loss_ratio": one(1073 / 17258),
                "jitter_seconds": one(5.4410600698924947e-06),
            },
            {"sent_bits_per_second": near(99915091.594548836, 99993189.320995)},
        ),
    ),
    (
        "udp_1pct_loss",
        "client",
        UDP_1S,
        (
            {
                "bits_per_second": one(98886352.797914878),
                "sent_bits_per_second": one(99947904.63648735),
                "packets_per_second": one((62473 - 655) / 1.000227),
                "loss_ratio": one(655 / 62473),
                "jitter_seconds": one(5.6403850698370817e-06),
            },
            {"sent_bits_per_second": near(99947899.70556736)},
        ),
    ),
    (
        "udp_reverse",
        "client",
        UDP,
        (
            {
                "bits_per_second": one(99956231.457714841),
                "sent_bits_per_second": one(100001347.72102174),
                "packets_per_second": one(17259 / 2.000158),
                "loss_ratio": one(0),
                "jitter_seconds": one(1.2590584601805209e-05),
            },
            {},
        ),
    ),
    (
        # 761 of 2500 stand in the client's document: the omitted second's losses are among them.
        "udp_omit_20pct_loss",
        "client",
        UDP_OMIT,
        (
            {
                "bits_per_second": one(8031891.569463812),
                "sent_bits_per_second": one(10000275.007562708),
                "packets_per_second": one(2008 / 2.000027),
                "jitter_seconds": one(1.3150364218415093e-05),
            },
            # The first measured interval reached into the warm-up: half of it is missing from its rate.
            {"sent_bits_per_second": near(10017462.266748624, 9983581.07226641, 9985677.848449634)},
        ),
    ),
    (
        "server_udp_omit_20pct_loss",
        "server",
        UDP_OMIT,
        (
            {"loss_ratio": one(492 / 2500), "out_of_order_packets": one(0)},
            {
                "bits_per_second": near(8047195.146950687, 7936555.367231436, 8239934.18746107, 7903004.188129085),
                "jitter_seconds": pytest.approx([10.824228e-6, 10.393439e-6, 9.627156e-6, 13.150364e-6], rel=1e-6),
                "loss_ratio": near(123 / 626, 129 / 625, 109 / 624, 131 / 625),
            },
        ),
    ),
    # The second interval is a stub of 0.76 ms.
    ("server_one_off_tcp_ok", "server", TCP_1S, ({}, {"bits_per_second": near(21077237730.80983)})),
    ("err_refused", "client", TCP, "refused"),
    ("err_busy", "client", TCP, "busy"),
    ("err_connect_timeout", "client", TCP, "timeout"),
    ("err_udp_blocked", "client", UDP, "timeout"),
    ("err_badopt", "client", TCP, "tool_failed"),
    ("client_sigterm", "client", TCP, "tool_failed"),
    ("client_server_sigkill", "client", TCP, "tool_failed"),
    ("server_err_addr_in_use", "server", TCP, "busy"),
    ("server_one_off_taken_by_probe", "server", TCP, "tool_failed"),
)


@pytest.mark.parametrize(("name", "side", "spec", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_sample(samples: Samples, name: str, side: str, spec: Spec, expected: Any) -> None:
    result = parse(side, spec, samples("iperf3")[name])
    if isinstance(expected, str):
        assert isinstance(result, Failure)
        assert result.code == expected
        assert "iperf3" in result.message
    else:
        assert isinstance(result, Reading), result
        assert (dict(result.values), dict(result.intervals)) == expected


def test_no_sample_is_left_untested(samples: Samples) -> None:
    assert {row[0] for row in ROWS} == samples("iperf3").keys()


def test_what_the_tool_reports_beside_the_values(samples: Samples) -> None:
    reading = IPERF3.parse_client(TCP, samples("iperf3")["tcp_ok"])
    assert isinstance(reading, Reading)
    assert reading.reported == pytest.approx(
        {
            "sent_bits_per_second": 25383443992.796963,
            "client_cpu_cores": 0.5236522274553753,
            "server_cpu_cores": 0.45138497410385277,
        }
    )
    assert reading.congestion_control == "cubic"
    raw = json.loads(reading.raw)
    assert raw["version"] == "iperf 3.12"
    assert raw["end"]["sum_received"]["bytes"] == 6348210176


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
@pytest.mark.parametrize("exit_code", [0, 1, -15])
def test_the_exit_code_decides_nothing(samples: Samples, name: str, exit_code: int) -> None:
    side, spec = next((row[1], row[2]) for row in ROWS if row[0] == name)
    output = samples("iperf3")[name]
    assert parse(side, spec, output) == parse(side, spec, dataclasses.replace(output, exit_code=exit_code))
