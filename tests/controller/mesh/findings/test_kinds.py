"""Single kinds of findings, each on a mesh where it is the only one; and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.controller.mesh.findings.faults import BANDWIDTH, gathered, name, node_fault, nodes_of, pair_fault, put, said
from tests.controller.mesh.findings.healthy import Mesh, healthy

from netmesh_controller.mesh.document import Agent, Cell, CpuCores, Finding, Host, Hosts, Node, Parameters
from netmesh_controller.mesh.findings import Again, Signs, find, to_measure_again
from netmesh_controller.mesh.findings.signs import falls_of
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series


def mesh(count: int = 8, seed: int = 1, repeats: int = 1) -> Mesh:
    return healthy(np.random.default_rng(seed), count, repeats, zones=1)


def one(found: list[Finding]) -> Finding:
    assert len(found) == 1, [finding.sentence for finding in found]
    return found[0]


def test_a_finding_carries_its_evidence_and_a_sentence() -> None:
    bad = mesh()
    fault = node_fault(bad, "bandwidth", "out")
    put(bad, fault, "bandwidth", 0.5)
    finding = one(said(bad))
    node = fault.where["node"]
    assert fault.said_by(finding)
    assert finding.size == pytest.approx(0.5, abs=0.05)
    assert finding.confidence is not None
    assert finding.confidence > 0.99
    evidence = finding.evidence
    assert evidence["seen"] == pytest.approx(5e9, rel=0.1)
    assert evidence["usual"] == pytest.approx(10e9, rel=0.1)
    assert evidence["alone"] == pytest.approx(5e9, rel=0.1)
    assert (evidence["cells"], evidence["worse_cells"], evidence["repeats"]) == (7, 7, 1)
    assert finding.sentence.startswith(f"{node} is slow to the others: ")
    assert "Gbit/s" in finding.sentence


def test_what_recovers_alone_is_contention() -> None:
    """A node is slow while others are measured, and as fast as all when its worst cells are measured alone."""
    busy = mesh()
    fault = node_fault(busy, "bandwidth", "both")
    alone = busy.alone.copy()
    put(busy, fault, "bandwidth", 0.4)
    busy.alone[:] = alone
    finding = one(said(busy))
    assert finding.kind == "contention"
    assert finding.where["node"] == fault.where["node"]
    assert finding.evidence["instead_of"] == "slow_node"
    assert finding.evidence["together"] < 0.6 * finding.evidence["alone"]


def test_what_was_measured_one_at_a_time_is_no_contention() -> None:
    """No other test can have taken its bandwidth: it is faster now, for whatever reason."""
    busy = mesh()
    put(busy, node_fault(busy, "bandwidth", "both"), "bandwidth", 0.4)
    asked = to_measure_again(nodes_of(busy), gathered(busy))
    again = dict.fromkeys(asked, 10e9)
    assert one(find(nodes_of(busy), gathered(busy), again=again)).kind == "contention"
    assert find(nodes_of(busy), gathered(busy), again=again, beside=False) == []


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_a_pair_that_recovers_was_held_up(repeats: int, direction: str) -> None:
    """What is fast the next time may have been held up by anything, which says nothing of the pair or of a link."""
    busy = mesh(repeats=repeats)
    fault = pair_fault(busy, "bandwidth", direction)
    alone = busy.alone.copy()
    put(busy, fault, "bandwidth", 0.15)
    assert "slow_pair" in {finding.kind for finding in said(busy)}
    busy.alone[:] = alone
    assert said(busy) == []


def test_a_pair_that_is_nearly_well_the_next_time_is_no_finding() -> None:
    """It has not come back by half, and would not have been found at what it has now."""
    busy = mesh(12)
    usual = np.nanmedian(busy.bandwidth)
    busy.bandwidth[:, [1, 2], [2, 1]] = 0.68 * usual
    nodes, cells = nodes_of(busy), gathered(busy)
    asked = to_measure_again(nodes, cells)
    assert "slow_pair" in {finding.kind for finding in find(nodes, cells, again=dict.fromkeys(asked, 0.69 * usual))}
    assert find(nodes, cells, again=dict.fromkeys(asked, 0.8 * usual)) == []


def test_where_a_pair_recovers_those_that_were_not_measured_again_are_not_believed() -> None:
    busy = mesh(12)
    for source, target in ((1, 2), (3, 4), (5, 6)):
        busy.bandwidth[:, source, target] *= 0.1
    nodes, cells = nodes_of(busy), gathered(busy)
    of = {(again.source, again.target): again for again in to_measure_again(nodes, cells)}
    assert len(of) == 3
    held, recovered = of[name(1), name(2)], of[name(3), name(4)]
    slow = {finding.where["source"] for finding in find(nodes, cells, again={held: 1e9})}
    assert slow == {name(1), name(3), name(5)}
    slow = {finding.where["source"] for finding in find(nodes, cells, again={held: 1e9, recovered: 10e9})}
    assert slow == {name(1)}


@pytest.mark.parametrize("count", [4, 20, 60])
def test_few_cells_are_measured_again(count: int) -> None:
    bad = mesh(count)
    put(bad, node_fault(bad, "bandwidth", "both"), "bandwidth", 0.3)
    asked = to_measure_again(nodes_of(bad), gathered(bad))
    assert 1 <= len(asked) <= max(4, 0.05 * count * (count - 1))
    assert {again.series for again in asked} == {BANDWIDTH}, "what is paced has not been slowed down by others"


def test_a_healthy_mesh_of_four_has_nothing_measured_again() -> None:
    quiet = healthy(np.random.default_rng(3), 4, 3, zones=1)
    assert to_measure_again(nodes_of(quiet), gathered(quiet)) == []


def test_an_asymmetric_pair() -> None:
    """One way slower and the other faster than usual, neither by enough for itself."""
    odd = healthy(np.random.default_rng(2), 10, 3, zones=1)
    odd.bandwidth[:, 2, 5] *= 0.7
    odd.bandwidth[:, 5, 2] *= 1.5
    finding = one(find(nodes_of(odd), gathered(odd)))
    assert (finding.kind, finding.where["source"], finding.where["target"]) == ("asymmetric_pair", name(2), name(5))
    assert finding.size == pytest.approx(0.7 / 1.5, rel=0.15)


@pytest.mark.parametrize("count", [2, 3])
def test_too_small_a_mesh_says_nothing(count: int) -> None:
    bad = mesh(count)
    bad.bandwidth[:, 0, 1] *= 0.1
    assert find(nodes_of(bad), gathered(bad)) == []


def test_half_of_the_mesh_is_no_outlier() -> None:
    """Two generations of nodes: there is no usual rate to be slower than."""
    two = mesh(10)
    two.bandwidth[:, :5, :] *= 0.4
    assert [finding.kind for finding in find(nodes_of(two), gathered(two))] == []


def history(count: int, runs: int) -> tuple[Mesh, list[dict[Any, Any]]]:
    """Runs of one mesh, one of whose pairs has always been slow."""
    first = mesh(count, seed=11)
    level = first.bandwidth[0].copy()
    level[1, 2] *= 0.3
    dice = np.random.default_rng(12)
    tables = []
    for _ in range(runs):
        again = mesh(count, seed=11)
        again.bandwidth[0] = level * np.exp(dice.normal(0, 0.02, level.shape))
        tables.append({(BANDWIDTH, "bits_per_second"): gathered(again)[BANDWIDTH].table("bits_per_second")})
    first.bandwidth[0] = level * np.exp(dice.normal(0, 0.02, level.shape))
    return first, tables


def test_an_outlier_is_what_has_changed_and_not_what_was_always_so() -> None:
    now, earlier = history(8, 4)
    kinds = [finding.kind for finding in find(nodes_of(now), gathered(now), history=earlier)]
    assert "outlier" not in kinds, "the pair has always been slow"
    now.bandwidth[0, 4, :] *= 0.6
    found = [finding for finding in find(nodes_of(now), gathered(now), history=earlier) if finding.kind == "outlier"]
    assert one(found).where["node"] == name(4)
    assert one(found).evidence["runs"] == 4
    assert all(f.kind != "outlier" for f in find(nodes_of(now), gathered(now), history=earlier[:2])), (
        "two are no history"
    )


def test_the_whole_mesh_slower_than_before_is_no_outlier() -> None:
    now, earlier = history(8, 4)
    now.bandwidth *= 0.5
    assert all(finding.kind != "outlier" for finding in find(nodes_of(now), gathered(now), history=earlier))


def mtu_cells(sizes: np.ndarray[Any, Any], nodes: list[Node]) -> dict[Series, Gathered]:
    series = Series("pod-to-pod", "path-mtu", Parameters(instrument="netmesh"))
    made = Gathered(series, [node.name for node in nodes])
    rows, columns = np.nonzero(~np.eye(len(nodes), dtype=bool))
    made.fill(rows, columns, 1, {"mtu_bytes": sizes[rows, columns].astype(float)})
    return {series: made}


def test_odd_mtu_of_a_node_and_of_a_pair() -> None:
    nodes = [Node(name=name(place)) for place in range(5)]
    sizes = np.full((5, 5), 1450)
    assert find(nodes, mtu_cells(sizes, nodes)) == []
    sizes[3, :] = sizes[:, 3] = 1400
    finding = one(find(nodes, mtu_cells(sizes, nodes)))
    assert (finding.kind, finding.where["node"], finding.size) == ("odd_mtu", name(3), 1400.0)
    assert finding.sentence.startswith(
        "node-4: packets of up to 1400 B arrive, where 1450 B are usual, in 8 of 8 pairs"
    )
    sizes = np.full((5, 5), 1450)
    sizes[0, 1] = 1300
    finding = one(find(nodes, mtu_cells(sizes, nodes)))
    assert (finding.where["source"], finding.where["target"]) == (name(0), name(1))
    mixed = np.random.default_rng(0).choice([1300, 1400, 1450, 1500], (5, 5))
    assert find(nodes, mtu_cells(mixed, nodes)) == [], "no size is the usual one"


def test_odd_mtu_of_a_device() -> None:
    def node(place: int, size: int) -> Node:
        return Node(name=name(place), agents=[Agent(role="pod", address="192.0.2.1", facts={"mtu_bytes": size})])

    found = find([node(0, 1450), node(1, 1450), node(2, 8950)], {})
    assert (one(found).where, one(found).size) == ({"node": "node-3", "role": "pod"}, 8950.0)
    assert find([node(0, 1450), node(1, 8950)], {}) == [], "of two nobody knows which is odd"
    # Some of its paths show it, too few for the node: its device says why, once.
    nodes = [node(place, 1400 if place == 3 else 1450) for place in range(5)]
    sizes = np.full((5, 5), 1450)
    sizes[3, 0] = sizes[3, 1] = 1400
    finding = one(find(nodes, mtu_cells(sizes, nodes)))
    assert finding.where == {"node": name(3), "role": "pod"}
    sizes[0, 1] = 1300
    assert [found.where.get("source") for found in find(nodes, mtu_cells(sizes, nodes))] == [name(0), None]


def bandwidth_cell(source: int, target: int, *, tool: float = 0.3, core: float = 0.4, shared: bool = False) -> Cell:
    fields = dict.fromkeys(CpuCores.model_fields, 0.1)
    host = Host(cpu_cores=CpuCores(**{**fields, "busiest_core": core}), tool_cpu_cores=tool, shared_host=shared)
    return Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source=name(source),
        target=name(target),
        repeat=1,
        attempt=1,
        parameters=Parameters(instrument="iperf3", streams=1),
        outcome="measured",
        hosts=Hosts(source=host, target=Host(tool_cpu_cores=0.2)),
    )


def cells(count: int, full: set[tuple[int, int]], **what: Any) -> list[Cell]:
    return [
        bandwidth_cell(a, b, **(what if (a, b) in full else {})) for a in range(count) for b in range(count) if a != b
    ]


def signs(found: list[Cell]) -> list[Finding]:
    collected = Signs()
    for cell in found:
        collected.add(cell)
    return collected.findings()


def test_a_cpu_that_was_the_limit() -> None:
    pair = one(signs(cells(5, {(0, 1)}, tool=0.99)))
    assert (pair.kind, pair.where["source"], pair.where["end"]) == ("cpu_bound", name(0), "source")
    node = one(signs(cells(5, {(0, other) for other in range(1, 5)}, core=1.0)))
    assert (node.where["node"], node.evidence["bound_cells"]) == (name(0), 4)
    everywhere = {(a, b) for a in range(5) for b in range(5)}
    assert "node" not in one(signs(cells(5, everywhere, tool=0.97))).where
    assert signs(cells(5, everywhere, core=1.0, shared=True)) == [], "others' load on a shared host is not the test's"
    assert signs(cells(5, set())) == []


def test_a_rate_that_falls_and_comes_back() -> None:
    steady = [9.4, 9.3, 9.5, 7.1, 9.4] * 10
    flapping = [9.4] * 6 + [1.0] * 2
    assert falls_of(steady) == 0
    assert falls_of(flapping * 5) == 4, "the last fall has not come back"
    made = [
        cell.model_copy(
            update={
                "intervals": {
                    "bits_per_second": flapping * 5 if cell.source == name(0) and cell.target == name(1) else steady
                }
            }
        )
        for cell in cells(5, set())
    ]
    finding = one(signs(made))
    assert (finding.kind, finding.where["source"], finding.where["target"]) == ("flapping", name(0), name(1))
    assert signs([cell.model_copy(update={"intervals": {"bits_per_second": flapping * 5}}) for cell in made]) == []


def test_again_counts_only_where_it_was_asked() -> None:
    quiet = mesh()
    nothing = {Again(BANDWIDTH, name(0), name(1)): 1e9}
    assert find(nodes_of(quiet), gathered(quiet), again=nothing) == []


def test_a_node_that_loses_what_it_sends_by_probes_that_know_the_way() -> None:
    """STAMP tells which way packets are lost; its pace is what was offered."""
    quiet = mesh(6)
    nodes = nodes_of(quiet)
    series = Series("pod-to-pod", "udp-latency", Parameters(instrument="stamp", offered_per_second=1000))
    made = Gathered(series, [node.name for node in nodes])
    rows, columns = np.nonzero(~quiet.missing)
    forward = np.where(rows == 2, 0.03, 0.0)
    both = np.where((rows == 2) | (columns == 2), 0.03, 0.0)
    values = {"forward_loss_ratio": forward, "loss_ratio": both, "round_trip_seconds": np.full(len(rows), 1e-4)}
    made.fill(rows, columns, 1, values)
    finding = one(find(nodes, {series: made}, duration_seconds=5.0))
    assert (finding.kind, finding.where["node"], finding.where["direction"]) == ("lossy_node", name(2), "out")
    assert "3 % lost, where 0 % is usual" in finding.sentence


def test_what_is_usual_is_what_the_others_have() -> None:
    """Two nodes in a zone, one of them slow: nothing in that zone is without it, and the zone's level is its own."""
    quiet = healthy(np.random.default_rng(3), 5, zones=2)
    nodes = nodes_of(quiet)
    series = Series("pod-to-pod", "udp-latency", Parameters(instrument="stamp", offered_per_second=1000))
    made = Gathered(series, [node.name for node in nodes])
    rows, columns = np.nonzero(~quiet.missing)
    slow = (rows == 3) | (columns == 3)
    made.fill(rows, columns, 1, {"round_trip_seconds": np.where(slow, 3e-3, 60e-6)})
    finding = one(find(nodes, {series: made}, duration_seconds=5.0))
    assert (finding.kind, finding.where["node"]) == ("slow_node", name(3))
    assert finding.evidence["seen"] == pytest.approx(3e-3)
    assert finding.evidence["usual"] == pytest.approx(60e-6)
    assert finding.size == pytest.approx(50)
    assert "3 ms where 60 µs are usual" in finding.sentence


def test_zones_between_which_only_one_way_was_measured() -> None:
    """A round trip is both ways, so that one of them is enough; warnings are errors here."""
    sparse = healthy(np.random.default_rng(11), 12, zones=4)
    zone = sparse.zone
    missing = (zone[:, None] < zone[None, :]) & (zone[None, :] - zone[:, None] == 1)
    sparse.missing |= missing
    slow = ((zone[:, None] == 2) & (zone[None, :] == 1)) & ~sparse.missing
    sparse.round_trip[:, slow] *= 8
    for values in (sparse.bandwidth, sparse.round_trip, sparse.loss):
        values[:, missing] = np.nan
    finding = one(find(nodes_of(sparse), gathered(sparse), duration_seconds=5.0))
    assert finding.kind == "slow_zone_pair"
    assert {finding.where["source_zone"], finding.where["target_zone"]} == {"zone-1", "zone-2"}
    assert finding.evidence["cells"] == np.count_nonzero(slow)
    assert finding.evidence["seen"] == pytest.approx(float(np.median(sparse.round_trip[0][slow])))


def test_a_slow_network_is_told_from_hosts_that_wait() -> None:
    """STAMP's round trips hold what the hosts waited for a core: milliseconds, on a busy mesh, over a network of µs."""
    quiet = mesh(6)
    nodes = nodes_of(quiet)
    series = Series("pod-to-pod", "udp-latency", Parameters(instrument="stamp", offered_per_second=1000))
    rows, columns = np.nonzero(~quiet.missing)
    dice = np.random.default_rng(5)
    waited = 2e-3 * np.exp(dice.normal(0, 0.5, len(rows)))
    network = 17e-6 * np.exp(dice.normal(0, 0.08, len(rows)))

    def found(more: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[Finding]:
        made = Gathered(series, [node.name for node in nodes])
        values = {"network_round_trip_seconds": network + more, "round_trip_seconds": network + more + waited}
        made.fill(rows, columns, 1, values)
        return find(nodes, {series: made}, duration_seconds=5.0)

    assert found(np.zeros(len(rows))) == []
    finding = one(found(np.where((rows == 1) | (columns == 1), 1e-3, 0.0)))
    assert (finding.kind, finding.where["node"]) == ("slow_node", name(1))
    assert finding.evidence["value"] == "network_round_trip_seconds"
    assert finding.evidence["seen"] == pytest.approx(1017e-6, rel=0.02)
