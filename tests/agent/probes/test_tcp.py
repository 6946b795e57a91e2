"""Connects, requests and responses: real programs on loopback, through routers, and against firewalls."""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

import psutil
import pytest

# The library has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
from tests.agent.probes.conftest import Network
from tests.agent.probes.support import OWN, ask, ended, free_port, inside, listening, read, server

from netmesh_agent import process
from netmesh_agent.tools.base import Failure, Output, Reading, Spec

_FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def lingering(port: int) -> int:
    """How many connections of this machine wait in TIME_WAIT (state 06 of /proc/net/tcp) with that port."""
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return sum(row[3] == "06" and f"{port:04X}" in {row[1].split(":")[1], row[2].split(":")[1]} for row in rows)


@_FAMILIES
def test_connects_are_counted_and_leave_nothing_behind(family: int) -> None:
    spec = Spec("tcp-connect", "netmesh", family=family, duration_seconds=1, omit_seconds=1, offered_per_second=200)
    port = free_port()
    with server(spec, _LOOPBACK[family], port) as serving:
        reading = read(spec, _LOOPBACK[family], port)
        there = OWN.parse_server(spec, ended(serving))
    times = reading.values["connect_seconds"]
    assert times.count == reading.reported["attempted_connections"] == 200
    assert reading.reported["failed_connections"] == 0
    assert times.min is not None
    assert times.p50 is not None
    assert 0 < times.min <= times.p50 < 1
    assert times.p99 is not None
    assert times.p999 is None
    histogram = HdrHistogram.decode(reading.histograms["connect_seconds"])
    assert histogram.get_total_count() == 200
    assert histogram.get_value_at_percentile(50) / 1e9 == pytest.approx(times.p50, rel=0.05)
    assert isinstance(there, Reading)
    # The warm-up's too; the last few may be reset before the server takes them.
    assert 390 <= there.reported["server_accepted_connections"] <= 400
    assert lingering(port) == 0


@_FAMILIES
@pytest.mark.parametrize("size", [None, 1, 100_000])
def test_one_transaction_at_a_time(family: int, size: int | None) -> None:
    spec = Spec(
        "tcp-request-response", "netmesh", family=family, duration_seconds=1, omit_seconds=1, message_bytes=size
    )
    port = free_port()
    with server(spec, _LOOPBACK[family], port) as serving:
        reading = read(spec, _LOOPBACK[family], port)
        there = OWN.parse_server(spec, ended(serving))
    rate, times = reading.values["transactions_per_second"].mean, reading.values["round_trip_seconds"]
    assert rate * times.mean == pytest.approx(1, abs=0.06)
    assert times.count == pytest.approx(rate, rel=0.1)
    assert isinstance(there, Reading)
    assert there.reported["server_transactions"] > times.count


@_FAMILIES
def test_a_connection_for_each_transaction(family: int) -> None:
    spec = Spec("tcp-connect-request-response", "netmesh", family=family, duration_seconds=1, message_bytes=64)
    port = free_port()
    with server(spec, _LOOPBACK[family], port) as serving:
        reading = read(spec, _LOOPBACK[family], port)
        there = OWN.parse_server(spec, ended(serving))
    rate, times = reading.values["transactions_per_second"].mean, reading.values["round_trip_seconds"]
    assert 0.2 < rate * times.mean < 1
    assert isinstance(there, Reading)
    assert there.reported["server_transactions"] == times.count + 1
    assert lingering(port) == 0


@pytest.mark.parametrize("test", ["tcp-request-response", "tcp-connect-request-response"])
def test_a_stranger_who_says_nothing_does_not_hold_the_server(test: str) -> None:
    spec, port = Spec(test, "netmesh", duration_seconds=1), free_port()
    with server(spec, "127.0.0.1", port), socket.create_connection(("127.0.0.1", port)):
        assert read(spec, "127.0.0.1", port).values["round_trip_seconds"].count > 10


def test_the_congestion_control_is_the_one_asked_for() -> None:
    port = free_port()
    spec = Spec("tcp-request-response", "netmesh", duration_seconds=1, congestion_control="cubic")
    with server(spec, "127.0.0.1", port):
        assert isinstance(ask(spec, "127.0.0.1", port), Reading)
        refused = ask(Spec("tcp-request-response", "netmesh", congestion_control="no-such-one"), "127.0.0.1", port)
    assert isinstance(refused, Failure)
    assert refused.code == "not_supported"


@pytest.mark.parametrize("test", ["tcp-connect", "tcp-request-response", "tcp-connect-request-response"])
def test_nobody_listens(test: str) -> None:
    failure = ask(Spec(test, "netmesh"), "127.0.0.1", free_port())
    assert isinstance(failure, Failure)
    assert failure.code == "refused"


def test_a_port_in_use_is_told() -> None:
    spec, port = Spec("tcp-connect", "netmesh"), free_port()
    with server(spec, "127.0.0.1", port):
        second = subprocess.run(
            OWN.server_command(spec, "127.0.0.1", [port]), capture_output=True, text=True, check=False, timeout=10
        )
    failure = OWN.parse_server(spec, Output(second.stdout, second.stderr, second.returncode))
    assert second.returncode == 1
    assert isinstance(failure, Failure)
    assert failure.code == "busy"


@pytest.mark.parametrize(
    ("test", "family", "rule", "code"),
    [
        ("tcp-connect", 4, "REJECT", "refused"),
        ("tcp-connect", 6, "REJECT --reject-with tcp-reset", "refused"),
        ("tcp-connect", 4, "DROP", "timeout"),
        ("tcp-request-response", 6, "REJECT", "refused"),
        ("tcp-connect-request-response", 6, "DROP", "timeout"),
    ],
)
def test_firewalls_have_a_code(network: Network, test: str, family: int, rule: str, code: str) -> None:
    spec = Spec(test, "netmesh", family=family, duration_seconds=1)
    port, address = free_port(), network.address("b", family)
    network.run(network.r1, f"{'iptables' if family == 4 else 'ip6tables'} -A FORWARD -p tcp --dport {port} -j {rule}")
    with server(spec, address, port, network.b):
        failure = ask(spec, address, port, network.a)
    assert isinstance(failure, Failure), failure
    assert failure.code == code


def test_some_connects_fail_and_are_counted_beside_the_others(network: Network) -> None:
    spec = Spec("tcp-connect", "netmesh", duration_seconds=1, offered_per_second=200)
    port, address = free_port(), network.address("b", 4)
    network.run(
        network.r1,
        f"iptables -A FORWARD -p tcp --syn --dport {port} -m statistic --mode nth --every 4 --packet 3 "
        "-j REJECT --reject-with tcp-reset",
    )
    with server(spec, address, port, network.b):
        reading = read(spec, address, port, network.a)
    assert reading.reported["failures_ECONNREFUSED"] == reading.reported["failed_connections"] == 50
    assert reading.values["connect_seconds"].count == 150


@pytest.mark.measures
def test_a_lost_syn_is_in_the_distribution(network: Network) -> None:
    """The kernel repeats a SYN after one second; no answer is waited for before the next connection begins."""
    spec = Spec("tcp-connect", "netmesh", duration_seconds=1, offered_per_second=100)
    port, address = free_port(), network.address("b", 4)
    network.run(
        network.r1,
        f"iptables -A FORWARD -p tcp --syn --dport {port} -m statistic --mode nth --every 5 --packet 2 -j DROP",
    )
    with server(spec, address, port, network.b):
        reading = read(spec, address, port, network.a)
    times = reading.values["connect_seconds"]
    assert times.count == 100
    assert times.p50 is not None
    assert times.max is not None
    assert times.p50 < 1 < times.max < 5


def test_local_ports_that_run_out_are_named(network: Network) -> None:
    spec = Spec("tcp-connect", "netmesh", duration_seconds=1, offered_per_second=200)
    port, address = free_port(), network.address("b", 4)
    network.run(network.r1, f"iptables -A FORWARD -p tcp --dport {port} -j DROP")
    network.run(network.a, "sysctl -qw 'net.ipv4.ip_local_port_range=40000 40009'")
    try:
        failure = ask(spec, address, port, network.a)
    finally:
        network.run(network.a, "sysctl -qw 'net.ipv4.ip_local_port_range=32768 60999'")
    assert isinstance(failure, Failure)
    assert failure.code == "tool_failed"
    assert "local port" in failure.message


def wire_times(capture: bytes) -> list[float]:
    """Seconds from each SYN to its SYN-ACK, by the stamps of a pcap file in nanoseconds (Ethernet, IPv4)."""
    assert struct.unpack_from("=I", capture)[0] == 0xA1B23C4D
    began: dict[int, int] = {}
    times, at = [], 24
    while at < len(capture):
        seconds, nanoseconds, length, _ = struct.unpack_from("=IIII", capture, at)
        packet, at = capture[at + 16 : at + 16 + length], at + 16 + length
        segment = packet[14 + (packet[14] & 15) * 4 :]
        source, target = struct.unpack_from("!HH", segment)
        stamp = seconds * 1_000_000_000 + nanoseconds
        if segment[13] & 0x12 == 0x02:
            began.setdefault(source, stamp)
        elif segment[13] & 0x12 == 0x12 and target in began:
            times.append((stamp - began.pop(target)) / 1e9)
    return times


@pytest.mark.measures
def test_connect_times_are_those_on_the_wire(network: Network, tmp_path: Path) -> None:
    """Within 100 µs at the median of what tcpdump sees in the client's namespace."""
    spec = Spec("tcp-connect", "netmesh", duration_seconds=1, offered_per_second=200)
    address, apart = network.address("b", 4), []
    # Other programs on the machine delay a process that waits: one quiet second in five is enough.
    for attempt in range(5):
        port, file = free_port(), tmp_path / f"{attempt}.pcap"
        command = f"tcpdump -i right -n -U -s 96 --immediate-mode --time-stamp-precision=nano -w {file} tcp port {port}"
        with (
            server(spec, address, port, network.b),
            subprocess.Popen([*inside(network.a), *command.split()], stderr=subprocess.PIPE, text=True) as capturing,
        ):
            assert capturing.stderr is not None
            assert "listening on" in capturing.stderr.readline()
            reading = read(spec, address, port, network.a)
            time.sleep(0.3)
            capturing.terminate()
        on_the_wire = wire_times(file.read_bytes())
        ours = reading.values["connect_seconds"].p50
        assert ours is not None
        assert len(on_the_wire) == 200
        apart.append(ours - statistics.median(on_the_wire))
        kernel = reading.reported["handshake_round_trip_seconds"]
        assert kernel == pytest.approx(statistics.median(on_the_wire), abs=20e-6)
        if 0 <= apart[-1] < 100e-6:
            break
    assert min(apart) > 0, "the program's time holds the wire's"
    assert min(apart) < 100e-6


async def test_a_client_ended_in_mid_test_says_so_and_is_gone() -> None:
    spec, port = Spec("tcp-request-response", "netmesh", duration_seconds=30), free_port()
    serving = await process.start(OWN.server_command(spec, "127.0.0.1", [port]), deadline_seconds=20)
    while not listening(spec, port):
        await asyncio.sleep(0.02)
    client = await process.start(OWN.client_command(spec, "127.0.0.1", [port]), deadline_seconds=20)
    trees = [one for pid in (serving.pid, client.pid) for one in (psutil.Process(pid), *psutil.Process(pid).children())]
    await client.wait(1.0)
    assert client.running
    said = OWN.parse_client(spec, (await client.end()).output)
    assert isinstance(said, Failure)
    assert said.code == "cancelled"
    there = OWN.parse_server(spec, (await serving.end()).output)
    assert isinstance(there, Reading)
    assert there.reported["server_transactions"] > 0
    _, alive = psutil.wait_procs(trees, timeout=3)
    assert not alive


async def test_a_deadline_ends_it_as_a_timeout() -> None:
    spec, port = Spec("tcp-connect", "netmesh", duration_seconds=30), free_port()
    with server(spec, "127.0.0.1", port):
        done = await process.run(OWN.client_command(spec, "127.0.0.1", [port]), deadline_seconds=0.7)
    said = OWN.parse_client(spec, done.output)
    assert isinstance(said, Failure)
    assert said.code == "timeout"
