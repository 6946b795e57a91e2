"""What a path leaves of the hosts' bandwidth and adds to their latency: pair by pair, then the median."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.document import Cell, Host, Hosts, Node, Parameters, Summary
from netmesh_controller.mesh.matrix import matrices
from netmesh_controller.mesh.share import Share, shares

NAMES = ["a", "b", "c"]
NODES = [Node(name=name) for name in NAMES]
IPERF3 = Parameters(instrument="iperf3")


def cell(
    path: str,
    pair: str,
    mean: float,
    *,
    test: str = "tcp-bandwidth",
    value: str = "bits_per_second",
    parameters: Parameters = IPERF3,
    cost: float | None = None,
) -> Cell:
    return Cell(
        path=path,
        test=test,
        source=pair[0],
        target=pair[1],
        repeat=1,
        attempt=1,
        parameters=parameters,
        outcome="measured",
        values={value: Summary(mean=mean)},
        hosts=Hosts(source=Host(cpu_seconds_per_gigabyte=cost)) if cost is not None else Hosts(),
    )


def found(cells: list[Cell]) -> dict[tuple[str, str], Share]:
    return {(share.path, share.value): share for share in shares(matrices(NODES, cells))}


def test_bandwidth_is_a_ratio_pair_by_pair() -> None:
    cells = [cell("host-to-host", pair, rate) for pair, rate in (("ab", 100), ("ac", 1000), ("bc", 400))]
    cells += [cell("pod-to-pod", pair, rate) for pair, rate in (("ab", 50), ("ac", 900), ("bc", 320), ("ba", 1))]
    share = found(cells)["pod-to-pod", "bits_per_second"]
    # 0.5, 0.9 and 0.8; the ratio of the medians would be 320 / 400 too, that of the means 0.85. "ba" has no baseline.
    assert (share.how, share.unit, share.pairs) == ("ratio", "1", 3)
    assert share.figure == pytest.approx(0.8)
    assert ("host-to-host", "bits_per_second") not in found(cells)


def test_latency_connects_and_cpu_are_added() -> None:
    cells = [
        cell(path, "ab", mean, test=test, value=value)
        for path, mean in (("host-to-host", 20e-6), ("pod-to-service", 50e-6))
        for test, value in (("tcp-latency", "round_trip_seconds"), ("tcp-connect", "connect_seconds"))
    ]
    cells += [cell("host-to-host", "ab", 1e9, cost=0.5), cell("pod-to-service", "ab", 1e9, cost=0.75)]
    by = found(cells)
    for value in ("round_trip_seconds", "connect_seconds"):
        share = by["pod-to-service", value]
        assert (share.how, share.unit) == ("added", "s")
        assert share.figure == pytest.approx(30e-6)
    cost = by["pod-to-service", "source_cpu_seconds_per_gigabyte"]
    assert (cost.unit, cost.figure) == ("s/GB", 0.25)
    assert by["pod-to-service", "target_cpu_seconds_per_gigabyte"].figure is None


def test_what_has_no_baseline_has_no_figure() -> None:
    assert found([cell("pod-to-pod", "ab", 1e9)]) == {}
    share = found([cell("host-to-host", "ab", 1e9), cell("hairpin", "aa", 1e9)])["hairpin", "bits_per_second"]
    assert (share.figure, share.pairs) == (None, 0)
    other = Parameters(instrument="iperf3", streams=4)
    assert found([cell("host-to-host", "ab", 1e9), cell("pod-to-pod", "ab", 1e9, parameters=other)]) == {}


def test_a_message_as_large_as_the_path_allows_may_differ() -> None:
    sizes = [Parameters(instrument="qperf", message_bytes=size) for size in (1472, 1422, 1000)]
    cells = [
        cell("host-to-host", "ab", 100, test="udp-bandwidth", parameters=sizes[0]),
        cell("pod-to-pod", "ab", 90, test="udp-bandwidth", parameters=sizes[1]),
    ]
    assert found(cells)["pod-to-pod", "bits_per_second"].figure == pytest.approx(0.9)
    cells.append(cell("host-to-host", "ab", 50, test="udp-bandwidth", parameters=sizes[2]))
    assert found(cells) == {}


@given(st.lists(st.floats(1e3, 1e12), min_size=6, max_size=6), st.floats(0.01, 2))
def test_a_path_that_takes_the_same_part_everywhere_has_that_share(rates: list[float], part: float) -> None:
    pairs = [a + b for a in NAMES for b in NAMES if a != b]
    cells = [cell("host-to-host", pair, rate) for pair, rate in zip(pairs, rates, strict=True)]
    cells += [cell("pod-to-pod", pair, rate * part) for pair, rate in zip(pairs, rates, strict=True)]
    share = found(cells)["pod-to-pod", "bits_per_second"]
    assert share.pairs == 6
    assert share.figure == pytest.approx(part)
