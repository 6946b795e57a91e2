"""Outputs of iperf3 that would be wrong numbers, each trap by its name."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from tests.agent.tools.iperf3 import IPERF3, TCP, TCP_1S, UDP, UDP_OMIT, Samples, changed

from netmesh_agent.tools.base import Failure, Output, Reading, Spec


def test_nothing_received_is_no_measurement_of_zero(samples: Samples) -> None:
    def nothing(document: dict[str, Any]) -> None:
        document["end"]["sum_received"]["bytes"] = 0

    for name, spec, code in (("tcp_ok", TCP, "tool_output"), ("udp_ok", UDP, "loss")):
        result = IPERF3.parse_client(spec, changed(samples("iperf3")[name], nothing))
        assert isinstance(result, Failure)
        assert result.code == code


@pytest.mark.parametrize(
    ("lost", "packets"), [(-1, 17258), (17259, 17258), (1e30, 17258), (5, 0), (1073, -1), ("1", 17258)]
)
def test_a_loss_that_cannot_be_is_refused_and_never_clamped(samples: Samples, lost: Any, packets: Any) -> None:
    def change(document: dict[str, Any]) -> None:
        document["end"]["sum_received"] |= {"lost_packets": lost, "packets": packets}

    result = IPERF3.parse_client(UDP, changed(samples("iperf3")["udp_ok"], change))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"


def test_loss_that_an_older_server_hides_from_the_client_is_counted(samples: Samples) -> None:
    def hide(document: dict[str, Any]) -> None:
        document["end"]["sum_received"] |= {"lost_packets": 0, "lost_percent": 0}

    reading = IPERF3.parse_client(UDP, changed(samples("iperf3")["udp_ok"], hide))
    assert isinstance(reading, Reading)
    assert reading.values["loss_ratio"].mean == pytest.approx(1073 / 17258)


def test_the_sent_rate_and_the_mixed_sum_are_never_the_result(samples: Samples) -> None:
    reading = IPERF3.parse_client(UDP, samples("iperf3")["udp_ok"])
    end = json.loads(samples("iperf3")["udp_ok"].stdout)["end"]
    assert isinstance(reading, Reading)
    assert reading.values["bits_per_second"].mean < end["sum"]["bits_per_second"] == end["sum_sent"]["bits_per_second"]


def test_an_idle_socket_is_no_round_trip(samples: Samples) -> None:
    # The reverse stream of --bidir shows 29 us of the client's own idle socket, -R shows 0.
    bidir = IPERF3.parse_client(TCP, samples("iperf3")["tcp_bidir"])
    assert isinstance(bidir, Reading)
    assert bidir.values["round_trip_seconds"].min == pytest.approx(103e-6)
    reverse = IPERF3.parse_client(TCP, samples("iperf3")["tcp_reverse"])
    assert isinstance(reverse, Reading)
    assert "round_trip_seconds" not in reverse.values


def test_keys_that_stand_twice_are_harmless(samples: Samples) -> None:
    assert samples("iperf3")["tcp_bidir"].stdout.count('"sock_bufsize"') == 2
    assert isinstance(IPERF3.parse_client(TCP, samples("iperf3")["tcp_bidir"]), Reading)


def test_order_is_the_receivers_to_say(samples: Samples) -> None:
    client = IPERF3.parse_client(UDP, samples("iperf3")["udp_ok"])
    assert isinstance(client, Reading)
    assert "out_of_order_packets" not in client.values

    def reorder(document: dict[str, Any]) -> None:
        for stream in document["end"]["streams"]:
            stream["udp"]["out_of_order"] = 233

    server = IPERF3.parse_server(UDP_OMIT, changed(samples("iperf3")["server_udp_omit_20pct_loss"], reorder))
    assert isinstance(server, Reading)
    assert server.values["out_of_order_packets"].mean == 466


@pytest.mark.parametrize(("lost", "packets"), [(-3, 626), (0, 0), (700, 626)])
def test_an_interval_that_cannot_say_its_loss_leaves_the_series_out(samples: Samples, lost: int, packets: int) -> None:
    def change(document: dict[str, Any]) -> None:
        document["intervals"][3]["sum"] |= {"lost_packets": lost, "packets": packets}

    server = IPERF3.parse_server(UDP_OMIT, changed(samples("iperf3")["server_udp_omit_20pct_loss"], change))
    assert isinstance(server, Reading)
    assert server.intervals.keys() == {"bits_per_second", "jitter_seconds"}


@pytest.mark.parametrize("omit", [0, 1])
@pytest.mark.parametrize("test", ["tcp-bandwidth", "udp-bandwidth"])
def test_the_two_sides_never_claim_the_same(samples: Samples, test: str, omit: int) -> None:
    names = {"tcp-bandwidth": ("tcp_ok", "server_one_off_tcp_ok")}.get(
        test, ("udp_omit_20pct_loss", "server_udp_omit_20pct_loss")
    )
    spec = Spec(test, "iperf3", duration_seconds=1, omit_seconds=omit, interval_seconds=0.5)

    def agree(document: dict[str, Any]) -> None:
        # Without omitted seconds the client's own loss is right.
        document["end"]["sum_received"]["lost_packets"] = 492

    outputs = [changed(samples("iperf3")[name], agree) for name in names]
    client, server = IPERF3.parse_client(spec, outputs[0]), IPERF3.parse_server(spec, outputs[1])
    assert isinstance(client, Reading)
    assert isinstance(server, Reading)
    assert not client.values.keys() & server.values.keys()
    assert not client.intervals.keys() & server.intervals.keys()
    assert "bits_per_second" in client.values
    assert "bits_per_second" in server.intervals
    if test == "udp-bandwidth":
        assert ("loss_ratio" in client.values, "loss_ratio" in server.values) == (omit == 0, omit == 1)


def test_a_server_that_served_nobody_or_an_aborted_client_has_no_reading(samples: Samples) -> None:
    def abort(document: dict[str, Any]) -> None:
        document["error"] = "the client has terminated"

    output = changed(samples("iperf3")["server_one_off_tcp_ok"], abort)
    for said in (output, Output(""), samples("iperf3")["server_one_off_taken_by_probe"]):
        assert isinstance(IPERF3.parse_server(TCP_1S, said), Failure)


def test_a_document_of_the_other_side_or_another_protocol_is_refused(samples: Samples) -> None:
    recorded = samples("iperf3")
    for result in (
        IPERF3.parse_client(TCP_1S, recorded["server_one_off_tcp_ok"]),
        IPERF3.parse_server(TCP, recorded["tcp_ok"]),
        IPERF3.parse_client(UDP, recorded["tcp_ok"]),
        IPERF3.parse_client(TCP, recorded["udp_ok"]),
    ):
        assert isinstance(result, Failure)
        assert result.code == "tool_output"


def test_a_test_much_shorter_than_asked_is_refused(samples: Samples) -> None:
    result = IPERF3.parse_client(dataclasses.replace(TCP, duration_seconds=10), samples("iperf3")["tcp_ok"])
    assert isinstance(result, Failure)
    assert result.code == "tool_output"
