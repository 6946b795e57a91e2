"""What cannot be measured is a gap with its reason, known beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.mesh.plans import messages, node, plan, reasons, whole

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Agent, Node, Reason
from netmesh_controller.mesh.plan import make_plan


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


def test_a_load_that_cannot_run_leaves_the_idle_latency() -> None:
    made = plan([whole(1), whole(2, tools={"qperf": "0.4.11"})], tests="tcp-latency", under_load=True, max_rate="1G")
    assert {one.variant.parameters.load for one in made.measurements if "node-2" in one.nodes} == {None}
    assert messages(made) == {"node-2 has no iperf3"}
    limited = plan([whole(1, limits={"seconds": 6, "streams": 1}), whole(2)], tests="tcp-latency", under_load=True)
    assert {gap.parameters.load for gap in limited.gaps} == {"tcp-bandwidth"}
    assert messages(limited) == {"node-1 allows tests of 6 s, not of 8 s (its limit of seconds)"}
