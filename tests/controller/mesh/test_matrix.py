"""Matrices: a number or a reason in every place, and the right one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.catalogue import COST_VALUES, MEMORY_VALUES, REASONS, TESTS
from netmesh_controller.mesh.document import Cell, CpuCores, Host, Hosts, Matrix, Node, Parameters, Reason, Summary
from netmesh_controller.mesh.matrix import Series, gathered, in_order, matrices

IPERF3 = Parameters(instrument="iperf3")
QPERF = Parameters(instrument="qperf")
BANDWIDTH = Series("pod-to-pod", "tcp-bandwidth", IPERF3)
NAMES = ["node-1", "node-2", "node-10"]
NODES = [Node(name=name) for name in NAMES]
PAIRS = list(itertools.product(NAMES, NAMES))


def cell(source: str, target: str, mean: float | None = None, code: str | None = None, **fields: Any) -> Cell:
    return Cell.model_validate(
        {
            "path": "pod-to-pod",
            "test": "tcp-bandwidth",
            "parameters": IPERF3,
            "repeat": 0,
            "attempt": 1,
            "outcome": "failed" if code else "measured",
            "reason": Reason(code=code, message="It is so.") if code else None,
            "values": {} if mean is None else {"bits_per_second": Summary(mean=mean)},
            "source": source,
            "target": target,
            **fields,
        }
    )


def entry(made: list[Matrix], source: str, target: str, value: str = "bits_per_second") -> float | str | None:
    matrix = next(matrix for matrix in made if matrix.value == value)
    row, column = matrix.sources.index(source), matrix.targets.index(target)
    number, reason = matrix.values[row][column], matrix.reasons[row][column]
    assert (number is None) != (reason is None)
    return reason if number is None else number


def test_order_is_by_zone_then_natural_name() -> None:
    names = [("node-10", "a"), ("node-2", "a"), ("node-1", "zone-10"), ("x", "zone-9"), ("y", None)]
    nodes = in_order([Node(name=name, zone=zone) for name, zone in names])
    assert [node.name for node in nodes] == ["y", "node-2", "node-10", "x", "node-1"]
    assert [node.name for node in in_order(Node(name=n) for n in ("1a", "a1", "a01", "a", "10"))] == [
        "1a",
        "10",
        "a",
        "a01",
        "a1",
    ]


def test_rows_are_sources_and_columns_targets() -> None:
    made = matrices(reversed(NODES), [cell("node-1", "node-10", 7e8)])
    matrix = made[0]
    assert (matrix.value, matrix.unit, matrix.statistic) == ("bits_per_second", "bit/s", "mean")
    assert matrix.sources == matrix.targets == NAMES
    assert matrix.values == [[None, None, 7e8], [None] * 3, [None] * 3]


def test_every_value_of_the_test_has_its_matrix() -> None:
    made = matrices(NODES, [cell("node-1", "node-2", 1e9)])
    assert [m.value for m in made] == [
        "bits_per_second",
        "retransmits",
        "round_trip_seconds",
        *COST_VALUES,
        *MEMORY_VALUES,
    ]
    assert entry(made, "node-1", "node-2", "retransmits") == "not_supported"


@pytest.mark.parametrize("outcome", ["failed", "skipped", "discarded"])
def test_a_gap_has_its_cells_reason_and_never_its_number(outcome: str) -> None:
    made = matrices(NODES, [cell("node-1", "node-2", 5e8, "starved", outcome=outcome)])
    assert entry(made, "node-1", "node-2") == "starved"


def test_pairs_without_a_cell() -> None:
    made = matrices(NODES, [cell("node-1", "node-2", 1e9)], {BANDWIDTH: {("node-1", "node-2"), ("node-2", "node-1")}})
    assert entry(made, "node-1", "node-2") == 1e9
    assert entry(made, "node-2", "node-1") == "cancelled"
    assert entry(made, "node-1", "node-10") == "not_scheduled"
    assert entry(made, "node-1", "node-1") == "not_scheduled"


@pytest.mark.parametrize(
    ("path", "diagonal", "elsewhere"),
    [
        ("pod-to-pod", "not_scheduled", "not_scheduled"),
        ("pod-to-service", "not_scheduled", "not_scheduled"),
        ("hairpin", "not_scheduled", "not_applicable"),
        ("host-to-host", "not_applicable", "not_scheduled"),
        ("host-to-pod", "not_scheduled", "not_scheduled"),
        ("pod-to-host", "not_scheduled", "not_scheduled"),
    ],
)
def test_cells_that_a_path_has_not(path: str, diagonal: str, elsewhere: str) -> None:
    made = matrices(NODES, [], {Series(path, "tcp-bandwidth", IPERF3): set()})
    assert entry(made, "node-2", "node-2") == diagonal
    assert entry(made, "node-2", "node-1") == elsewhere


def test_targets_outside_are_columns_of_their_own() -> None:
    own = Parameters(instrument="netmesh", offered_per_second=100)
    series = Series("pod-to-external", "tcp-connect", own)

    def connect(source: str, target: str, seconds: float) -> Cell:
        values = {"connect_seconds": Summary(mean=seconds)}
        return cell(source, target, path=series.path, test=series.test, parameters=own, values=values)

    cells = [connect("node-2", "web-10", 3e-3), connect("node-1", "web-10", 2e-3), connect("node-10", "web-2", 1e-3)]
    made = matrices(NODES, cells, {series: {("node-1", "web-2"), ("node-1", "dns")}})
    assert [(matrix.value, matrix.unit) for matrix in made] == [("connect_seconds", "s")]
    assert made[0].sources == NAMES
    assert made[0].targets == ["dns", "web-2", "web-10"]
    assert made[0].values == [[None, None, 2e-3], [None, None, 3e-3], [None, 1e-3, None]]
    assert made[0].reasons[0] == ["cancelled", "cancelled", None]
    assert made[0].reasons[1] == ["not_scheduled", "not_scheduled", None]


def test_nodes_at_rest_show_what_keeps_them_busy() -> None:
    own = Parameters(instrument="netmesh", family=None)
    modes = dict.fromkeys(("user", "nice", "system", "irq", "softirq", "steal", "unattributed", "busiest_core"), 0.0)
    host = Host(cpu_cores=CpuCores(**modes, busy=0.25), memory_bytes={"available_min": 2**30})
    at_rest = cell("node-1", "node-1", test="idle", parameters=own, hosts=Hosts(source=host))
    made = matrices(NODES, [at_rest, cell("node-2", "node-2", test="idle", parameters=own)])
    assert [(matrix.value, matrix.unit) for matrix in made] == [
        ("busy_cores", "cores"),
        ("available_memory_bytes", "B"),
    ]
    assert [entry(made, "node-1", "node-1", matrix.value) for matrix in made] == [0.25, 2**30]
    assert entry(made, "node-2", "node-2", "busy_cores") == "not_supported"
    assert entry(made, "node-1", "node-2", "busy_cores") == "not_applicable"


@pytest.mark.parametrize("test", sorted(TESTS))
def test_every_test_has_a_matrix_with_a_unit_for_each_of_its_values(test: str) -> None:
    kind = TESTS[test]
    made = matrices(NODES, [], {Series("pod-to-pod", test, Parameters(instrument=kind.default_instrument)): set()})
    assert [matrix.value for matrix in made] == [*kind.values, *kind.host_values]
    assert made[0].value == kind.headline


def test_a_plan_without_any_cell_yet_has_its_matrices() -> None:
    made = matrices(NODES, [], {BANDWIDTH: set(PAIRS)})
    assert {reason for matrix in made for row in matrix.reasons for reason in row} == {"cancelled"}


def test_numbers_of_one_repeat_are_told_without_a_copy_and_cannot_be_changed() -> None:
    of_one = gathered(NODES, [cell("node-1", "node-2", 1e9)])[BANDWIDTH]
    told = of_one.repeats("bits_per_second")
    assert told[0, 0, 1] == 1e9
    assert np.count_nonzero(np.isfinite(told)) == 1
    assert np.shares_memory(told, of_one.repeats("bits_per_second"))
    with pytest.raises(ValueError, match="read-only"):
        told[0, 0, 1] = 2e9
    of_two = gathered(NODES, [cell("node-1", "node-2", mean, repeat=n) for n, mean in enumerate((1e9, 3e9))])
    assert of_two[BANDWIDTH].repeats("bits_per_second")[:, 0, 1].tolist() == [1e9, 3e9]


def test_repeats_give_the_mean_of_those_measured() -> None:
    repeats = [
        cell("node-1", "node-2", 1e9, repeat=0),
        cell("node-1", "node-2", code="timeout", repeat=1),
        cell("node-1", "node-2", 2e9, repeat=2),
    ]
    assert entry(matrices(NODES, repeats), "node-1", "node-2") == 1.5e9


def test_the_first_failed_repeat_tells_why_in_whatever_order_they_come() -> None:
    repeats = [
        cell("node-1", "node-2", code=code, repeat=n) for n, code in enumerate(("timeout", "agent_lost", "busy"))
    ]
    for order in itertools.permutations(repeats):
        assert entry(matrices(NODES, order), "node-1", "node-2") == "timeout"


def test_series_do_not_mix() -> None:
    made = matrices(
        NODES,
        [
            cell("node-1", "node-2", 1e9),
            cell("node-1", "node-2", 2e9, parameters=QPERF),
            cell("node-1", "node-2", values={"round_trip_seconds": Summary(mean=1e-4)}, test="tcp-latency"),
        ],
    )
    headlines = [
        (m.test, m.parameters.instrument, m.values[0][1])
        for m in made
        if m.value in {"bits_per_second", "round_trip_seconds"}
    ]
    assert headlines == [
        ("tcp-bandwidth", "iperf3", 1e9),
        ("tcp-bandwidth", "iperf3", None),
        ("tcp-bandwidth", "qperf", 2e9),
        ("tcp-bandwidth", "qperf", None),
        ("tcp-latency", "iperf3", 1e-4),
    ]
    assert not [m for m in made if m.test == "tcp-latency" and m.value in COST_VALUES]


def test_cost_of_both_ends() -> None:
    hosts = Hosts(
        source=Host(cpu_seconds_per_gigabyte=0.8, tool_cpu_seconds_per_gigabyte=0.5),
        target=Host(shared_host=True, tool_cpu_seconds_per_gigabyte=0.6),
    )
    made = matrices(NODES, [cell("node-1", "node-2", 1e9, hosts=hosts), cell("node-2", "node-1", 1e9)])
    got = [entry(made, "node-1", "node-2", value) for value in COST_VALUES]
    assert got == [0.8, "shared_host", 0.5, 0.6]
    assert {matrix.unit for matrix in made if matrix.value in COST_VALUES} == {"s/GB"}
    assert [entry(made, "node-2", "node-1", value) for value in COST_VALUES] == ["not_supported"] * 4


def test_memory_in_use_is_that_of_a_host_of_its_own() -> None:
    memory = {"total": 8 << 30, "available_min": 5 << 30, "tool_max": 1 << 20}
    hosts = Hosts(source=Host(memory_bytes=memory), target=Host(shared_host=True, memory_bytes=memory))
    made = matrices(NODES, [cell("node-1", "node-2", 1e9, hosts=hosts), cell("node-2", "node-1", 1e9)])
    assert [entry(made, "node-1", "node-2", value) for value in MEMORY_VALUES] == [3 << 30, "shared_host"]
    assert [entry(made, "node-2", "node-1", value) for value in MEMORY_VALUES] == ["not_supported"] * 2


def test_a_starved_receivers_jitter_is_no_figure_where_its_rate_is_one() -> None:
    values = {"bits_per_second": Summary(mean=1e8), "jitter_seconds": Summary(mean=0.02)}

    def seen(end: str) -> dict[str, Any]:
        return {"verdict": "marked", "signs": ["throttled"], "figures": {f"{end}.throttled": 0.4}}

    udp: dict[str, Any] = {"test": "udp-bandwidth", "values": values}
    cells = [
        cell("node-1", "node-2", **udp, witness=seen("target")),
        cell("node-2", "node-1", **udp, witness=seen("source")),
    ]
    made = matrices(NODES, cells)
    assert [entry(made, "node-1", "node-2", value) for value in values] == [1e8, "starved"]
    assert [entry(made, "node-2", "node-1", value) for value in values] == [1e8, 0.02]


def test_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="node-99"):
        matrices(NODES, [cell("node-1", "node-99", 1e9)])


cells = st.builds(
    lambda pair, mean, code, repeat: cell(pair[0], pair[1], mean, code, repeat=repeat),
    st.sampled_from(PAIRS),
    st.none() | st.floats(0, 1e12),
    st.none() | st.sampled_from(sorted(REASONS)),
    st.integers(0, 3),
)


@given(st.lists(cells, max_size=30), st.sets(st.sampled_from(PAIRS)))
def test_every_entry_is_one_of_number_and_reason(given_cells: list[Cell], planned: set[tuple[str, str]]) -> None:
    for matrix in matrices(NODES, given_cells, {BANDWIDTH: planned}):
        assert [len(row) for row in matrix.values] == [len(row) for row in matrix.reasons] == [3, 3, 3]
        for numbers, reasons in zip(matrix.values, matrix.reasons, strict=True):
            for number, reason in zip(numbers, reasons, strict=True):
                assert (number is None) != (reason is None)
                assert reason is None or reason in REASONS


@given(st.lists(cells, max_size=30))
def test_numbers_come_from_measured_cells_only(given_cells: list[Cell]) -> None:
    made = matrices(NODES, given_cells, {BANDWIDTH: PAIRS})
    for source, target in PAIRS:
        here = [c for c in given_cells if (c.source, c.target) == (source, target) and c.outcome == "measured"]
        means = [summary.mean for c in here if (summary := c.values.get("bits_per_second"))]
        got = entry(made, source, target)
        if means:
            assert isinstance(got, float)
            assert min(means) * (1 - 1e-9) <= got <= max(means) * (1 + 1e-9)
        else:
            assert isinstance(got, str)
