"""The real sockperf, run as the agent runs programs: on loopback, and through a link that loses packets."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netmesh_agent import histogram, process
from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.sockperf import START_UP_SECONDS, Sockperf

pytestmark = pytest.mark.skipif(shutil.which("sockperf") is None, reason="sockperf is not installed")

SOCKPERF = Sockperf()
_STATES = {"tcp": "0A", "udp": "07"}


def free_port(test: str) -> int:
    kind = socket.SOCK_STREAM if test == "tcp-latency" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port


async def measure(
    spec: Spec, address: str, port: int, *, server: Sequence[str] = (), client: Sequence[str] = ()
) -> tuple[Reading | Failure, Output, float]:
    """The reading, the server's output and the seconds that the client took; both sides behind the given prefixes."""
    assert SOCKPERF.refuse(spec) is None
    deadline = spec.duration_seconds + SOCKPERF.client_overhead_seconds(spec)
    serving = await process.start([*server, *SOCKPERF.server_command(spec, address, [port])], deadline_seconds=30)
    try:
        ((protocol, _),) = SOCKPERF.listens_on(spec, [port])
        give_up = time.monotonic() + 5
        while not _listens(serving.pid, protocol, port):
            assert serving.running
            assert time.monotonic() < give_up, "the server does not listen"
            await asyncio.sleep(0.02)
        ended = await process.run([*client, *SOCKPERF.client_command(spec, address, [port])], deadline_seconds=deadline)
    finally:
        said = await serving.end()
    seconds = (ended.ended_nanoseconds - ended.started_nanoseconds) / 1e9
    return SOCKPERF.parse_client(spec, ended.output), said.output, seconds


def _listens(pid: int, protocol: str, port: int) -> bool:
    # All sockets in the network namespace of the server's own process, which is a grandchild of the one started.
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    of = children[0] if children else str(pid)
    try:
        rows = [line.split() for line in Path(f"/proc/{of}/net/{protocol}").read_text().splitlines()[1:]]
    except OSError:
        return False
    return any(row[3] == _STATES[protocol] and int(row[1].rsplit(":", 1)[1], 16) == port for row in rows)


@pytest.mark.parametrize("test", ["tcp-latency", "udp-latency"])
async def test_loopback(test: str) -> None:
    spec = Spec(test, "sockperf", duration_seconds=1, message_bytes=64)
    reading, served, seconds = await measure(spec, "127.0.0.1", free_port(test))
    assert isinstance(reading, Reading), reading
    round_trip = reading.values["round_trip_seconds"]
    assert round_trip.min is not None
    assert round_trip.p50 is not None
    assert 0 < round_trip.min <= round_trip.p50 < 1
    # A message each millisecond, in the half second that is measured: no more than the program had time for.
    assert 200 < round_trip.count <= 1000 * seconds
    assert reading.values.keys() - {"loss_ratio"} == {
        "round_trip_seconds",
        "jitter_seconds",
        "messages_per_second",
    }
    assert ("loss_ratio" in reading.values) == (test == "udp-latency")
    assert reading.values["messages_per_second"].mean < 1100
    assert reading.reported["mean_round_trip_seconds"] == pytest.approx(round_trip.mean, abs=0.02e-6)
    assert reading.reported["half_round_trip_seconds"] == pytest.approx(round_trip.mean / 2, abs=0.01e-6)
    median = histogram.percentile(reading.histograms["round_trip_seconds"], 50) / 1e9
    assert median == pytest.approx(round_trip.p50, rel=0.05)
    assert SOCKPERF.parse_server(spec, served) == Reading()
    # The start-up is what the estimate says, at least.
    assert seconds - 1 > START_UP_SECONDS - 0.1


async def test_nobody_there() -> None:
    spec = Spec("tcp-latency", "sockperf", duration_seconds=1)
    ended = await process.run(
        SOCKPERF.client_command(spec, "127.0.0.1", [free_port("tcp-latency")]), deadline_seconds=8
    )
    result = SOCKPERF.parse_client(spec, ended.output)
    assert isinstance(result, Failure)
    assert result.code == "refused"


async def test_the_installed_version_is_read() -> None:
    ended = await process.run(SOCKPERF.version_command, deadline_seconds=10)
    assert SOCKPERF.parse_version(ended.output) is not None
    assert SOCKPERF.parse_version(Output("qperf 0.4.11\n")) is None


def _sh(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)


@pytest.fixture
def link() -> Iterator[tuple[str, str]]:
    """Two network namespaces and a cable; their names. The second one has 10.79.31.2."""
    if os.geteuid() != 0 or shutil.which("iptables") is None:
        pytest.skip("needs root and iptables")
    near, far = f"nmsp{os.getpid() % 100_000}a", f"nmsp{os.getpid() % 100_000}b"
    try:
        for name in (near, far):
            _sh("ip", "netns", "add", name)
            _sh("ip", "-n", name, "link", "set", "lo", "up")
        _sh("ip", "-n", near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
        for name, address in ((near, "10.79.31.1/24"), (far, "10.79.31.2/24")):
            _sh("ip", "-n", name, "addr", "add", address, "dev", "eth0")
            _sh("ip", "-n", name, "link", "set", "eth0", "up")
        yield near, far
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True, timeout=20)


@pytest.mark.measures
async def test_loss_is_counted_and_leaves_the_latency_alone(link: tuple[str, str]) -> None:
    near, far = link
    probability, spec = 0.02, Spec("udp-latency", "sockperf", duration_seconds=3)
    prefixes = {"client": ["ip", "netns", "exec", near], "server": ["ip", "netns", "exec", far]}
    whole, _, _ = await measure(spec, "10.79.31.2", 61863, **prefixes)
    rule = ("INPUT", "-p", "udp", "--dport", "61863", "-m", "statistic", "--mode", "random")
    _sh("ip", "netns", "exec", far, "iptables", "-A", *rule, "--probability", str(probability), "-j", "DROP")
    assert isinstance(whole, Reading), whole
    assert whole.values["loss_ratio"].mean == 0
    # One draw in a hundred lies outside the interval: a second one may not.
    for draw in range(2):
        result, _, _ = await measure(spec, "10.79.31.2", 61863, **prefixes)
        assert isinstance(result, Reading), result
        lossy = result
        sent = lossy.reported["sent_messages"]
        # 99 % of binomial draws; the normal approximation holds for some 50 losses.
        half_width = 2.576 * math.sqrt(probability * (1 - probability) / sent) + 1 / sent
        if abs(lossy.values["loss_ratio"].mean - probability) <= half_width:
            break
        assert draw == 0, lossy.reported
    # Ping-pong would stand still at the first of them: here the median stays what it was.
    quick, slow = whole.values["round_trip_seconds"].p50, lossy.values["round_trip_seconds"].p50
    assert quick is not None
    assert slow is not None
    assert slow < 10 * quick + 0.001
    assert lossy.values["round_trip_seconds"].count > 0.9 * sent
