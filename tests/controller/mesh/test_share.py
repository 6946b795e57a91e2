"""What a path leaves of the hosts' bandwidth and adds to their latency: pair by pair, then the median."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.added_cost import median_added
from netmesh_controller.mesh.document import Cell, Host, Hosts, Node, Parameters, Reason, Summary
from netmesh_controller.mesh.matrix import tables
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
    error: float | None = None,
    repeat: int = 1,
) -> Cell:
    return Cell(
        path=path,
        test=test,
        source=pair[0],
        target=pair[1],
        repeat=repeat,
        attempt=1,
        parameters=parameters,
        outcome="measured",
        values={value: Summary(mean=mean)},
        hosts=Hosts(source=Host(cpu_seconds_per_gigabyte=cost, cpu_error_seconds_per_gigabyte=error))
        if cost is not None
        else Hosts(),
    )


def found(cells: list[Cell]) -> dict[tuple[str, str], Share]:
    return {(share.path, share.value): share for share in shares(tables(NODES, cells), cells)}


def test_bandwidth_is_a_ratio_pair_by_pair() -> None:
    cells = [cell("host-to-host", pair, rate) for pair, rate in (("ab", 100), ("ac", 1000), ("bc", 400))]
    cells += [cell("pod-to-pod", pair, rate) for pair, rate in (("ab", 50), ("ac", 900), ("bc", 320), ("ba", 1))]
    share = found(cells)["pod-to-pod", "bits_per_second"]
    # 0.5, 0.9 and 0.8; the ratio of the medians would be 320 / 400 too, that of the means 0.85. "ba" has no baseline.
    assert (share.how, share.unit, share.pairs) == ("ratio", "1", 3)
    assert share.figure == pytest.approx(0.8)
    assert ("host-to-host", "bits_per_second") not in found(cells)


def test_latency_and_connects_are_added() -> None:
    cells = [
        cell(path, "ab", mean, test=test, value=value)
        for path, mean in (("host-to-host", 20e-6), ("pod-to-service", 50e-6))
        for test, value in (("tcp-latency", "round_trip_seconds"), ("tcp-connect", "connect_seconds"))
    ]
    by = found(cells)
    for value in ("round_trip_seconds", "connect_seconds"):
        share = by["pod-to-service", value]
        assert (share.how, share.unit) == ("added", "s")
        assert share.figure == pytest.approx(30e-6)


def costs(added: list[float], error: float | None = 0.01) -> list[Cell]:
    """One pair, a repeat for each of `added`: 0.5 s/GB between the hosts, and so much more on the path."""
    cells = []
    for repeat, more in enumerate(added, 1):
        cells.append(cell("host-to-host", "ab", 1e9, cost=0.5, error=error, repeat=repeat))
        cells.append(cell("pod-to-service", "ab", 1e9, cost=0.5 + more, error=error, repeat=repeat))
    return cells


SENDER = ("pod-to-service", "source_cpu_seconds_per_gigabyte")


def test_a_cost_that_stands_out_of_its_error_is_stated_with_it() -> None:
    share = found(costs([0.24, 0.25, 0.26, 0.25]))[SENDER]
    assert (share.unit, share.pairs, share.reason) == ("s/GB", 1, None)
    assert share.figure == pytest.approx(0.25)
    # Student's t with 3 degrees of freedom, and the median's scatter: of the cells' own errors, which are larger here.
    assert share.error == pytest.approx(3.182 * 1.2533 * 0.01 * 2**0.5 / 4**0.5, rel=1e-3)


@pytest.mark.parametrize("added", [[-9.6, 4.0, -11.0], [0.02, -0.01, 0.01, 0.0], [3.0, 3.0]], ids=str)
def test_what_noise_alone_may_make_is_no_figure(added: list[float]) -> None:
    """However large the differences: they scatter as much, or each figure's own error is as large."""
    share = found(costs(added, error=0.01 if added != [3.0, 3.0] else 2.0))[SENDER]
    assert share.figure is None
    assert share.reason is not None
    assert "not distinguishable" in share.reason
    assert share.error is not None
    assert share.error > abs(sorted(added)[len(added) // 2])


def test_one_test_alone_shows_no_scatter() -> None:
    share = found(costs([0.25]))[SENDER]
    assert (share.figure, share.pairs) == (None, 1)
    assert share.reason is not None


def test_of_noise_alone_one_in_twenty_is_called_a_cost_at_most() -> None:
    draw = random.Random(20261125)
    called = sum(
        median_added(
            {("a", "b", repeat): (draw.gauss(1, 0.3), 0.1) for repeat in range(6)},
            {("a", "b", repeat): (draw.gauss(1, 0.3), 0.1) for repeat in range(6)},
        ).figure
        is not None
        for _ in range(2000)
    )
    assert 0 < called <= 100


def test_a_discarded_cell_has_no_part() -> None:
    cells = costs([0.24, 0.25, 0.26, 0.25])
    reason = Reason(code="starved", message="a: throttled")
    cells[1] = cells[1].model_copy(update={"outcome": "discarded", "reason": reason})
    assert found(cells)[SENDER] == found([cells[0], *cells[2:]])[SENDER]


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


def test_of_a_probes_round_trip_the_networks_part_is_compared() -> None:
    stamp = Parameters(instrument="stamp")

    def probe(path: str, pair: str, network: float) -> Cell:
        values = {
            "network_round_trip_seconds": Summary(mean=network),
            "round_trip_seconds": Summary(mean=network + 2e-3),
        }
        made = cell(path, pair, network, test="udp-latency", parameters=stamp)
        return made.model_copy(update={"values": values})

    cells = [probe("host-to-host", "ab", 20e-6), probe("host-to-host", "ba", 22e-6)]
    cells += [probe("pod-to-pod", "ab", 25e-6), probe("pod-to-pod", "ba", 37e-6)]
    compared = found(cells)
    assert set(compared) == {("pod-to-pod", "network_round_trip_seconds")}
    added = compared["pod-to-pod", "network_round_trip_seconds"]
    assert (added.figure, added.least, added.most) == pytest.approx((10e-6, 5e-6, 15e-6))


def test_costs_whose_errors_are_not_known_are_no_figure() -> None:
    cells = costs([0.24, 0.25, 0.26, 0.25])
    host = cells[1].hosts.source
    assert host is not None
    unknown = Hosts(source=host.model_copy(update={"cpu_error_seconds_per_gigabyte": None}))
    cells[1] = cells[1].model_copy(update={"hosts": unknown})
    share = found(cells)[SENDER]
    assert (share.figure, share.reason) == (None, "how uncertain the single costs are is not known")
