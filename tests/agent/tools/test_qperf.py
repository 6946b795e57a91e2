"""qperf's recorded outputs and the command lines, each trap by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from netmesh_agent.tools import INSTRUMENTS
from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary
from netmesh_agent.tools.qperf_output import read_blocks

QPERF = INSTRUMENTS["qperf"]
Samples = Callable[[str], dict[str, Output]]

TCP_BW = Spec("tcp-bandwidth", "qperf")
UDP_BW = Spec("udp-bandwidth", "qperf", message_bytes=1472)
TCP_LAT = Spec("tcp-latency", "qperf")
UDP_LAT = Spec("udp-latency", "qperf")


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-12)


def values(**means: float) -> dict[str, Summary]:
    return {name: Summary(near(mean)) for name, mean in means.items()}


# Name of the sample, what was asked: the code of the failure, or the values, read off the file.
ROWS: tuple[tuple[str, Spec, str | dict[str, Summary]], ...] = (
    ("tcp_bw_counts", TCP_BW, values(bits_per_second=14417395712)),
    (
        "udp_bw_counts",
        UDP_BW,
        values(
            bits_per_second=3428790400,
            sent_bits_per_second=3469009600,
            packets_per_second=306142,
            loss_ratio=(309733 - 306142) / 309733,
        ),
    ),
    ("udp_bw_all_lost", UDP_BW, "loss"),
    ("udp_lat_beside_tcp_lat", TCP_LAT, values(round_trip_seconds=60.618e-6, messages_per_second=32994)),
    ("udp_lat_beside_tcp_lat", UDP_LAT, values(round_trip_seconds=57.034e-6, messages_per_second=35067)),
    ("udp_lat_beside_tcp_lat_1pct_loss", UDP_LAT, "loss"),
    ("udp_lat_all_lost", UDP_LAT, "loss"),
    ("udp_lat_1pct_loss", UDP_LAT, "loss"),
    ("uu_vv_4tests", TCP_BW, values(bits_per_second=3530948608 * 8)),
    ("uu_vv_4tests", TCP_LAT, values(round_trip_seconds=45.692e-6, messages_per_second=43771)),
    (
        "uu_vv_4tests",
        UDP_BW,
        values(
            bits_per_second=388956160 * 8,
            sent_bits_per_second=398458880 * 8,
            packets_per_second=11870,
            loss_ratio=290 / 12160,
        ),
    ),
    ("uu_vv_4tests", UDP_LAT, values(round_trip_seconds=81.672e-6, messages_per_second=24488)),
    # A rate without the counts of both ends looks the same where the path was lost half-way.
    ("tcp_bw_blackhole", TCP_BW, "tool_output"),
    ("default_4tests", TCP_BW, "tool_output"),
    ("default_4tests", TCP_LAT, values(round_trip_seconds=55.6e-6)),
    ("default_4tests", UDP_BW, "tool_output"),
    ("default_4tests", UDP_LAT, values(round_trip_seconds=76.4e-6)),
    ("uu_4tests", TCP_BW, "tool_output"),
    ("uu_4tests", TCP_LAT, values(round_trip_seconds=87.758e-6)),
    ("uu_4tests", UDP_BW, "tool_output"),
    ("uu_4tests", UDP_LAT, values(round_trip_seconds=86.9e-6)),
    # Six results at six sizes are no one figure; a report on the two hosts is none at all.
    ("loop_msg_size", TCP_LAT, "tool_output"),
    ("conf", TCP_LAT, "tool_output"),
    ("err_refused", TCP_BW, "unreachable"),
    ("err_server_busy", TCP_LAT, "busy"),
    ("err_sctp", TCP_BW, "not_supported"),
    ("err_version_mismatch", TCP_LAT, "version_mismatch"),
    ("tcp_bw_server_killed", TCP_BW, "tool_failed"),
)


@pytest.mark.parametrize(("name", "spec", "expected"), ROWS, ids=[f"{row[0]}-{row[1].test}" for row in ROWS])
def test_sample(samples: Samples, name: str, spec: Spec, expected: Any) -> None:
    result = QPERF.parse_client(spec, samples("qperf")[name])
    if isinstance(expected, str):
        assert isinstance(result, Failure)
        assert result.code == expected
        assert "qperf" in result.message
    else:
        assert isinstance(result, Reading), result
        assert result.values == expected
        assert not result.intervals


def test_no_sample_is_left_untested(samples: Samples) -> None:
    assert {row[0] for row in ROWS} == samples("qperf").keys()


def test_human_units_are_read_from_the_line(samples: Samples) -> None:
    blocks = read_blocks(samples("qperf")["default_4tests"].stdout)
    assert [(block.test, dict(block.values)) for block in blocks] == [
        ("tcp_bw", {"bw": ("bits_per_second", near(1.93e9 * 8))}),
        ("tcp_lat", {"latency": ("seconds", near(27.8e-6))}),
        (
            "udp_bw",
            {
                "send_bw": ("bits_per_second", near(434e6 * 8)),
                "recv_bw": ("bits_per_second", near(430e6 * 8)),
            },
        ),
        ("udp_lat", {"latency": ("seconds", near(38.2e-6))}),
    ]


def test_base_units_are_read_from_the_line(samples: Samples) -> None:
    first, *_, last = read_blocks(samples("qperf")["uu_4tests"].stdout)
    assert first.get("bw", "bits_per_second") == 2942369792 * 8
    assert last.get("latency", "seconds") == pytest.approx(43450e-9)


def test_a_loop_gives_one_block_a_size(samples: Samples) -> None:
    blocks = read_blocks(samples("qperf")["loop_msg_size"].stdout)
    assert [block.get("msg_size", "bytes") for block in blocks] == [1, 8, 64, 512, 4096, 32768]
    latencies = [block.get("latency", "seconds") for block in blocks]
    assert latencies == pytest.approx([10.8e-6, 9.5e-6, 10.2e-6, 11.1e-6, 15.1e-6, 15.7e-6])


@pytest.mark.parametrize(
    ("printed", "kind", "value"),
    [
        ("8 bytes/sec", "bits_per_second", 64),
        ("8 KB/sec", "bits_per_second", 64e3),
        ("8 MB/sec", "bits_per_second", 64e6),
        ("1.93 GB/sec", "bits_per_second", 15.44e9),
        ("8 TB/sec", "bits_per_second", 64e12),
        ("22440574976 bits/sec", "bits_per_second", 22440574976),
        ("2 Kb/sec", "bits_per_second", 2e3),
        ("2 Mb/sec", "bits_per_second", 2e6),
        ("2 Gb/sec", "bits_per_second", 2e9),
        ("2 Tb/sec", "bits_per_second", 2e12),
        ("39255.7 ns", "seconds", 39.2557e-6),
        ("11 us", "seconds", 11e-6),
        ("880 ms", "seconds", 0.88),
        ("2 sec", "seconds", 2),
        ("32 /sec", "per_second", 32),
        ("32 K/sec", "per_second", 32e3),
        ("32 M/sec", "per_second", 32e6),
        ("32 G/sec", "per_second", 32e9),
        ("32 T/sec", "per_second", 32e12),
        ("17 bytes", "bytes", 17),
        ("4 KB", "bytes", 4e3),
        ("4 MB", "bytes", 4e6),
        ("4 GB", "bytes", 4e9),
        ("4 TB", "bytes", 4e12),
        ("64 KiB (65,536)", "bytes", 65536),
        ("1 MiB (1,048,576)", "bytes", 2**20),
        ("1 GiB (1,073,741,824)", "bytes", 2**30),
        ("1 TiB (1,099,511,627,776)", "bytes", 2**40),
        ("523336302 ns/GB", "seconds_per_gigabyte", 0.523336302),
        ("523 us/GB", "seconds_per_gigabyte", 523e-6),
        ("468 ms/GB", "seconds_per_gigabyte", 0.468),
        ("1.2 sec/GB", "seconds_per_gigabyte", 1.2),
        ("149 % cpus", "cores", 1.49),
        ("48,612 ", "count", 48612),
        ("1.2 thousand", "count", 1200),
        ("1.2 million", "count", 1.2e6),
        ("1.2 billion", "count", 1.2e9),
        ("1.2 trillion", "count", 1.2e12),
    ],
)
def test_every_unit_that_qperf_can_print(printed: str, kind: str, value: float) -> None:
    (block,) = read_blocks(f"tcp_lat:\n    thing  =  {printed}\n")
    assert block.get("thing", kind) == pytest.approx(value)
    assert block.get("thing", "another kind") is None


@pytest.mark.parametrize(
    "printed", ["5 parsecs", "nan ns", "-5 ns", "inf ns", "1e5 ns", "9" * 400 + " ns", "٣ ns", "= ns"]
)
def test_what_is_no_number_of_a_known_unit_is_no_value(printed: str) -> None:
    assert all(not block.values for block in read_blocks(f"tcp_lat:\n    latency  =  {printed}\n"))


def test_warnings_between_heading_and_result_are_passed_over() -> None:
    text = "tcp_lat:\nwarning: -f1 set but not used in test tcp_lat\n    latency  =  10000 ns\n"
    reading = QPERF.parse_client(TCP_LAT, Output(text))
    assert isinstance(reading, Reading)
    assert reading.values["round_trip_seconds"] == Summary(near(20e-6))


def test_the_round_trip_is_twice_what_is_printed_and_the_print_is_kept(samples: Samples) -> None:
    reading = QPERF.parse_client(TCP_LAT, samples("qperf")["uu_vv_4tests"])
    assert isinstance(reading, Reading)
    assert reading.values["round_trip_seconds"].mean == pytest.approx(2 * reading.reported["latency_seconds"])
    assert "latency          =       22846 ns" in reading.raw


def test_qperfs_own_cost_in_si_units(samples: Samples) -> None:
    reading = QPERF.parse_client(TCP_BW, samples("qperf")["tcp_bw_counts"])
    assert isinstance(reading, Reading)
    assert reading.reported == pytest.approx(
        {
            "send_cost_seconds_per_gigabyte": 0.660337474,
            "receive_cost_seconds_per_gigabyte": 0.660313461,
            "source_cpu_cores": 1.19,
            "source_cpu_user_cores": 0.01,
            "source_cpu_intr_cores": 0.37,
            "source_cpu_kernel_cores": 0.81,
            "target_cpu_cores": 1.19,
            "target_cpu_user_cores": 0.01,
            "target_cpu_intr_cores": 0.37,
            "target_cpu_kernel_cores": 0.81,
            "sent_messages": 27498,
            "received_messages": 27499,
        }
    )


@pytest.mark.parametrize("latency", [0, 200_000])
def test_a_udp_latency_without_a_believable_reference_is_loss(latency: int) -> None:
    text = f"tcp_lat:\n    latency  =  30000 ns\nudp_lat:\n    latency  =  {latency} ns\n"
    result = QPERF.parse_client(UDP_LAT, Output(text))
    assert isinstance(result, Failure)
    assert result.code == "loss"


def test_a_udp_latency_above_tcps_by_what_idle_states_do_is_believed() -> None:
    text = "tcp_lat:\n    latency  =  10000 ns\nudp_lat:\n    latency  =  40000 ns\n"
    reading = QPERF.parse_client(UDP_LAT, Output(text))
    assert isinstance(reading, Reading)
    assert reading.values["round_trip_seconds"].mean == pytest.approx(80e-6)


def test_a_latency_or_rate_of_zero_is_no_measurement() -> None:
    for spec, text in (
        (TCP_LAT, "tcp_lat:\n    latency  =  0 ns\n"),
        (TCP_BW, "tcp_bw:\n    bw  =  0 bits/sec\n"),
        (UDP_BW, "udp_bw:\n    send_bw  =  5 bits/sec\n    recv_bw  =  0 bits/sec\n"),
    ):
        assert isinstance(QPERF.parse_client(spec, Output(text)), Failure)


def test_more_messages_received_than_sent_is_refused_and_not_clamped(samples: Samples) -> None:
    output = samples("qperf")["udp_bw_counts"]
    result = QPERF.parse_client(UDP_BW, dataclasses.replace(output, stdout=output.stdout.replace("309733", "306141")))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"


@pytest.mark.parametrize(
    ("stdout", "stderr", "code"),
    [
        ("tcp_bw:\n10.0.0.2: failed to connect\n", "", "unreachable"),
        ("tcp_bw:\n", "server: \n", "tool_failed"),
        ("tcp_bw:\n", "", "tool_failed"),
        ("tcp_bw:\n", "server: unable to make TCP socket\n", "busy"),
        ("rds_bw:\n", "server: socket failed: Address family not supported by protocol\n", "not_supported"),
        ("getaddrinfo failed: Temporary failure in name resolution\n", "", "unreachable"),
        ("-zz: bad option; try: qperf --help options\n", "", "tool_failed"),
        ("tcp_bw:\nfailed to send sync: timed out\n", "", "timeout"),
    ],
)
def test_errors_on_either_pipe_even_blank_ones(stdout: str, stderr: str, code: str) -> None:
    result = QPERF.parse_client(TCP_BW, Output(stdout, stderr, 1))
    assert isinstance(result, Failure)
    assert result.code == code


def test_a_blocked_data_port_ends_at_our_deadline() -> None:
    result = QPERF.parse_client(TCP_BW, Output("", "", -15, timed_out=True))
    assert isinstance(result, Failure)
    assert result.code == "timeout"
    assert "data port" in result.message


def test_the_server_says_nothing_or_why_it_did_not_start() -> None:
    assert QPERF.parse_server(TCP_BW, Output("", "", -15)) == Reading()
    assert QPERF.parse_server(TCP_BW, Output("", "", -9, timed_out=True)) == Reading()
    result = QPERF.parse_server(TCP_BW, Output("unable to bind to listen port\n", "", 1))
    assert isinstance(result, Failure)
    assert result.code == "busy"


def test_version() -> None:
    assert QPERF.parse_version(Output("qperf 0.4.11\n")) == "0.4.11"
    assert QPERF.parse_version(Output("", "not found", 127)) is None


def test_command_lines() -> None:
    ports = [61863, 61864]
    common = "qperf 10.0.0.2 -lp 61863 -ip 61864 -ws 2 -to 4 -uu -ub -vvs -vvt"
    assert " ".join(QPERF.server_command(TCP_BW, "10.0.0.2", ports)) == "qperf -lp 61863"
    assert " ".join(QPERF.client_command(TCP_BW, "10.0.0.2", ports)) == f"{common} -t 5 tcp_bw"
    assert " ".join(QPERF.client_command(UDP_BW, "10.0.0.2", ports)) == f"{common} -m 1472 -t 5 udp_bw"
    assert " ".join(QPERF.client_command(TCP_LAT, "10.0.0.2", ports)) == f"{common} -t 5 tcp_lat"
    assert " ".join(QPERF.client_command(UDP_LAT, "10.0.0.2", ports)) == f"{common} -t 1 tcp_lat -t 5 udp_lat"
    assert QPERF.ports_needed(TCP_BW) == 2
    assert QPERF.listens_on(TCP_BW, ports) == (("tcp", 61863),)


@pytest.mark.parametrize(
    ("spec", "change", "code", "field"),
    [
        (TCP_BW, {"test": "path-mtu"}, "not_supported", "test"),
        (TCP_BW, {"family": 5}, "not_supported", "family"),
        (TCP_BW, {"duration_seconds": 0}, "not_supported", "duration_seconds"),
        (TCP_BW, {"duration_seconds": 0.5}, "not_supported", "duration_seconds"),
        (TCP_BW, {"streams": 2}, "not_supported", "streams"),
        (TCP_BW, {"congestion_control": "bbr"}, "not_supported", "congestion_control"),
        (TCP_BW, {"mss_bytes": 1200}, "not_supported", "mss_bytes"),
        (TCP_BW, {"message_bytes": 0}, "not_supported", "message_bytes"),
        (UDP_LAT, {"message_bytes": 65_508}, "not_supported", "message_bytes"),
        (UDP_BW, {"message_bytes": None}, "not_supported", "message_bytes"),
        (UDP_BW, {"offered_bits_per_second": 1_000_000}, "rate_not_supported", "offered_bits_per_second"),
        (TCP_BW, {"offered_bits_per_second": 1_000_000}, "rate_not_supported", "offered_bits_per_second"),
    ],
)
def test_what_qperf_cannot_do_is_refused(spec: Spec, change: dict[str, Any], code: str, field: str) -> None:
    refusal = QPERF.refuse(dataclasses.replace(spec, **change))
    assert isinstance(refusal, Failure)
    assert (refusal.code, refusal.field) == (code, field)


@pytest.mark.parametrize("spec", [TCP_BW, UDP_BW, TCP_LAT, UDP_LAT, dataclasses.replace(TCP_BW, omit_seconds=1)])
def test_what_qperf_can_do_is_not_refused(spec: Spec) -> None:
    assert QPERF.refuse(spec) is None
