"""What a starved client says of one link: STAMP's network time and its process's, sockperf, and an HTTP ping.

Two namespaces, a veth pair, and captures at both of its ends. The client has the machine as it is, then 5 % of a core,
then four busy loops beside it on two cores. The servers have no limit.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.agent.stamp.network import FAR, Network, network, p99, truth
from tests.agent.stamp.starve import UNHINDERED, Limit, busy_loops

from netmesh_agent.tools.base import Failure, Output, Spec
from netmesh_agent.tools.sockperf import Sockperf

_SECONDS, _RATE = 4, 1000
_START_SECONDS = 2
_QUOTA_MICROSECONDS = 5_000  # of each 100 ms
_SOCKPERF_PORT, _HTTP_PORT, _HTTP_RATE = 61863, 61864, 100
_HTTP = str(Path(__file__).with_name("http_ping.py"))

Figures = tuple[float, float] | None  # p50 and p99 in seconds


class _Starver:
    """Holds a client to 5 % of a core from when it has started; with `quota` None it is left alone."""

    def __init__(self, limit: Limit, quota: int | None) -> None:
        self._limit, self._quota = limit, quota

    def hold(self, process: subprocess.Popen[str]) -> None:
        self._limit.hold(process)
        self._limit.set(self._quota)

    def release(self) -> None:
        self._limit.set(None)


def main() -> None:
    """Prints a table of p50 and p99 by condition and instrument."""
    print(f"  {'client':<24}{'figure':<40}{'p50':>12}{'p99':>12}")
    limit = Limit(f"nmbench{os.getpid()}")
    try:
        for name, quota, loops in (
            ("as the machine is", None, False),
            ("5 % of a core", _QUOTA_MICROSECONDS, False),
            ("beside 4 busy loops", None, True),
        ):
            with busy_loops() if loops else ExitStack(), network(relay=False, first=UNHINDERED) as made:
                for what, figures in _all(made, _Starver(limit, quota)):
                    shown = [f"{figure * 1e6:,.0f} µs" for figure in figures] if figures else ["-", "-"]
                    print(f"  {name:<24}{what:<40}{shown[0]:>12}{shown[1]:>12}", flush=True)
    finally:
        limit.remove()


def _all(made: Network, starver: _Starver) -> Iterator[tuple[str, Figures]]:
    made.reflector()
    captures = made.capture()
    client = made.stamp(
        made.near, "client", "--rate", str(_RATE), "--omit", str(_START_SECONDS), "--duration", str(_SECONDS)
    )
    time.sleep(_START_SECONDS - 0.5)
    starver.hold(client)
    time.sleep(_SECONDS + 0.5)
    starver.release()
    answer = json.loads(client.communicate(timeout=60)[0])
    real = truth(captures, answer).network
    yield "captures at both ends, of STAMP's packets", (statistics.median(real), p99(real))
    for what, value in (("network", "network_round_trip_seconds"), ("process", "round_trip_seconds")):
        yield f"STAMP, {what}", (answer["values"][value]["p50"], answer["values"][value]["p99"])
    yield "sockperf", _sockperf(made, starver)
    yield f"HTTP ping, {_HTTP_RATE} a second", _http(made, starver)


def _sockperf(made: Network, starver: _Starver) -> Figures:
    tool, spec = Sockperf(), Spec("udp-latency", "sockperf", duration_seconds=_SECONDS, offered_per_second=_RATE)
    with _server(made, *tool.server_command(spec, FAR, [_SOCKPERF_PORT])):
        time.sleep(0.5)
        command = tool.client_command(spec, FAR, [_SOCKPERF_PORT])
        argv = ["nsenter", f"--net=/run/netns/{made.near}", *command]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            time.sleep(_START_SECONDS)  # it is silent for so long
            starver.hold(client)
            time.sleep(_SECONDS)
            starver.release()
            out, log = client.communicate(timeout=60)
    reading = tool.parse_client(spec, Output(out, log, client.returncode))
    if isinstance(reading, Failure):
        print(f"  sockperf: {reading.message}")
        return None
    found = reading.values["round_trip_seconds"]
    return None if found.p50 is None or found.p99 is None else (found.p50, found.p99)


def _http(made: Network, starver: _Starver) -> Figures:
    with _server(made, sys.executable, _HTTP, "server", FAR, str(_HTTP_PORT)) as server:
        assert server.stdout is not None
        server.stdout.readline()
        argv = ["nsenter", f"--net=/run/netns/{made.near}", sys.executable, _HTTP, "client", FAR, str(_HTTP_PORT)]
        argv += [str(_SECONDS), str(_HTTP_RATE)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            client.stdout.readline()
            starver.hold(client)
            out, _ = client.communicate("go\n", timeout=60)
            starver.release()
    took: list[Any] = sorted(json.loads(out))
    return statistics.median(took), p99(took)


@contextmanager
def _server(made: Network, *command: str) -> Iterator[subprocess.Popen[str]]:
    process = made.inside(made.far, *command)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)
