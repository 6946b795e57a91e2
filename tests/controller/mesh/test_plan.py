"""The plan: every chosen cell once, as a measurement or as a gap with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.document import Agent, Node, Parameters, Reason
from netmesh_controller.mesh.plan import Plan, make_plan, remaining

FACTS: dict[str, Any] = {
    "tools": {"iperf3": "3.12", "qperf": "0.4.11"},
    "mtu_bytes": 1500,
    "congestion_controls_allowed": ["cubic", "reno"],
    "limits": {"seconds": 60, "streams": 16, "bits_per_second": None},
}


def node(number: int, *, peer: bool = True, address: str = "10.0.0.1", **facts: Any) -> Node:
    roles = ("pod", "peer") if peer else ("pod",)
    agents = [Agent(role=role, address=address, facts={**FACTS, **facts}) for role in roles]
    return Node(name=f"node-{number}", agents=agents)


def plan(nodes: list[Node], **asked: Any) -> Plan:
    return make_plan(ask_from(asked), nodes)


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
