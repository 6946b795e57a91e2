"""What reports work out of a run: statistics over repeats, distributions, differences of facts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.meshes import generated

from netmesh_controller.mesh.differences import differences
from netmesh_controller.mesh.document import Agent, Host, Hosts, Node
from netmesh_controller.mesh.matrix import matrices
from netmesh_controller.surfaces.reports.content import Source, content_of
from netmesh_controller.surfaces.reports.figures import in_words, middle
from netmesh_controller.surfaces.reports.page.sections import cost
from netmesh_controller.surfaces.reports.scales import robust_range


def test_percentiles_over_repeats_are_those_of_all_observations_and_not_a_mean_of_percentiles() -> None:
    document = generated(3, repeats=3, paths=("pod-to-pod",))
    content = content_of(Source.of(document))
    latency = next(one for one in content.series if one.series.test == "udp-latency")
    tables = latency.tables["round_trip_seconds"]
    cells = [cell for cell in document.cells if cell.test == "udp-latency" and cell.source != cell.target]
    first = [cell for cell in cells if (cell.source, cell.target) == ("worker-1", "worker-2")]
    summaries = [cell.values["round_trip_seconds"] for cell in first]
    assert len(summaries) == 3
    place = (0, 1)
    assert latency.repeats[place] == 3
    assert tables["mean"].values[place] == pytest.approx(np.mean([one.mean for one in summaries if one]))
    assert tables["max"].values[place] == max(one.max for one in summaries if one and one.max)
    assert tables["min"].values[place] == min(one.min for one in summaries if one and one.min)
    observations = latency.observations["round_trip_seconds"]
    assert observations.count == sum(one.count for cell in cells if (one := cell.values.get("round_trip_seconds")))
    # The largest of 600 observations is above p99 of all of them.
    assert tables["p50"].values[place] < tables["p99"].values[place] <= tables["max"].values[place] * 1.001


def test_bandwidth_over_repeats_has_no_percentiles_where_no_readings_were_kept() -> None:
    content = content_of(Source.of(generated(3, repeats=2, paths=("pod-to-pod",))))
    bandwidth = next(one for one in content.series if one.series.test == "tcp-bandwidth")
    assert "p50" not in bandwidth.tables["bits_per_second"]
    assert "median" in bandwidth.tables["bits_per_second"]


def test_a_statistic_that_a_cell_lacks_is_a_gap_with_a_reason() -> None:
    content = content_of(Source.of(generated(6, paths=("pod-to-pod",), seed=3)))
    for one in content.series:
        for tables in one.tables.values():
            for table in tables.values():
                assert np.array_equal(np.isfinite(table.values), table.reasons == 0)
                # A statistic is never where the mean is not.
                assert not (table.known & ~tables["mean"].known).any()
        assert all(not one.repeats[place] for place in one.messages)


def test_observations_above_fall_from_one_to_zero() -> None:
    content = content_of(Source.of(generated(4, paths=("pod-to-pod",))))
    seen = next(one for one in content.series if one.series.test == "udp-latency").observations["round_trip_seconds"]
    assert list(seen.values) == sorted(seen.values)
    assert list(seen.above) == sorted(seen.above, reverse=True)
    assert 0 < seen.above[-1] < seen.above[0] < 1


def test_the_colours_of_a_healthy_mesh_are_not_stretched_over_its_noise() -> None:
    content = content_of(Source.of(generated(12, zones=0, paths=("host-to-host",))))
    table = content.series[0].tables["bits_per_second"]["mean"]
    low, high = robust_range(table)
    numbers = table.values[table.known]
    middle_ = float(np.median(numbers))
    assert low <= 0.901 * middle_
    assert high >= 1.099 * middle_
    assert "Gbit/s" in in_words(middle(table))


def test_facts_that_differ_are_named_with_the_nodes_and_those_of_their_own_are_not() -> None:
    def node(name: str, kernel: str, iperf3: str | None, host_mtu: int) -> Node:
        own = {"kernel": kernel, "boot_id": name, "addresses": [name], "tools": {"iperf3": iperf3}}
        return Node(name=name, facts=own, agents=[Agent(role="host", address=name, facts={"mtu_bytes": host_mtu})])

    found = differences([node("a", "6.1", "3.12", 1500), node("b", "6.1", None, 9000), node("c", "6.2", "3.12", 1500)])
    said = {(one.fact, one.role): one.answers for one in found}
    assert said == {
        ("kernel", None): (("6.1", ("a", "b")), ("6.2", ("c",))),
        ("tools.iperf3", None): (("3.12", ("a", "c")), ("unknown", ("b",))),
        ("mtu_bytes", "host"): (("1500", ("a", "c")), ("9000", ("b",))),
    }
    assert differences([node("a", "6.1", "3.12", 1500)]) == []


def test_costs_that_no_cell_has_are_one_sentence_and_no_table() -> None:
    document = generated(4, paths=("pod-to-pod",))
    said = cost(content_of(Source.of(document)))
    assert "<table" not in said
    assert "No cell tells what its traffic costs in CPU (not_supported)." in said
    watched = Hosts(source=Host(cpu_seconds_per_gigabyte=0.25, window_seconds=5.0, shared_host=False))
    cells = [cell.model_copy(update={"hosts": watched}) for cell in document.cells]
    again = document.model_copy(update={"cells": cells, "matrices": matrices(document.nodes, cells)})
    said = cost(content_of(Source.of(again)))
    assert said.count("<tr>") == 2
    assert "ms/GB (12)" in said
