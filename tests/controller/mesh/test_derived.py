"""Tables made of tables, against sums done by hand."""

import itertools

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from netmesh_controller.mesh.derived import (
    asymmetry,
    by_group,
    by_node,
    group_percentiles,
    groups_of,
    share_of,
    share_of_line_rate,
)
from netmesh_controller.mesh.document import Cell, Node, Parameters
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series, Table, from_document

NAMES = ("a-1", "a-2", "b-1")
PARAMETERS = Parameters(instrument="iperf3")


def table(values: dict[tuple[str, str], float | str], path: str = "pod-to-pod") -> Table:
    gathered = Gathered(Series(path, "tcp-bandwidth", PARAMETERS), NAMES)
    for (source, target), what in values.items():
        if isinstance(what, str):
            gathered.put(source, target, 1, what, {})
        else:
            gathered.put(source, target, 1, None, {"bits_per_second": what})
    return gathered.table("bits_per_second")


PLAIN: dict[tuple[str, str], float | str] = {
    ("a-1", "a-1"): 90.0,
    ("a-1", "a-2"): 10.0,
    ("a-2", "a-1"): 20.0,
    ("a-1", "b-1"): 4.0,
    ("b-1", "a-1"): 8.0,
    ("a-2", "b-1"): "timeout",
    ("b-1", "a-2"): 6.0,
}


def at(made: Table, source: str, target: str) -> float | str | None:
    row, column = made.sources.index(source), made.targets.index(target)
    reason = made.reason(row, column)
    assert (reason is None) == np.isfinite(made.values[row, column])
    return reason or float(made.values[row, column])


def test_by_node_is_the_median_of_row_and_column_without_the_node_itself() -> None:
    found = by_node(table(PLAIN))
    assert found.nodes == NAMES
    np.testing.assert_array_equal(found.out, [7.0, 20.0, 7.0])
    np.testing.assert_array_equal(found.into, [14.0, 8.0, 4.0])
    assert found.out_count.tolist() == [2, 1, 2]
    assert found.into_count.tolist() == [2, 2, 1]


def test_by_zone_and_by_label() -> None:
    nodes = [Node(name=name, zone=name[0], labels={"rack": name[-1]}) for name in NAMES]
    made, counts = by_group(table(PLAIN), groups_of(nodes))
    assert made.sources == ("a", "b")
    assert at(made, "a", "a") == 15.0
    assert (at(made, "a", "b"), counts[0, 1]) == (4.0, 1)
    assert at(made, "b", "a") == 7.0
    assert at(made, "b", "b") == "not_applicable", "one node has no other of its zone"
    by_rack, _ = by_group(table(PLAIN), groups_of(nodes, "rack"), "max")
    assert at(by_rack, "1", "1") == 8.0
    only_gaps, counts = by_group(table({("a-1", "b-1"): "timeout", ("a-2", "b-1"): "timeout"}), groups_of(nodes))
    assert (at(only_gaps, "a", "b"), counts[0, 1]) == ("timeout", 0)
    with pytest.raises(ValueError, match="p99"):
        by_group(table(PLAIN), groups_of(nodes), "p99")


def test_asymmetry_is_there_over_back() -> None:
    made = asymmetry(table(PLAIN))
    assert at(made, "a-1", "a-2") == 0.5
    assert at(made, "a-2", "a-1") == 2.0
    assert at(made, "a-2", "b-1") == "timeout"
    assert at(made, "b-1", "a-2") == "timeout", "the way back is missing"
    assert at(made, "a-1", "a-1") == "not_applicable"


def test_shares_of_the_hosts_and_of_the_line() -> None:
    hosts = table({pair: 10.0 for pair in itertools.permutations(NAMES, 2) if pair != ("b-1", "a-2")}, "host-to-host")
    made = share_of(table(PLAIN), hosts)
    assert at(made, "a-1", "b-1") == 0.4
    assert at(made, "b-1", "a-2") == "not_scheduled", "the hosts' reason"
    assert at(made, "a-2", "b-1") == "timeout"
    nodes = [Node(name="a-1", facts={"line_rate_bits_per_second": 40.0})]
    nodes.append(Node(name="a-2", facts={"line_rate_bits_per_second": 20.0}))
    nodes.append(Node(name="b-1"))
    line = share_of_line_rate(table(PLAIN), nodes)
    assert at(line, "a-1", "a-2") == 0.5
    assert at(line, "a-1", "b-1") == "not_supported"
    assert at(line, "a-1", "a-1") == "not_applicable"


def test_zone_percentiles_are_of_all_observations() -> None:
    def histogram(*nanoseconds: int) -> str:
        made = HdrHistogram(1, 60_000_000_000, 3)
        for value in nanoseconds:
            made.record_value(value, 500)
        text: bytes = made.encode()
        return text.decode()

    def cell(source: str, target: str, **histograms: str) -> Cell:
        return Cell(
            path="pod-to-pod",
            test="udp-latency",
            source=source,
            target=target,
            repeat=1,
            attempt=1,
            parameters=Parameters(instrument="sockperf"),
            outcome="measured",
            histograms=histograms,
        )

    cells = [
        cell("a-1", "b-1", round_trip_seconds=histogram(100_000)),
        cell("a-2", "b-1", round_trip_seconds=histogram(900_000)),
        cell("b-1", "a-1", round_trip_seconds=histogram(100_000)),
        cell("b-1", "a-2"),
    ]
    found = group_percentiles(cells, "round_trip_seconds", {name: name[0] for name in NAMES})
    assert set(found) == {("a", "b")}, "from b to a one pair kept nothing: a part is not the whole"
    percentiles, count = found["a", "b"]
    assert count == 1000
    assert percentiles["p50"] == pytest.approx(100e-6, rel=1e-3)
    assert percentiles["p99"] == pytest.approx(900e-6, rel=1e-3)


def test_the_document_and_back() -> None:
    made = table(PLAIN)
    read = from_document(made.document())
    np.testing.assert_array_equal(read.values, made.values)
    for row, column in itertools.product(range(3), range(3)):
        assert read.reason(row, column) == made.reason(row, column)
    assert made.document().values[0][0] == 90.0


def test_filled_at_once_as_cell_by_cell() -> None:
    one = table(PLAIN)
    many = Gathered(one.series, NAMES)
    rows, columns = (np.array(side) for side in zip(*itertools.product(range(3), range(3)), strict=True))
    given = [PLAIN.get((NAMES[row], NAMES[column])) for row, column in zip(rows, columns, strict=True)]
    there = np.array([what is not None for what in given])
    means = np.array([what if isinstance(what, float) else np.nan for what in given])
    reasons = [what if isinstance(what, str) else None for what in given if what is not None]
    many.fill(rows[there], columns[there], 1, {"bits_per_second": means[there]}, reasons)
    made = many.table("bits_per_second")
    np.testing.assert_array_equal(made.values, one.values)
    np.testing.assert_array_equal(made.reasons, one.reasons)
