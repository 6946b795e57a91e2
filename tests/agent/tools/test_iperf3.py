"""iperf3's recorded outputs and the command lines, each trap by its name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from netmesh_agent.tools import INSTRUMENTS
from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary

IPERF3 = INSTRUMENTS["iperf3"]
Samples = Callable[[str], dict[str, Output]]

TCP = Spec("tcp-bandwidth", "iperf3", duration_seconds=2, interval_seconds=1.0)
UDP = Spec("udp-bandwidth", "iperf3", duration_seconds=2, interval_seconds=1.0, offered_bits_per_second=100_000_000)
TCP_1S = dataclasses.replace(TCP, duration_seconds=1)
UDP_1S = dataclasses.replace(UDP, duration_seconds=1)
UDP_OMIT = dataclasses.replace(UDP, omit_seconds=1, interval_seconds=0.5, streams=2)


def near(*values: float) -> Any:
    return pytest.approx(list(values), rel=1e-12)


def one(value: float) -> Summary:
    mean: Any = pytest.approx(value, rel=1e-12)
    return Summary(mean)


def rtt(mean: float, low: float, high: float, count: int) -> Summary:
    means, lows, highs = (pytest.approx(value, rel=1e-12) for value in (mean, low, high))
    figures: dict[str, Any] = {"mean": means, "min": lows, "max": highs}
    return Summary(**figures, count=count)


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


def parse(side: str, spec: Spec, output: Output) -> Reading | Failure:
    return IPERF3.parse_client(spec, output) if side == "client" else IPERF3.parse_server(spec, output)


def changed(output: Output, change: Callable[[dict[str, Any]], None]) -> Output:
    document = json.loads(output.stdout)
    change(document)
    return dataclasses.replace(output, stdout=json.dumps(document))


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


def test_a_bad_option_is_named_in_the_tools_words(samples: Samples) -> None:
    result = IPERF3.parse_client(TCP, samples("iperf3")["err_badopt"])
    assert isinstance(result, Failure)
    assert "unrecognized option '--bogus'" in result.message
    usage = Output("Usage: iperf3 ...", "iperf3: parameter error - bogus value for --omit\n", 1)
    result = IPERF3.parse_client(TCP, usage)
    assert isinstance(result, Failure)
    assert (result.code, "parameter error - bogus value for --omit" in result.message) == ("tool_failed", True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("unable to connect to server: Connection refused", "refused"),
        (
            # 3.14 and later say more.
            "unable to connect to server - server may have stopped running, firewall issue, etc.: Connection refused",
            "refused",
        ),
        ("unable to connect to server: No route to host", "unreachable"),
        ("unable to connect to server: Network is unreachable", "unreachable"),
        ("unable to connect to server: Resource temporarily unavailable", "unreachable"),
        ("unable to read from stream socket: Resource temporarily unavailable", "timeout"),
        ("unable to connect to server: Connection timed out", "timeout"),
        ("unable to write to stream socket: Connection timed out", "timeout"),
        ("idle timeout for receiving data", "timeout"),
        ("the server is busy running a test. try again later", "busy"),
        (
            "unable to set TCP_CONGESTION: Supplied congestion control algorithm not supported on this host",
            "not_supported",
        ),
        ("socket buffer size not set correctly", "not_supported"),
        ("unable to start stream listener: Protocol not supported", "not_supported"),
        ("unable to set TCP/SCTP MSS: Invalid argument", "not_supported"),
        ("the server has terminated", "tool_failed"),
        ("control socket has closed unexpectedly", "tool_failed"),
        ("test authorization failed", "tool_failed"),
        ("something that no version has said so far", "tool_failed"),
    ],
)
def test_errors_keep_the_tools_words_and_get_a_code(said: str, code: str) -> None:
    output = Output(json.dumps({"start": {}, "intervals": [], "end": {}, "error": said}))
    for side in ("client", "server"):
        result = parse(side, TCP, output)
        assert isinstance(result, Failure)
        assert result.code == code
        assert said in result.message


def test_an_unresolved_name_is_not_reported_as_a_lack_of_resources() -> None:
    said = "unable to connect to server: Resource temporarily unavailable"
    result = IPERF3.parse_client(TCP, Output(json.dumps({"start": {}, "end": {}, "error": said})))
    assert isinstance(result, Failure)
    assert "does not resolve" in result.message


def test_a_deadline_in_the_udp_handshake_says_what_may_be_blocked(samples: Samples) -> None:
    output = changed(
        samples("iperf3")["err_udp_blocked"],
        lambda document: document.update(error="interrupt - the client has terminated"),
    )
    result = IPERF3.parse_client(UDP, dataclasses.replace(output, timed_out=True))
    assert isinstance(result, Failure)
    assert result.code == "timeout"
    assert "UDP is blocked" in result.message


def test_our_deadline_is_a_timeout_with_and_without_a_document(samples: Samples) -> None:
    for output in (samples("iperf3")["client_sigterm"], Output("", "", -9)):
        result = IPERF3.parse_client(TCP, dataclasses.replace(output, timed_out=True))
        assert isinstance(result, Failure)
        assert result.code == "timeout"
        assert "UDP" not in result.message


@pytest.mark.parametrize(
    "text", ["", "Server listening", "{", "[]", '{"end": {}} {"end": {}}', "{" * 100_000, '{"a":' * 100_000]
)
def test_what_is_no_document_is_refused(text: str) -> None:
    result = IPERF3.parse_client(TCP, Output(text))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"


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


def test_versions_differ_and_are_read() -> None:
    assert IPERF3.parse_version(Output("iperf 3.12 (cJSON 1.7.15)\nLinux vm 6.18\n")) == "3.12"
    assert IPERF3.parse_version(Output("iperf 3.19.1 (cJSON 1.7.15)\n")) == "3.19.1"
    assert IPERF3.parse_version(Output("", "bash: iperf3: command not found")) is None


def test_command_lines() -> None:
    spec = Spec("tcp-bandwidth", "iperf3", family=6, duration_seconds=5, omit_seconds=1, streams=4)
    assert " ".join(IPERF3.server_command(spec, "fd00::2", [61863])) == (
        "iperf3 -s -1 -J -p 61863 -B fd00::2 -i 0.1 --rcv-timeout 10000"
    )
    spec = dataclasses.replace(
        spec, mss_bytes=1200, congestion_control="bbr", offered_bits_per_second=100_000_000, message_bytes=8192
    )
    assert " ".join(IPERF3.client_command(spec, "fd00::2", [61863])) == (
        "iperf3 -c fd00::2 -p 61863 -6 -J -t 5 -O 1 -i 0.1 -P 4 --connect-timeout 3000 --snd-timeout 4000 "
        "-b 25000000 -l 8192 -M 1200 -C bbr"
    )
    assert IPERF3.listens_on(spec, [61863]) == (("tcp", 61863),)
    assert IPERF3.ports_needed(spec) == 1


def test_udp_without_a_rate_is_unlimited_and_not_one_megabit() -> None:
    spec = dataclasses.replace(UDP, offered_bits_per_second=None)
    command = IPERF3.client_command(spec, "10.0.0.2", [61863])
    assert "-u" in command
    assert command[command.index("-b") + 1] == "0"
    assert "--snd-timeout" not in command


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"test": "tcp-latency"}, "test"),
        ({"family": 5}, "family"),
        ({"duration_seconds": 0}, "duration_seconds"),
        ({"duration_seconds": 1.9}, "duration_seconds"),
        ({"duration_seconds": 86_401}, "duration_seconds"),
        ({"omit_seconds": 61}, "omit_seconds"),
        ({"omit_seconds": 0.5}, "omit_seconds"),
        ({"interval_seconds": 0.05}, "interval_seconds"),
        ({"interval_seconds": float("nan")}, "interval_seconds"),
        ({"streams": 129}, "streams"),
        ({"streams": 0}, "streams"),
        ({"message_bytes": 1_048_577}, "message_bytes"),
        ({"mss_bytes": 9217}, "mss_bytes"),
        ({"mss_bytes": 87}, "mss_bytes"),
        ({"streams": 4, "offered_bits_per_second": 3}, "offered_bits_per_second"),
        ({"test": "udp-bandwidth", "message_bytes": 15}, "message_bytes"),
        ({"test": "udp-bandwidth", "message_bytes": 65_508}, "message_bytes"),
        ({"test": "udp-bandwidth", "mss_bytes": 1200}, "mss_bytes"),
        ({"test": "udp-bandwidth", "congestion_control": "bbr"}, "congestion_control"),
    ],
)
def test_what_iperf3_would_truncate_or_refuse_is_refused_before(change: dict[str, Any], field: str) -> None:
    refusal = IPERF3.refuse(dataclasses.replace(TCP, **change))
    assert isinstance(refusal, Failure)
    assert (refusal.code, refusal.field) == ("not_supported", field)


@pytest.mark.parametrize("spec", [TCP, UDP, UDP_OMIT, dataclasses.replace(TCP, mss_bytes=9216, streams=128)])
def test_what_iperf3_can_do_is_not_refused(spec: Spec) -> None:
    assert IPERF3.refuse(spec) is None
