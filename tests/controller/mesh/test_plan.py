"""The plan: every chosen cell once, as a measurement or as a gap with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.mesh.plans import node, plan, whole

from netmesh_controller.mesh.ask import TARGET_TESTS, AskError, ask_from
from netmesh_controller.mesh.cells import cases
from netmesh_controller.mesh.document import Node, Parameters, Reason
from netmesh_controller.mesh.paths import MESH_PATHS, PATHS
from netmesh_controller.mesh.plan import make_plan, only_loaded, remaining


def test_every_cell_is_planned_once() -> None:
    made = plan([node(1), node(2), node(3)], repeat=2)
    keys = [key for one in made.measurements for key in one.cells]
    assert len(keys) == len(set(keys)) == 3 * 3 * 2 * 2
    assert {key.repeat for key in keys} == {1, 2}
    assert [one.index for one in made.measurements] == list(range(len(keys)))
    assert made.gaps == ()
    local = [one for one in made.measurements if len(one.nodes) == 1]
    assert {one.nodes for one in local} == {("node-1",), ("node-2",), ("node-3",)}


def test_a_pairs_measurements_follow_one_another_and_repeats_are_whole_passes() -> None:
    made = plan([node(1), node(2), node(3)], repeat=2)
    assert [one.repeat for one in made.measurements] == [1] * 18 + [2] * 18
    pairs = [frozenset(one.nodes) for one in made.measurements[:12]]
    assert all(len(set(pairs[start : start + 4])) == 1 for start in (0, 4, 8))


def test_both_directions_at_once_are_one_measurement() -> None:
    made = plan([node(1), node(2)], tests="tcp-bandwidth,tcp-latency", bidirectional=True)
    bandwidth = [one for one in made.measurements if one.variant.test == "tcp-bandwidth"]
    assert [[(key.source, key.target) for key in one.cells] for one in bandwidth] == [
        [("node-1", "node-2"), ("node-2", "node-1")],
        [("node-1", "node-1")],
        [("node-2", "node-2")],
    ]
    assert {key.parameters.direction for one in bandwidth for key in one.cells} == {"bidirectional"}
    assert sum(one.variant.test == "tcp-latency" for one in made.measurements) == 4


@pytest.mark.parametrize(
    ("count", "pairs", "sentence"),
    [
        (0, "all", "pairs: there is no node to measure"),
        (1, "sample:1", "pairs: sample:1 cannot be had: one node has no pair"),
        (2, "node-1:node-3", "pairs: there is no node 'node-3'; the nodes are node-1, node-2"),
        (2, "zones", "pairs: zones cannot be had"),
    ],
)
def test_what_the_nodes_do_not_allow_is_an_error(count: int, pairs: str, sentence: str) -> None:
    with pytest.raises(AskError, match=sentence):
        plan([node(number) for number in range(1, count + 1)], pairs=pairs)


def test_what_remains_is_what_is_not_done() -> None:
    made = plan([node(1), node(2), node(3, peer=False)], bidirectional=True)
    both = next(one for one in made.measurements if len(one.cells) == 2)
    done = {key for one in made.measurements for key in one.cells} - {both.cells[1]}
    left = remaining(made, done)
    assert [(one.index, one.cells) for one in left.measurements] == [(0, both.cells)]
    assert left.gaps == made.gaps
    assert remaining(made, done | {gap.key for gap in made.gaps}).gaps == ()
    assert remaining(made, set()) == made


def test_latency_under_load_stands_beside_the_idle_one() -> None:
    made = plan(
        [whole(1), whole(2)], tests="tcp-latency,tcp-bandwidth", tool="sockperf", under_load=True, streams="2,4"
    )
    latency = [one for one in made.measurements if one.variant.test == "tcp-latency"]
    assert {one.variant.parameters.load for one in latency} == {None, "tcp-bandwidth"}
    idle, loaded = (
        next(one for one in latency if one.variant.parameters.load == load) for load in (None, "tcp-bandwidth")
    )
    assert idle.variant.load is None
    assert [one.variant for one in only_loaded(made).measurements] == [
        one.variant for one in latency if one.variant.load
    ]
    assert [one.index for one in only_loaded(made).measurements] == list(range(len(only_loaded(made).measurements)))
    load = loaded.variant.load
    assert load is not None
    assert (load.test, load.parameters.instrument, load.parameters.streams) == ("tcp-bandwidth", "iperf3", 2)
    # It begins before the latency test and outlasts it, sockperf's silent start included.
    assert load.duration_seconds >= load.lead_seconds + idle.seconds
    assert loaded.seconds > load.duration_seconds
    assert all(one.variant.load is None for one in made.measurements if one.variant.test == "tcp-bandwidth")


def test_targets_are_measured_from_each_node_once_and_take_no_other_node() -> None:
    nodes = [whole(1), whole(2), whole(3, addresses=["10.0.0.3"])]
    made = plan(nodes, tests="all", targets="web=192.0.2.10:443,v6=[2001:db8::1]:53", family="both", repeat=2)
    outside = [one for one in made.measurements if one.variant.path == "pod-to-external"]
    assert {(one.source, one.target, one.repeat) for one in outside} == {
        (f"node-{number}", target, repeat)
        for number, target in [(1, "web"), (2, "web"), (3, "web"), (1, "v6"), (2, "v6")]
        for repeat in (1, 2)
    }
    assert len(outside) == 10
    assert all(one.nodes == (one.source,) and one.variant.test == "tcp-connect" for one in outside)
    assert {one.variant.parameters.family for one in outside if one.target == "v6"} == {6}
    gaps = [gap for gap in made.gaps if gap.path == "pod-to-external"]
    assert {(gap.source, gap.target) for gap in gaps} == {("node-3", "v6")}
    assert made.targets == {"web": ("192.0.2.10", 443), "v6": ("2001:db8::1", 53)}
    with pytest.raises(AskError, match="targets: a node is called 'node-1' already"):
        plan(nodes, tests="tcp-connect", targets="node-1=192.0.2.10:443")
    listed = plan(nodes, tests="tcp-connect", targets="web=192.0.2.10:443", pairs="node-2:node-1")
    assert [(one.source, one.target) for one in listed.measurements] == [("node-2", "node-1"), ("node-2", "web")]


def test_nodes_at_rest_are_cells_of_their_own_once() -> None:
    gone = Node(name="node-3")
    asked = ask_from({"tests": "idle,tcp-bandwidth", "repeat": 2, "family": "both", "duration": 7})
    why = Reason(code="unreachable", message="It does not answer.")
    made = make_plan(asked, [whole(1), whole(2), gone], unreachable={"node-3": why})
    assert [(key.test, key.source, key.target) for key in made.idle] == [
        ("idle", "node-1", "node-1"),
        ("idle", "node-2", "node-2"),
    ]
    assert {key.parameters for key in made.idle} == {Parameters(instrument="netmesh", family=None)}
    assert [gap.source for gap in made.gaps if gap.test == "idle"] == ["node-3"]
    assert made.idle_seconds == 7
    assert made.estimate.cells == len(made.measurements) + 2
    assert remaining(made, {made.idle[0]}).idle == made.idle[1:]
    alone = make_plan(ask_from({"tests": "idle"}), [whole(1)])
    assert (alone.measurements, len(alone.idle), alone.estimate.expected_seconds) == ((), 1, 5)
    assert plan([whole(1)]).idle_seconds == 0


def test_a_sample_of_pairs_has_every_hairpin() -> None:
    made = plan(
        [whole(number) for number in range(1, 6)], paths="hairpin,pod-to-pod", tests="tcp-connect", pairs="sample:2"
    )
    assert [one.nodes for one in made.measurements if one.variant.path == "hairpin"] == [
        (f"node-{number}",) for number in range(1, 6)
    ]
    assert not [one for one in made.measurements if one.variant.path == "pod-to-pod" and len(one.nodes) == 1]


def test_a_plan_without_any_cell_is_an_error() -> None:
    with pytest.raises(AskError, match="pairs: node-1:node-1 has no cell on host-to-host for tcp-connect"):
        plan([whole(1), whole(2)], paths="host-to-host", tests="tcp-connect", pairs="node-1:node-1")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {"tests": "udp-bandwidth", "max-traffic": "1M"},
            r"max-traffic: the plan sends 300 MB \(at the asked rate\), more than 1.05 MB",
        ),
        ({"tests": "tcp-bandwidth", "max-traffic": "1G"}, r"max-traffic: the traffic is not known \(as much as goes"),
    ],
)
def test_more_traffic_than_allowed_is_refused_with_its_figure(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AskError, match=sentence):
        plan([whole(1), whole(2)], **asked)
    assert plan([whole(1), whole(2)], **{**asked, "rate": "1k", "max-traffic": "1M"}).measurements
    assert plan([whole(1), whole(2)], tests="tcp-latency,tcp-connect", **{"max-traffic": 1}).measurements


asked_for = st.fixed_dictionaries(
    {
        "paths": st.lists(st.sampled_from(MESH_PATHS), min_size=1, unique=True),
        "tests": st.lists(
            st.sampled_from(["tcp-bandwidth", "udp-bandwidth", "tcp-latency"]), min_size=1, unique=True
        ).map(lambda tests: [*tests, "tcp-connect"]),
        "streams": st.lists(st.integers(1, 9), min_size=1, max_size=2),
        "family": st.sampled_from([4, 6, "both"]),
        "message_sizes": st.lists(st.integers(1, 70_000), min_size=1, max_size=2),
        "bidirectional": st.booleans(),
        "repeat": st.integers(1, 2),
        "targets": st.sampled_from([[], ["a=192.0.2.1:80"], ["a=192.0.2.1:80", "pod-to-nodeport:b=[::1]:80"]]),
    }
)


@settings(deadline=None, max_examples=60)
@given(asked_for, st.integers(1, 4))
def test_the_plan_is_the_whole_product_and_each_cell_once(asked: dict[str, Any], count: int) -> None:
    if asked["paths"] == ["host-to-host"] and count == 1 and not asked["targets"]:
        return
    made = plan([whole(number) for number in range(1, count + 1)], **asked)
    keys = list(made.keys)
    assert len(keys) == len(set(keys))
    expected: set[tuple[object, ...]] = set()
    names = [one.name for one in made.nodes]
    for path in asked["paths"]:
        pairs = [
            (a, b) for a in names for b in names if (PATHS[path].local if a == b else PATHS[path].remote) is not None
        ]
        for test in made.ask.tests:
            for case in cases(test, made.ask):
                what = (path, test, case.instrument, case.family, case.streams, case.message_bytes)
                expected |= {(*what, a, b, repeat) for a, b in pairs for repeat in range(1, asked["repeat"] + 1)}
    for target in made.ask.outside:
        for test in TARGET_TESTS:
            what = (target.path, test, "netmesh", target.family, None, None)
            expected |= {(*what, name, target.name, n) for name in names for n in range(1, asked["repeat"] + 1)}
    found = {
        (
            *(key.path, key.test, key.parameters.instrument, key.parameters.family, key.parameters.streams),
            *(key.parameters.message_bytes, key.source, key.target, key.repeat),
        )
        for key in keys
    }
    assert found == expected
    assert len(keys) == len(expected)
