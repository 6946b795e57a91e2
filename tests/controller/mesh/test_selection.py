"""Which nodes are taken, and label selectors as Kubernetes reads them."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.document import Agent, Node
from netmesh_controller.mesh.plan import Plan, make_plan
from netmesh_controller.mesh.selection import Selection, matches

LABELS = {"disk": "ssd", "gpu": "", "topology.kubernetes.io/zone": "a"}


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("disk=ssd", True),
        ("disk==ssd", True),
        ("disk = hdd", False),
        ("disk!=hdd", True),
        ("none!=x", True),
        ("gpu", True),
        ("!gpu", False),
        ("!none", True),
        ("none", False),
        ("gpu=", True),
        ("disk in (hdd, ssd)", True),
        ("disk in (hdd)", False),
        ("disk notin (hdd,nvme)", True),
        ("none notin (x)", True),
        ("none in (x)", False),
        ("disk=ssd,gpu,topology.kubernetes.io/zone in (a,b)", True),
        ("disk=ssd,!gpu", False),
    ],
)
def test_selectors(selector: str, holds: bool) -> None:
    assert matches(selector, LABELS) is holds


@pytest.mark.parametrize("selector", ["", "a=b,", "a b", "=b", "a in b", "a in (b", "a=b c", "-a", "a in ($)"])
def test_a_selector_that_cannot_be_read_is_named(selector: str) -> None:
    with pytest.raises(AskError, match=r"^selector: "):
        ask_from({"selector": selector})


def test_all_of_it_must_hold() -> None:
    selection = Selection(("n1", "n2", "n3"), ("a",), "disk", ("n3",))
    assert selection.includes("n1", "a", {"disk": "ssd"})
    assert not selection.includes("n1", "b", {"disk": "ssd"})
    assert not selection.includes("n1", "a", {})
    assert not selection.includes("n3", "a", {"disk": "ssd"})
    assert not selection.includes("n4", "a", {"disk": "ssd"})


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (
            Selection(nodes=("node-9",)),
            ("nodes", "there is no node 'node-9'; did you mean node-1? The nodes are node-1"),
        ),
        (Selection(exclude=("x",)), ("exclude", "there is no node 'x'; the nodes are node-1")),
        (Selection(zones=("z",)), ("zones", "there is no zone 'z'; the zones are a")),
        (Selection(nodes=("node-1",), zones=("a",)), None),
    ],
)
def test_names_that_are_not_there(selection: Selection, says: tuple[str, str] | None) -> None:
    assert selection.wrong({"node-1": "a"}) == says


def node(name: str, zone: str | None = None, *, control_plane: bool = False) -> Node:
    agents = [
        Agent(role=role, address="10.0.0.1", facts={"tools": {"iperf3": "3.18", "netmesh": "0.1.0"}, "addresses": []})
        for role in ("pod", "peer")
    ]
    facts = {"control_plane": control_plane, "line_rate_bits_per_second": None}
    return Node(name=name, zone=zone, labels={}, agents=agents, facts=facts)


def plan(nodes: list[Node], **options: object) -> Plan:
    return make_plan(ask_from({"tests": "tcp-bandwidth,tcp-connect", "rate": "100M", **options}), nodes)


NODES = [node("m", "a", control_plane=True), node("w1", "a"), node("w2", "b")]


def pairs_of(made: Plan, test: str) -> set[tuple[str, str]]:
    return {(one.source, one.target) for one in made.measurements if one.variant.test == test}


def test_a_control_plane_has_no_bandwidth_tests_unless_asked() -> None:
    spared = plan(NODES)
    assert pairs_of(spared, "tcp-bandwidth") == {("w1", "w1"), ("w2", "w2"), ("w1", "w2"), ("w2", "w1")}
    assert len(pairs_of(spared, "tcp-connect")) == 9
    assert not spared.gaps
    asked = plan(NODES, include_control_plane=True)
    assert len(pairs_of(asked, "tcp-bandwidth")) == 9


def test_where_all_are_control_planes_it_says_what_to_do() -> None:
    with pytest.raises(AskError, match="include-control-plane"):
        plan(NODES[:1], tests="tcp-bandwidth")


def test_the_estimate_is_split_by_zone_pair() -> None:
    made = plan(NODES, tests="tcp-bandwidth", duration="8s", omit="2s", include_control_plane=True)
    # 10 s at 100 Mbit/s are 125 MB. Within a: m-w1 both ways and the two local cells; two each way between; one in b.
    split = {("a", "a"): 500_000_000, ("a", "b"): 250_000_000, ("b", "a"): 250_000_000, ("b", "b"): 125_000_000}
    assert made.estimate.traffic_by_zone_pair == split
    both = plan(NODES, tests="tcp-bandwidth", duration="8s", omit="2s", include_control_plane=True, bidirectional=True)
    assert both.estimate.traffic_by_zone_pair == {
        ("a", "a"): 750_000_000,
        ("a", "b"): 250_000_000,
        ("b", "a"): 250_000_000,
        ("b", "b"): 250_000_000,
    }
    assert sum(part or 0 for part in made.estimate.traffic_by_zone_pair.values()) == made.estimate.traffic_bytes


def test_without_zones_there_is_no_split() -> None:
    assert plan([node("w1"), node("w2")]).estimate.traffic_by_zone_pair == {}
