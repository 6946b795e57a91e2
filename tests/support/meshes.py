"""Run documents of meshes that nobody measured, with what reports have to cope with: gaps, zones, repeats, names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # has no types

from netmesh_controller.mesh.document import (
    Cell,
    Finding,
    Node,
    Parameters,
    PlanRecord,
    Reason,
    Run,
    RunDocument,
    Summary,
    ToolRecord,
)
from netmesh_controller.mesh.matrix import matrices

IPERF3 = Parameters(instrument="iperf3", streams=1, direction="forward")
SOCKPERF = Parameters(instrument="sockperf", offered_per_second=1000)
HOSTILE = '<img src=x onerror="document.title=`owned`">&"\'$x_1$</script>'
FORMULA = "=HYPERLINK(1)"


def run_of(count: int) -> Run:
    return Run(
        id="20260101-120000-abcd",
        name=f"mesh of {count}",
        state="partial",
        started_at="2026-01-01T12:00:00.000Z",
        finished_at="2026-01-01T12:10:00.000Z",
        netmesh_version="0.1.0",
        plan=PlanRecord(asked={"paths": "pod-to-pod"}, resolved={"repeat": 1, "pairs": "all"}),
    )


def nodes_of(count: int, zones: int = 3, name: Callable[[int], str] | None = None) -> list[Node]:
    named = name or (lambda place: f"worker-{place + 1}")
    return [
        Node(
            name=named(place),
            zone=f"zone-{'abcdefghijklmnop'[place * zones // count]}" if zones else None,
            facts={"kernel": "6.1" if place else "6.2"},
        )
        for place in range(count)
    ]


def generated(
    count: int,
    *,
    zones: int = 3,
    repeats: int = 1,
    name: Callable[[int], str] | None = None,
    paths: tuple[str, ...] = ("pod-to-pod", "host-to-host"),
    seed: int = 1,
    histograms: bool = True,
    quick: float = 1.0,
) -> RunDocument:
    """Bandwidth and latency of all pairs; node 2 sends slowly, other zones are slower, one pair in fifty timed out."""
    random = np.random.default_rng(seed)
    nodes = nodes_of(count, zones, name)
    cells: list[Cell] = []
    for path in paths:
        for row, source in enumerate(nodes):
            for column, target in enumerate(nodes):
                if path == "host-to-host" and row == column:
                    continue
                gap = row != column and random.random() < 0.02
                for repeat in range(1, repeats + 1):
                    slow = 0.4 if row == 1 and row != column else 1.0
                    far = 0.8 if source.zone != target.zone else 1.0
                    rate = 9.4e9 * quick * slow * far * (1 + 0.02 * random.standard_normal())
                    cells.append(_bandwidth(path, source.name, target.name, repeat, float(rate), gap=gap))
                    trip = 1e-4 / slow / far * (1 + 0.1 * random.random(200))
                    cells.append(_latency(path, source.name, target.name, repeat, trip, gap=gap, whole=histograms))
    sentence = f"{nodes[1].name} sends slowly: 3.6 Gbit/s, 0.40 of what the others send."
    finding = Finding(
        kind="slow_node",
        where={"node": nodes[1].name},
        size=0.4,
        evidence={"pairs": count - 1},
        confidence=0.999,
        sentence=sentence,
    )
    return RunDocument(run=run_of(count), nodes=nodes, cells=cells, matrices=matrices(nodes, cells), findings=[finding])


def _bandwidth(path: str, source: str, target: str, repeat: int, rate: float, *, gap: bool) -> Cell:
    return Cell(
        path=path,
        test="tcp-bandwidth",
        source=source,
        target=target,
        repeat=repeat,
        attempt=1,
        parameters=IPERF3,
        outcome="failed" if gap else "measured",
        reason=Reason(code="timeout", message=f"{target} did not answer in time") if gap else None,
        values={}
        if gap
        else {
            "bits_per_second": Summary(mean=rate, min=0.9 * rate, p50=1.01 * rate, max=1.1 * rate, count=50),
            "retransmits": Summary(mean=float(round(rate / 1e9))),
        },
        tool=ToolRecord(version="3.12", command_source=f"iperf3 -c {target} -t 5", command_target="iperf3 -s -1"),
    )


def _latency(
    path: str,
    source: str,
    target: str,
    repeat: int,
    trips: np.ndarray[tuple[int], np.dtype[np.float64]],
    *,
    gap: bool,
    whole: bool,
) -> Cell:
    histogram = HdrHistogram(1, 10**10, 3)
    for trip in trips if whole else ():
        histogram.record_value(round(trip * 1e9))
    return Cell(
        path=path,
        test="udp-latency",
        source=source,
        target=target,
        repeat=repeat,
        attempt=1,
        parameters=SOCKPERF,
        outcome="failed" if gap else "measured",
        reason=Reason(code="unreachable", message=f"no reply came from {target}") if gap else None,
        values={}
        if gap
        else {
            "round_trip_seconds": Summary(
                mean=float(trips.mean()),
                min=float(trips.min()),
                p50=float(np.quantile(trips, 0.5)),
                p99=float(np.quantile(trips, 0.99)),
                max=float(trips.max()),
                count=len(trips),
            ),
            "loss_ratio": Summary(mean=0.0),
        },
        histograms={} if gap or not whole else {"round_trip_seconds": histogram.encode().decode()},
        tool=ToolRecord(version="3.7"),
    )
