"""What the tests of iperf3's adapter share."""

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


def parse(side: str, spec: Spec, output: Output) -> Reading | Failure:
    return IPERF3.parse_client(spec, output) if side == "client" else IPERF3.parse_server(spec, output)


def changed(output: Output, change: Callable[[dict[str, Any]], None]) -> Output:
    document = json.loads(output.stdout)
    change(document)
    return dataclasses.replace(output, stdout=json.dumps(document))
