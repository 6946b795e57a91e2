"""The real programs on loopback, run by the command lines as built."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from netmesh_agent.tools import INSTRUMENTS
from netmesh_agent.tools.base import Instrument, Output, Reading, Spec

_LISTEN = "0A"
_CASES = [
    Spec("tcp-bandwidth", "iperf3", duration_seconds=1, omit_seconds=1, streams=2, congestion_control="cubic"),
    Spec("tcp-bandwidth", "iperf3", duration_seconds=1, streams=2, offered_bits_per_second=20_000_000, mss_bytes=1000),
    Spec("udp-bandwidth", "iperf3", duration_seconds=1, omit_seconds=1, streams=2, offered_bits_per_second=20_000_000),
    Spec("udp-bandwidth", "iperf3", duration_seconds=1, offered_bits_per_second=20_000_000, message_bytes=1000),
    Spec("tcp-bandwidth", "qperf", duration_seconds=1),
    Spec("udp-bandwidth", "qperf", duration_seconds=1, message_bytes=1400),
    Spec("tcp-latency", "qperf", duration_seconds=1),
    Spec("udp-latency", "qperf", duration_seconds=1),
]
_EXPECTED = {
    "tcp-bandwidth": {"bits_per_second"},
    "udp-bandwidth": {"bits_per_second", "sent_bits_per_second", "packets_per_second", "loss_ratio"},
    "tcp-latency": {"round_trip_seconds", "messages_per_second"},
    "udp-latency": {"round_trip_seconds", "messages_per_second"},
}


def free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def listens(port: int) -> bool:
    # A connect would use a server up that serves one test.
    tables = [Path("/proc/self/net/tcp").read_text(), Path("/proc/self/net/tcp6").read_text()]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return any(row[3] == _LISTEN and int(row[1].rsplit(":", 1)[1], 16) == port for row in rows)


@contextmanager
def server(instrument: Instrument, spec: Spec, address: str, ports: Sequence[int]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        instrument.server_command(spec, address, ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 5
        while not all(listens(port) for _, port in instrument.listens_on(spec, ports)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.01)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def run(spec: Spec, address: str) -> tuple[Reading, Reading]:
    instrument = INSTRUMENTS[spec.instrument]
    assert instrument.refuse(spec) is None
    ports = free_ports(instrument.ports_needed(spec))
    with server(instrument, spec, address, ports) as process:
        ended = subprocess.run(
            instrument.client_command(spec, address, ports), capture_output=True, text=True, timeout=30, check=False
        )
        if instrument.serves_once:
            process.wait(10)
        else:
            os.killpg(process.pid, signal.SIGTERM)
        said = process.communicate()
        client = instrument.parse_client(spec, Output(ended.stdout, ended.stderr, ended.returncode))
        there = instrument.parse_server(spec, Output(*said, process.returncode))
    assert isinstance(client, Reading), client
    assert isinstance(there, Reading), there
    return client, there


@pytest.mark.parametrize(("family", "address"), [(4, "127.0.0.1"), (6, "::1")], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("case", _CASES, ids=[f"{case.instrument}-{case.test}-{i}" for i, case in enumerate(_CASES)])
def test_both_sides_as_built(case: Spec, family: int, address: str) -> None:
    spec = Spec(**{name: getattr(case, name) for name in Spec.__slots__} | {"family": family})
    began = time.monotonic()
    client, there = run(spec, address)
    took = time.monotonic() - began
    values = {**there.values, **client.values}
    assert values.keys() >= _EXPECTED[spec.test]
    assert values["bits_per_second" if "bandwidth" in spec.test else "round_trip_seconds"].mean > 0
    if spec.instrument == "iperf3":
        # Ten of a second, where the machine keeps time; recorded outputs hold the exact numbers.
        assert 1 <= len(there.intervals["bits_per_second"]) <= took / spec.interval_seconds
    if spec.offered_bits_per_second is not None:
        # The rate is shared by the streams, not offered in each.
        sent = (
            values["sent_bits_per_second"].mean
            if spec.test == "udp-bandwidth"
            else client.reported["sent_bits_per_second"]
        )
        assert sent < 1.3 * spec.offered_bits_per_second
    if spec.congestion_control is not None:
        assert client.congestion_control == spec.congestion_control


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=list(INSTRUMENTS))
def test_the_installed_version_is_read(instrument: Instrument) -> None:
    ended = subprocess.run(instrument.version_command, capture_output=True, text=True, timeout=10, check=False)
    assert instrument.parse_version(Output(ended.stdout, ended.stderr, ended.returncode)) is not None
