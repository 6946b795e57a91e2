"""Bandwidths against their way back, the hosts and the line: numbers where both are known, reasons elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from netmesh_controller.mesh.document import Node, Parameters
from netmesh_controller.mesh.relations import with_relations
from netmesh_controller.mesh.table import Series, Table

NAN = float("nan")
IPERF3 = Parameters(instrument="iperf3")


def table(path: str, rows: list[list[float]], parameters: Parameters = IPERF3, value: str = "bits_per_second") -> Table:
    values = np.array(rows)
    reasons = np.where(np.isfinite(values), 0, 1).astype(np.uint8)
    series = Series(path, "tcp-bandwidth", parameters)
    return Table(series, value, "mean", "bit/s", ("a", "b", "c"), ("a", "b", "c"), values, reasons, ("", "timeout"))


PODS = table("pod-to-pod", [[30e9, 4e9, 9e9], [8e9, 30e9, NAN], [9e9, 9e9, 30e9]])
HOSTS = table("host-to-host", [[NAN, 8e9, 9e9], [8e9, NAN, 9e9], [NAN, 10e9, NAN]])


def nodes(*rates: float | None) -> list[Node]:
    return [Node(name=name, facts={"line_rate_bits_per_second": rate}) for name, rate in zip("abc", rates, strict=True)]


def found(*tables: Table, rates: tuple[float | None, ...] = (None, None, None)) -> dict[tuple[str, str], Table]:
    made = with_relations(tables, nodes(*rates))
    assert [one for one in made if one in tables] == list(tables)
    # Each series stands together, as it does among the matrices of a document.
    paths = [one.series.path for one in made]
    assert paths == sorted(paths, key=paths.index)
    return {(one.series.path, one.value): one for one in made}


def test_each_way_is_held_against_the_way_back() -> None:
    one = found(PODS)["pod-to-pod", "there_over_back_ratio"]
    assert one.values[0, 1] == pytest.approx(0.5)
    assert one.values[1, 0] == pytest.approx(2)
    assert (one.reason(1, 2), one.reason(2, 1), one.reason(0, 0)) == ("timeout", "timeout", "not_applicable")


def test_a_pair_is_held_against_the_same_pair_of_hosts() -> None:
    made = found(HOSTS, PODS)
    one = made["pod-to-pod", "share_of_hosts_ratio"]
    assert one.values[0, 1] == pytest.approx(0.5)
    assert one.values[2, 1] == pytest.approx(0.9)
    assert one.reason(2, 0) == "timeout", "the hosts' own gap"
    assert ("host-to-host", "share_of_hosts_ratio") not in made
    other = table("pod-to-pod", PODS.values.tolist(), Parameters(instrument="iperf3", streams=4))
    assert ("pod-to-pod", "share_of_hosts_ratio") not in found(HOSTS, other), "of other streams they are no measure"


def test_the_slower_line_of_both_counts() -> None:
    one = found(PODS, rates=(25e9, 10e9, None))["pod-to-pod", "share_of_line_rate_ratio"]
    assert one.values[0, 1] == pytest.approx(0.4)
    assert one.reason(0, 2) == "not_supported"
    assert one.reason(0, 0) == "not_applicable"
    assert ("pod-to-pod", "share_of_line_rate_ratio") not in found(PODS), "no node tells its line"
    paced = table("pod-to-pod", PODS.values.tolist(), Parameters(instrument="iperf3", offered_bits_per_second=1e6))
    made = found(paced, rates=(25e9, 10e9, 10e9))
    assert ("pod-to-pod", "share_of_line_rate_ratio") not in made, "a rate that was asked for says nothing of the line"


def test_other_values_have_none() -> None:
    assert list(found(table("pod-to-pod", PODS.values.tolist(), value="retransmits"))) == [
        ("pod-to-pod", "retransmits")
    ]
