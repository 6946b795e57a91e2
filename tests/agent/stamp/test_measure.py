"""Distributions, and the instrument: its program run as the agent runs any other."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
import socket
import statistics
import subprocess
import sys
import time
from array import array

import pytest

from netmesh_agent import process, sockets
from netmesh_agent.histogram import merge, percentile
from netmesh_agent.stamp.results import distribution, histogram, jitter_seconds
from netmesh_agent.stamp.sessions import Sessions
from netmesh_agent.tools.base import Failure, Output, Reading, Spec, StampSession
from netmesh_agent.tools.stamp import Stamp

STAMP = Stamp()
SPEC = Spec(test="udp-latency", instrument="stamp", duration_seconds=1, omit_seconds=1, offered_per_second=500)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_histograms_travel_and_merge() -> None:
    halves = [range(1_000, 2_000_000, 2_000), range(2_000, 2_000_000, 2_000)]
    merged = merge(histogram(half) for half in halves)
    values = sorted(value for half in halves for value in half)
    for share in (50, 99, 99.99):
        assert percentile(merged, share) == pytest.approx(values[math.ceil(share / 100 * len(values)) - 1], rel=1e-3)


def test_figures_are_exact_and_missing_where_too_few_carry_them() -> None:
    values = array("q", range(1_000, 0, -1))
    found = distribution(values)
    assert found is not None
    assert (found.count, found.stdev) == (1000, statistics.stdev(values) * 1e-9)
    # As numpy's default and Python's "inclusive" method have them.
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    told = [found.min, found.p10, found.p50, found.p99, found.max]
    exact = [1.0, hundredths[9], hundredths[49], hundredths[98], 1000.0]
    assert [round(1e9 * each, 6) for each in told if each is not None] == [round(each, 6) for each in exact]
    few = distribution(array("q", [-5, 7]))
    assert few is not None
    assert (few.min, few.p99, few.p999) == (-5e-9, None, None)
    assert distribution(array("q", [-5])) is not None
    assert distribution(array("q")) is None


def test_jitter_is_within_a_path_not_between_paths() -> None:
    assert jitter_seconds([array("q", [10, 30, 20]), array("q", [1000, 1000])]) == pytest.approx(10e-9)
    assert jitter_seconds([array("q", [10]), array("q", [1000])]) is None


REFLECT = (sys.executable, "-m", "netmesh_agent.stamp.measure", "reflect", "--address", "127.0.0.1")


async def measure(spec: Spec) -> tuple[Reading | Failure, Reading | Failure]:
    """A test as an agent runs it: its own reflector answers the session, the sender is a program."""
    assert spec.session is not None
    sessions = Sessions(["127.0.0.1"], 0)
    try:
        server = sessions.open(spec.session)
        assert sessions.port is not None
        told = dataclasses.replace(spec, session=server.session)
        seconds = spec.duration_seconds + spec.omit_seconds + STAMP.client_overhead_seconds(spec)
        command = STAMP.client_command(told, "127.0.0.1", [sessions.port])
        sender = await process.start(command, deadline_seconds=seconds, secret=spec.session.key)
        client = await sender.ended()
        ended = await server.end()
    finally:
        sessions.close()
    return STAMP.parse_client(spec, client.output), STAMP.parse_server(spec, ended.output)


@pytest.mark.parametrize("key", [None, b"k" * 32], ids=["open", "sealed"])
@pytest.mark.parametrize("message_bytes", [None, 44, 1000])
async def test_the_instrument_measures(message_bytes: int | None, key: bytes | None) -> None:
    if key is not None and message_bytes == 44:
        message_bytes = 112
    session = StampSession(0, ("127.0.0.1", "127.0.0.9"), key)
    spec = dataclasses.replace(SPEC, message_bytes=message_bytes, session=session)
    assert STAMP.refuse(spec) is None
    client, server = await measure(spec)
    assert isinstance(client, Reading)
    assert isinstance(server, Reading)
    values = client.values
    network, host, whole = (
        values[name] for name in ("network_round_trip_seconds", "host_seconds", "round_trip_seconds")
    )
    assert network.count == host.count == whole.count == client.reported["received"]
    assert network.p50 is not None
    assert whole.p50 is not None
    assert 0 < network.p50 < whole.p50
    assert network.mean + host.mean == pytest.approx(whole.mean)
    for name in ("loss_ratio", "forward_loss_ratio", "return_loss_ratio", "duplicate_packets", "late_packets"):
        assert values[name].mean == 0
    assert values["jitter_seconds"].mean > 0
    assert set(client.histograms) == {"network_round_trip_seconds", "host_seconds", "round_trip_seconds"}
    # Both ends of the histogram are observations, whichever the way of counting between them.
    for share, end in ((100, whole.max), (1e-6, whole.min)):
        assert end is not None
        assert percentile(client.histograms["round_trip_seconds"], share) == pytest.approx(end * 1e9, rel=1e-3)
    told = json.loads(client.raw)
    assert len(client.source_ports) == 16
    assert sum(port.sent for port in client.source_ports) == client.reported["sent"] > 100
    assert sum(port.lost for port in client.source_ports) == 0
    least = [port.min_seconds for port in client.source_ports]
    assert min(seconds for seconds in least if seconds is not None) == network.min
    assert told["stamps"]["transmit"] == told["stamps"]["receive"] == "kernel"
    # Without TLVs nobody tells the kernel's T3.
    assert told["stamps"]["reflector_transmit"] == ("process" if message_bytes in {44, 112} else "kernel")
    # Those that end a test are answered too; the warm-up's are another session's.
    assert client.reported["sent"] <= server.reported["reflected"] <= client.reported["sent"] + 16 * 128
    seconds = client.reported["seconds"]
    assert values["messages_per_second"].mean == client.reported["received"] / seconds
    # What a busy machine kept the sender from sending it says.
    due = client.reported["sent"] + client.reported["not_sent_in_time"]
    assert due == pytest.approx(500 * seconds, abs=25)
    if told["one_way_error_seconds"] is None:
        assert "forward_delay_seconds" not in values


async def test_nobody_there() -> None:
    ended = await process.run(STAMP.client_command(SPEC, "127.0.0.1", [free_port()]), deadline_seconds=20)
    found = STAMP.parse_client(SPEC, ended.output)
    assert isinstance(found, Failure)
    assert found.code == "unreachable"


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        command = (*REFLECT, "--port", str(sock.getsockname()[1]), "--ssid", "9")
        ended = await process.run(command, deadline_seconds=20)
    assert ended.output.exit_code == 1
    found = STAMP.parse_server(SPEC, ended.output)
    assert isinstance(found, Failure)
    assert found.code == "busy"


def test_the_reflector_ends_when_it_is_told_to_however_often() -> None:
    port = free_port()
    command = (*REFLECT, "--port", str(port), "--ssid", "9")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + 20
        while not sockets.listening("udp", port) and time.monotonic() < until:
            time.sleep(0.05)
        for _ in range(5):
            child.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        assert child.wait(10) == 0
        assert child.stdout is not None
        assert json.loads(child.stdout.read())["reflected"] == 0


def test_version_is_read_and_the_program_starts_without_grpc() -> None:
    answer = subprocess.run(STAMP.version_command, capture_output=True, text=True, check=True)
    assert STAMP.parse_version(Output(answer.stdout)) is not None
    assert STAMP.parse_version(Output("qperf 0.4.11")) is None
    loaded = "import sys, netmesh_agent.stamp.measure; sys.exit('grpc' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)


def test_impossible_sizes_are_told_by_the_program_itself() -> None:
    place = ("--address", "127.0.0.1", "--port", "9", "--ssid", "1")
    command = [sys.executable, "-m", "netmesh_agent.stamp.measure", "client", *place, "--bytes", "50"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = STAMP.parse_client(SPEC, Output(answer.stdout, answer.stderr, answer.returncode))
    assert isinstance(found, Failure)
    assert (answer.returncode, found.code) == (1, "not_supported")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test", "tcp-latency"),
        ("streams", 2),
        ("family", 5),
        ("congestion_control", "bbr"),
        ("mss_bytes", 1400),
        ("offered_bits_per_second", 1_000_000),
        ("offered_per_second", 0),
        ("offered_per_second", 1_000_000),
        ("message_bytes", 43),
        ("message_bytes", 50),
        ("message_bytes", 9001),
        ("duration_seconds", 0),
    ],
)
def test_what_it_cannot_do_is_refused(field: str, value: object) -> None:
    spec = Spec(**{**{name: getattr(SPEC, name) for name in SPEC.__slots__}, field: value})
    refused = STAMP.refuse(spec)
    assert refused is not None
    assert (refused.code, refused.field) == ("not_supported", field)


@pytest.mark.parametrize(
    "output",
    [
        Output(""),
        Output("{}"),
        Output("[]"),
        Output('{"values": 3}'),
        Output("Traceback", "ValueError: x", 1),
        Output("", "", None, timed_out=True),
    ],
)
def test_output_that_is_none_is_a_failure(output: Output) -> None:
    assert isinstance(STAMP.parse_client(SPEC, output), Failure)
