"""netmesh beside how others call the same tools: one lab, one pair, one link of 200 Mbit/s.

The others' own programs need a cluster. Run here are their calls of the tools, and their way to the figure, as their
sources have them: knb (InfraBuilder/k8s-bench-suite), the netperf suite of kubernetes/perf-tests and k8s-netperf
(cloud-bulldozer/k8s-netperf). All tests have the same length. netperf itself is not run: Debian main does not have it.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import echo
from netmesh_agent.tools.qperf_output import read_blocks
from netmesh_controller import lab as labs
from netmesh_controller.mesh.document import Cell, RunDocument

_RATE = 200_000_000
_SPEC = "nodes: 2\nlinks: {node-1: {rate: 200M}}"
_SECONDS = "5"
_SOURCE, _TARGET = "node-1", "node-2"
# A frame of Ethernet holds 1448 bytes of TCP's data in 1514, of iperf3's UDP 1448 in 1490.
_TCP_ALLOWS, _UDP_ALLOWS = _RATE * 1448 / 1514, _RATE * 1448 / 1490
_BITS, _ROUND_TRIP, _WHOLE = "bits_per_second", "round_trip_seconds", "the whole round trip"
_TESTS = "tcp-bandwidth,udp-bandwidth,tcp-latency,udp-latency,tcp-request-response"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, in bits per second or seconds; None with the reason in `what`, which else says what it is."""

    who: str
    figure: float | None
    what: str


def main() -> None:
    """Builds the lab, runs everything one after the other, and prints three tables."""
    with labs.up(labs.load_spec(_SPEC), ephemeral=True) as lab:
        address = next(one.address for one in lab.targets() if (one.node, one.role) == (_TARGET, "pod"))
        cells = _sweep(lab.name)
        with ExitStack() as servers:
            for command in (["iperf3", "-s"], ["qperf"]):
                servers.enter_context(_server(lab.name, command))
            time.sleep(0.5)
            calls = _Calls(lab.name, address)
            tcp, udp = calls.tcp(), calls.udp()
            by_hand = calls.qperf("tcp_bw", "tcp_lat")
            round_trip = calls.echo()
    tcp += [_by_hand(by_hand, "tcp_bw", "bw", "bits_per_second", "received: `bw`")]
    half = "`latency` as printed: half the round trip"
    latencies = [round_trip, _by_hand(by_hand, "tcp_lat", "latency", "seconds", half)]
    ours = {test: list(_netmesh(cells, test, _BITS, "received")) for test in ("tcp-bandwidth", "udp-bandwidth")}
    _print("TCP, of what the link allows", _TCP_ALLOWS, _rate, [*ours["tcp-bandwidth"], *tcp])
    _print("UDP unpaced, of what the link allows", _UDP_ALLOWS, _rate, [*ours["udp-bandwidth"], *udp])
    for test in ("tcp-latency", "udp-latency", "tcp-request-response"):
        latencies += _netmesh(cells, test, _ROUND_TRIP, _WHOLE)
    _print("Idle latency, of the average echo", round_trip.figure, _time, latencies)
    print("  latencies of tens of µs are the CPUs' idle states and other load at that moment more than the path")
    print("  not run: netperf (perf-tests' TCP_STREAM; k8s-netperf's STREAM, RR, CRR) and uperf")


def _sweep(name: str) -> Sequence[Cell]:
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        command = [sys.executable, "-m", "netmesh_controller", "sweep", "--lab", name]
        command += ["--pairs", f"{_SOURCE}:{_TARGET}", "--tests", _TESTS, "--tool", "iperf3,qperf,sockperf"]
        command += ["--rate", "unlimited", "--duration", f"{_SECONDS}s", "--omit", "1s", "--format", "json"]
        environment = {**os.environ, "NETMESH_DATA_DIR": str(Path(folder) / "data")}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return RunDocument.model_validate(json.loads(done.stdout)).cells


def _netmesh(cells: Sequence[Cell], test: str, value: str, what: str) -> Iterator[Row]:
    for cell in cells:
        if cell.test != test:
            continue
        who = f"netmesh, {cell.parameters.instrument}"
        summary = cell.values.get(value)
        if summary is None:
            yield Row(who, None, cell.reason.message if cell.reason is not None else "not known")
        elif value == _ROUND_TRIP and summary.p50 is not None:
            yield Row(who, summary.mean, f"{what}, mean, of {test}; p50 {_time(summary.p50)}")
        else:
            yield Row(who, summary.mean, f"{what}, mean, of {test}")


def _by_hand(text: str, test: str, name: str, kind: str, what: str) -> Row:
    figure = next((block.get(name, kind) for block in read_blocks(text) if block.test == test), None)
    return Row("qperf by hand", figure, what if figure is not None else "qperf printed no result")


class _Calls:
    """The others' calls, from the source's pod to the target's."""

    def __init__(self, lab: str, address: str) -> None:
        self._lab, self._address = lab, address

    def tcp(self) -> list[Row]:
        """knb's call; perf-tests' at the largest segment of its series (96 to 1460 by 64); k8s-netperf's."""
        knb = self._iperf3("-O", "1", "-f", "m")
        eight = ("-V", "-N", "-i", "30", "-f", "m", "-Z", "-J", "-P", "8", "-M", "1440")
        suite = _json(self._iperf3(*eight, "-w", "512M"))
        note = "8 streams, -w 512M"
        if "error" in suite:
            note = f"8 streams, without -w 512M: '{suite['error']}'"
            suite = _json(self._iperf3(*eight))
        netperf = _json(self._iperf3("-J", "-P", "1", "-l", "1024"))
        return [
            Row("knb", _receiver(knb), "received: the line `receiver`"),
            _end("perf-tests", suite, "sum_sent", f"sent; {note}"),
            _end("k8s-netperf, iperf3", netperf, "sum_received", "received; writes of 1024 bytes, no warm-up left out"),
        ]

    def udp(self) -> list[Row]:
        """The same three; all of them send as fast as they can."""
        knb = self._iperf3("-u", "-b", "0", "-O", "1", "-f", "m")
        suite = _json(self._iperf3("-i", "30", "-f", "m", "-b", "0", "-u", "-J"))
        netperf = _json(self._iperf3("-J", "-P", "1", "-u", "-l", "1024", "-b", "0"))
        return [
            Row("knb", _receiver(knb), "received: the line `receiver`"),
            _end("perf-tests", suite, "sum", "`end.sum`: sent"),
            _end("k8s-netperf, iperf3", netperf, "sum", "`end.sum`: sent; datagrams of 1024 bytes"),
        ]

    def qperf(self, *tests: str) -> str:
        """What qperf prints."""
        return self._run("qperf", self._address, "-t", _SECONDS, *tests)

    def echo(self) -> Row:
        """What ping's `avg` is."""
        said = self._run(sys.executable, str(echo.__file__), self._address)
        if not said:
            return Row("echo (as ping)", None, "no answer")
        times = [float(line) for line in said.split()]
        return Row("echo (as ping)", statistics.mean(times), f"{_WHOLE}, mean of {len(times)} by ICMP")

    def _iperf3(self, *options: str) -> str:
        return self._run("iperf3", "-c", self._address, "-t", _SECONDS, *options)

    def _run(self, *command: str) -> str:
        argv = labs.exec_argv(self._lab, _SOURCE, "agent", command)
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout


@contextmanager
def _server(lab: str, command: Sequence[str]) -> Iterator[None]:
    argv = labs.exec_argv(lab, _TARGET, "agent", command)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def _receiver(text: str) -> float | None:
    """Mbit/s of iperf3's line for the receiver, as knb cuts it out."""
    found = re.search(r"([\d.]+) Mbits/sec.*receiver", text)
    return float(found[1]) * 1e6 if found else None


def _json(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text[text.find("{") :] or "{}")
    return document


def _end(who: str, document: dict[str, Any], part: str, what: str) -> Row:
    figure = document.get("end", {}).get(part, {}).get("bits_per_second")
    return Row(who, figure, what if figure is not None else f"iperf3: {document.get('error', 'no result')}")


def _print(title: str, reference: float | None, scaled: Callable[[float], str], rows: Sequence[Row]) -> None:
    print(f"  {title}" + (f": {scaled(reference)}" if reference is not None else ""))
    for row in rows:
        figure = scaled(row.figure) if row.figure is not None else "-"
        ratio = f"{row.figure / reference:.3f}" if row.figure is not None and reference else ""
        print(f"    {row.who:<22} {figure:>15} {ratio:>7}  {row.what}")


def _rate(bits_per_second: float) -> str:
    return f"{bits_per_second / 1e6:.1f} Mbit/s"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"
