"""The plan: every chosen cell once, as a measurement or as a gap with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.ask import TARGET_TESTS, AskError, ask_from
from netmesh_controller.mesh.cells import cases
from netmesh_controller.mesh.document import Agent, Node, Parameters, Reason
from netmesh_controller.mesh.paths import MESH_PATHS, PATHS
from netmesh_controller.mesh.plan import Plan, make_plan, remaining

ROLES = ("pod", "peer", "host")
FACTS: dict[str, Any] = {
    "tools": {"iperf3": "3.12", "qperf": "0.4.11", "sockperf": "3.7", "netmesh": "0.1.0"},
    "mtu_bytes": 1500,
    "congestion_controls_allowed": ["cubic", "reno"],
    "limits": {"seconds": 60, "streams": 16, "bits_per_second": None},
}


def node(number: int, *, peer: bool = True, address: str = "10.0.0.1", **facts: Any) -> Node:
    roles = ("pod", "peer") if peer else ("pod",)
    agents = [Agent(role=role, address=address, facts={**FACTS, **facts}) for role in roles]
    return Node(name=f"node-{number}", agents=agents)


def whole(number: int, **facts: Any) -> Node:
    """A node with an agent of every role, and addresses of both families."""
    facts = {**FACTS, "addresses": [f"10.0.0.{number}", f"fd00::{number}"], **facts}
    agents = [Agent.model_validate({"role": r, "address": f"10.0.0.{number}", "facts": facts}) for r in ROLES]
    return Node(name=f"node-{number}", agents=agents)


def plan(nodes: list[Node], **asked: Any) -> Plan:
    return make_plan(ask_from(asked), nodes, services=True)


def parameters(made: Plan) -> Parameters:
    (found,) = {key.parameters for one in made.measurements for key in one.cells}
    return found


def reasons(made: Plan) -> dict[tuple[str, str], str]:
    return {(gap.source, gap.target): gap.reason.code for gap in made.gaps if gap.reason is not None}


def messages(made: Plan) -> set[str]:
    return {gap.reason.message for gap in made.gaps if gap.reason is not None}


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


def test_the_expected_seconds_are_the_tools_own() -> None:
    made = plan([node(1), node(2)], tests="tcp-bandwidth,tcp-latency,udp-latency", omit=2, duration=7)
    assert {one.variant.test: round(one.seconds, 3) for one in made.measurements} == {
        "tcp-bandwidth": 9.05,
        "tcp-latency": 7.05,
        "udp-latency": 8.05,
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tests": "tcp-bandwidth"}, {"instrument": "iperf3", "streams": 1, "direction": "forward"}),
        (
            {"tests": "tcp-bandwidth", "streams": 4, "congestion": "reno", "rate": "20M"},
            {
                "instrument": "iperf3",
                "streams": 4,
                "direction": "forward",
                "congestion_control": "reno",
                "offered_bits_per_second": 20_000_000,
            },
        ),
        (
            {"tests": "udp-bandwidth", "congestion": "reno"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 100_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "rate": "unlimited"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward"},
        ),
        ({"tests": "tcp-latency", "rate": "20M", "bidirectional": True}, {"instrument": "qperf"}),
        ({"tests": "udp-latency"}, {"instrument": "qperf"}),
        (
            {"tests": "udp-bandwidth", "tool": "qperf", "rate": "unlimited"},
            {"instrument": "qperf", "streams": 1, "direction": "forward", "message_bytes": 1400 - 28},
        ),
    ],
)
def test_parameters_say_what_a_cell_is_measured_with(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    made = plan([node(1, mtu_bytes=9000), node(2, mtu_bytes=1400)], pairs="node-1:node-2", **asked)
    assert parameters(made) == Parameters.model_validate(expected)


def test_messages_fit_the_path_mtu_of_the_family() -> None:
    v6 = [node(1, address="fd00::1"), node(2, address="fd00::2")]
    asked = {"tests": "udp-bandwidth", "tool": "qperf", "rate": "unlimited", "pairs": "node-1:node-2"}
    assert parameters(plan(v6, family=6, **asked)).message_bytes == 1452
    # 1,280 bytes go through where the MTU is not known; a loopback's 65,536 are more than a datagram holds.
    assert parameters(plan([node(1, mtu_bytes=None), node(2)], **asked)).message_bytes == 1252
    assert parameters(plan([node(1, mtu_bytes=65536), node(2, mtu_bytes=65536)], **asked)).message_bytes == 65507


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
    ("asked", "code", "words"),
    [
        ({"tool": "qperf", "streams": 2}, "not_supported", "qperf runs one stream, not 2"),
        ({"tool": "qperf", "congestion": "cubic"}, "not_supported", "qperf cannot choose the congestion control"),
        ({"tool": "qperf", "rate": "20M"}, "rate_not_supported", "qperf cannot limit its rate to 20 Mbit/s"),
        ({"tool": "qperf", "tests": "udp-bandwidth"}, "rate_not_supported", "--rate unlimited only"),
        ({"congestion": "bbr"}, "not_supported", "allows no congestion control bbr, only cubic, reno"),
        ({"duration": 60}, "not_supported", "allows tests of 60 s, not of 61 s (its limit of seconds)"),
        ({"streams": 17}, "not_supported", "allows 16 streams, not 17 (its limit of streams)"),
        ({"family": 6}, "not_supported", "has no IPv6 address"),
    ],
)
def test_what_no_node_can_do_is_a_gap_beforehand(asked: dict[str, Any], code: str, words: str) -> None:
    made = plan([node(1), node(2)], **{"tests": "tcp-bandwidth", **asked})
    assert made.measurements == ()
    assert len(made.gaps) == 4
    assert set(reasons(made).values()) == {code}
    assert all(words in message for message in messages(made))
    assert all(gap.outcome == "skipped" for gap in made.gaps)


def test_one_node_that_cannot_leaves_gaps_in_its_row_and_column_only() -> None:
    made = plan([node(1), node(2, tools={"iperf3": "3.12"}), node(3)], tests="tcp-bandwidth,tcp-latency")
    latency = {(one.source, one.target) for one in made.measurements if one.variant.test == "tcp-latency"}
    assert latency == {(a, b) for a in ("node-1", "node-3") for b in ("node-1", "node-3")}
    assert set(reasons(made).values()) == {"tool_missing"}
    assert messages(made) == {"node-2 has no qperf"}
    assert {gap.test for gap in made.gaps} == {"tcp-latency"}


@pytest.mark.parametrize(("rate", "gaps"), [("100M", 0), ("101M", 5), (None, 5)])
def test_a_limit_of_the_rate_binds_what_is_offered(rate: str | None, gaps: int) -> None:
    limited = node(1, limits={"seconds": 60, "streams": 16, "bits_per_second": 100_000_000})
    made = plan([limited, node(2), node(3)], tests="tcp-bandwidth", rate=rate)
    assert len(made.gaps) == gaps
    # Latency tests offer nothing.
    assert plan([limited, node(2)], tests="tcp-latency").gaps == ()


def test_a_node_without_a_peer_has_no_local_cell() -> None:
    made = plan([node(1), node(2, peer=False)], tests="tcp-bandwidth")
    assert reasons(made) == {("node-2", "node-2"): "agent_away"}
    assert messages(made) == {"node-2 has no peer agent that answers"}


def test_a_node_that_cannot_be_asked_says_why() -> None:
    gone = Node(name="node-2")
    why = Reason(code="unreachable", message="10.0.0.2:9410 does not answer")
    made = make_plan(ask_from({"tests": "tcp-bandwidth"}), [node(1), gone], unreachable={"node-2": why})
    assert reasons(made) == dict.fromkeys(
        [("node-1", "node-2"), ("node-2", "node-1"), ("node-2", "node-2")], "unreachable"
    )
    assert [one.nodes for one in made.measurements] == [("node-1",)]


def test_facts_that_are_not_known_refuse_nothing() -> None:
    bare = [Node(name=f"node-{n}", agents=[Agent(role="pod", address="by-name")]) for n in (1, 2)]
    made = plan(bare, congestion="bbr", tests="tcp-bandwidth", family=6, pairs="node-1:node-2")
    assert len(made.measurements) == 1


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


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tests": "tcp-latency", "tool": "sockperf"}, {"instrument": "sockperf", "offered_per_second": 1000}),
        (
            {"tests": "tcp-latency", "tool": "sockperf", "message-rate": 50, "message-sizes": "1k"},
            {"instrument": "sockperf", "offered_per_second": 50, "message_bytes": 1024},
        ),
        ({"tests": "tcp-connect"}, {"instrument": "netmesh", "offered_per_second": 100}),
        ({"tests": "path-mtu", "family": 6}, {"instrument": "netmesh", "family": 6}),
        (
            {"tests": "tcp-request-response", "message-sizes": "64", "congestion": "reno"},
            {"instrument": "netmesh", "message_bytes": 64, "congestion_control": "reno"},
        ),
        (
            {"tests": "tcp-bandwidth", "mss": "1000"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "mss_bytes": 1000},
        ),
        (
            {"tests": "tcp-bandwidth", "max-rate": "50M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 50_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "50M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 50_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "500M"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 100_000_000},
        ),
        (
            {"tests": "udp-bandwidth", "max-rate": "500M", "rate": "unlimited"},
            {"instrument": "iperf3", "streams": 1, "direction": "forward", "offered_bits_per_second": 500_000_000},
        ),
    ],
)
def test_parameters_of_every_instrument(asked: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parameters(plan([whole(1), whole(2)], **asked)) == Parameters.model_validate(expected)


@pytest.mark.parametrize(
    ("test", "asked", "seconds"),
    [
        ("tcp-bandwidth", {}, 7.05),
        ("tcp-latency", {}, 5.05),
        ("tcp-latency", {"tool": "sockperf"}, 7.3),
        ("tcp-connect", {}, 7.1),
        ("path-mtu", {}, 1.1),
    ],
)
def test_what_an_instrument_adds_is_in_the_expected_seconds(test: str, asked: dict[str, Any], seconds: float) -> None:
    made = plan([whole(1), whole(2)], tests=test, omit=2, **asked)
    assert {round(one.seconds, 3) for one in made.measurements} == {seconds}


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (
            {"tests": "udp-latency", "tool": "sockperf", "stamp": False, "family": 6},
            "not_supported",
            "sockperf does not speak IPv6",
        ),
        (
            {"tests": "udp-latency", "tool": "stamp", "message-sizes": 64},
            "not_supported",
            "packets of 44, 72 or at least 76 bytes, not of 64",
        ),
        (
            {"tests": "udp-latency", "tool": "stamp", "message-rate": 20_001},
            "not_supported",
            "up to 20000 probes a second",
        ),
        ({"tests": "tcp-latency", "tool": "sockperf", "message-sizes": 8}, "not_supported", "messages of 14 to 65507"),
        ({"tests": "udp-bandwidth", "message-sizes": "64k"}, "not_supported", "messages of 16 to 65507 bytes over udp"),
        ({"tests": "tcp-bandwidth", "mss": 64}, "not_supported", "sets segments of 88 to 9216 bytes, not of 64"),
        (
            {"tests": "tcp-bandwidth", "mss": 1000, "tool": "qperf"},
            "not_supported",
            "qperf cannot set the segment size",
        ),
        ({"tests": "tcp-latency", "tool": "sockperf", "congestion": "reno"}, "not_supported", "sockperf cannot choose"),
        (
            {"tests": "tcp-latency", "tool": "sockperf", "message-rate": 40_000},
            "not_supported",
            "40000 a second over 5 s are more than the 150000",
        ),
        ({"tests": "tcp-bandwidth", "tool": "qperf", "max-rate": "20M"}, "rate_not_supported", "its rate to 20 Mbit/s"),
        ({"tests": "sctp-bandwidth", "rate": "20M"}, "rate_not_supported", "its rate to 20 Mbit/s; it runs this test"),
        (
            {"tests": "udp-latency", "tool": "sockperf", "message-sizes": "32k", "max-rate": "100M"},
            "rate_not_supported",
            "1000 messages of 32768 bytes a second are 262 Mbit/s, above the max-rate of 100 Mbit/s",
        ),
        (
            {"tests": "tcp-request-response", "message-sizes": "32k", "max-rate": "1G"},
            "rate_not_supported",
            "messages of 32768 bytes without a pace may reach 26.2 Gbit/s, above the max-rate of 1 Gbit/s",
        ),
    ],
)
def test_what_an_instrument_cannot_do_is_a_gap(asked: dict[str, Any], code: str, words: str) -> None:
    made = plan([whole(1), whole(2)], **asked)
    assert made.measurements == ()
    assert set(reasons(made).values()) == {code}
    assert all(words in message for message in messages(made))


def test_the_family_that_a_tool_or_a_node_lacks_leaves_the_other() -> None:
    nodes = [whole(1), whole(2, addresses=["10.0.0.2"])]
    made = plan(nodes, tests="tcp-latency", tool="qperf,sockperf", family="both", pairs="node-1:node-2,node-1:node-1")
    planned = {
        (one.target, one.variant.parameters.instrument, one.variant.parameters.family) for one in made.measurements
    }
    assert planned == {
        ("node-1", "qperf", 4),
        ("node-1", "qperf", 6),
        ("node-1", "sockperf", 4),
        ("node-2", "qperf", 4),
        ("node-2", "sockperf", 4),
    }
    assert messages(made) == {"sockperf does not speak IPv6", "node-2 has no IPv6 address"}


def test_without_services_their_paths_are_gaps() -> None:
    asked = ask_from({"paths": "all", "tests": "tcp-bandwidth"})
    made = make_plan(asked, [whole(1), whole(2)])
    assert {(gap.path, gap.reason.code) for gap in made.gaps if gap.reason} == {
        ("pod-to-service", "service_not_ready"),
        ("hairpin", "service_not_ready"),
    }
    assert not make_plan(asked, [whole(1), whole(2)], services=True).gaps


def test_nodes_without_host_agents_have_gaps_on_the_hosts_paths() -> None:
    made = plan([node(1), node(2)], paths="all", tests="tcp-bandwidth")
    assert {gap.path for gap in made.gaps} == {"host-to-host", "host-to-pod", "pod-to-host"}
    assert set(reasons(made).values()) == {"agent_away"}


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
    load = loaded.variant.load
    assert load is not None
    assert (load.test, load.parameters.instrument, load.parameters.streams) == ("tcp-bandwidth", "iperf3", 2)
    # It begins before the latency test and outlasts it, sockperf's silent start included.
    assert load.duration_seconds >= load.lead_seconds + idle.seconds
    assert loaded.seconds > load.duration_seconds
    assert all(one.variant.load is None for one in made.measurements if one.variant.test == "tcp-bandwidth")


def test_a_load_that_cannot_run_leaves_the_idle_latency() -> None:
    made = plan([whole(1), whole(2, tools={"qperf": "0.4.11"})], tests="tcp-latency", under_load=True, max_rate="1G")
    assert {one.variant.parameters.load for one in made.measurements if "node-2" in one.nodes} == {None}
    assert messages(made) == {"node-2 has no iperf3"}
    limited = plan([whole(1, limits={"seconds": 6, "streams": 1}), whole(2)], tests="tcp-latency", under_load=True)
    assert {gap.parameters.load for gap in limited.gaps} == {"tcp-bandwidth"}
    assert messages(limited) == {"node-1 allows tests of 6 s, not of 8 s (its limit of seconds)"}


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
