"""What is known after any events: the last word on each object, whatever came between and from which watch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.inventory import reduction
from netmesh_controller.inventory.reduction import Known

NODES = ("n1", "n2", "n3")
PODS = (("netmesh", "a1"), ("netmesh", "a2"), ("netmesh", "p1"), ("netmesh-host", "h1"))
COMPONENT = {"a": "agent", "p": "peer", "h": "host"}


def node(name: str, *, ready: str = "True", zone: str | None = None, **spec: Any) -> dict[str, Any]:
    deleting = spec.pop("deleting", False)
    labels = {"kubernetes.io/os": spec.pop("os", "linux")}
    labels |= {"topology.kubernetes.io/zone": zone} if zone else {}
    metadata = {"name": name, "labels": labels, **({"deletionTimestamp": "now"} if deleting else {})}
    status = {"conditions": [{"type": "Ready", "status": ready}], "nodeInfo": {"kernelVersion": "6.1"}}
    return {"metadata": metadata, "spec": spec, "status": status}


def pod(
    name: str,
    on: str,
    *,
    namespace: str = "netmesh",
    ready: bool = True,
    deleting: bool = False,
    addresses: tuple[str, ...] = ("10.0.0.1",),
    created: str = "2026-01-01T00:00:00Z",
) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": COMPONENT[name[0]]}
    metadata = {"namespace": namespace, "name": name, "uid": f"{name}-{on}", "labels": labels}
    metadata |= {"creationTimestamp": created, **({"deletionTimestamp": "now"} if deleting else {})}
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"phase": "Running", "conditions": conditions, "podIPs": [{"ip": address} for address in addresses]}
    return {"metadata": metadata, "spec": {"nodeName": on}, "status": status}


nodes = st.builds(
    node,
    st.sampled_from(NODES),
    ready=st.sampled_from(("True", "False", "Unknown")),
    zone=st.sampled_from((None, "a", "b")),
    unschedulable=st.booleans(),
    deleting=st.booleans(),
)
pods = st.builds(
    lambda key, on, **more: pod(key[1], on, namespace=key[0], **more),
    st.sampled_from(PODS),
    st.sampled_from(NODES),
    ready=st.booleans(),
    deleting=st.booleans(),
    addresses=st.sampled_from(((), ("10.0.0.1",), ("10.0.0.1", "fd00::1"))),
)
KINDS = st.sampled_from(("ADDED", "MODIFIED", "DELETED"))
EVENTS = st.lists(st.tuples(KINDS, st.one_of(nodes, pods)), max_size=30)


def is_node(item: dict[str, Any]) -> bool:
    return "namespace" not in item["metadata"]


def applied(known: Known, events: list[Any]) -> Known:
    for kind, item in events:
        known = known.node_changed(kind, item) if is_node(item) else known.pod_changed(kind, item)
    return known


def key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def as_lists(events: list[Any]) -> Known:
    """What lists read after these events would say: the last state of each object that is still there."""
    last = {key(item): (kind, item) for kind, item in events}
    left = [item for kind, item in last.values() if kind != "DELETED"]
    known = Known().nodes_listed(tuple(item for item in left if is_node(item)))
    for namespace in ("netmesh", "netmesh-host"):
        known = known.pods_listed(namespace, tuple(item for item in left if key(item)[0] == namespace))
    return known


@given(EVENTS)
def test_a_watch_and_a_list_say_the_same(events: list[Any]) -> None:
    assert applied(Known(), events) == as_lists(events)


@given(EVENTS, EVENTS)
def test_a_list_forgets_what_went_meanwhile(before: list[Any], after: list[Any]) -> None:
    stale, fresh = applied(Known(), before), as_lists(after)
    known = stale.nodes_listed(tuple(node(name) for name in fresh.nodes))
    assert set(known.nodes) == set(fresh.nodes)
    assert known.pods == stale.pods


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_between_watches_does_not_matter(events: list[Any], random: Any) -> None:
    about: dict[tuple[str, str], list[Any]] = {}
    for event in events:
        about.setdefault(key(event[1]), []).append(event)
    streams = list(about.values())
    shuffled = []
    while streams:
        stream = random.choice(streams)
        shuffled.append(stream.pop(0))
        streams = [left for left in streams if left]
    assert reduction.located(applied(Known(), shuffled)) == reduction.located(applied(Known(), events))


@given(EVENTS)
def test_every_node_is_there_once_with_an_address_or_a_reason(events: list[Any]) -> None:
    known = applied(Known(), events)
    entries = reduction.located(known)
    assert {entry.node for entry in entries} == set(known.nodes)
    assert len({(entry.node, entry.role) for entry in entries}) == len(entries)
    assert {entry.node for entry in entries if entry.role == "pod"} == set(known.nodes)
    for entry in entries:
        assert (entry.away is None) == bool(entry.address)
        assert entry.node is not None
        assert entry.role is not None
        expected = entry if entry.away is None else None
        assert reduction.agent(known, entry.node, entry.role) == expected
        if reduction.away(known, entry.node) is not None:
            assert entry.away == reduction.away(known, entry.node)


def known_of(*items: dict[str, Any]) -> Known:
    return applied(Known(), [("ADDED", item) for item in items])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"deleting": True}, "n1 is being deleted"),
        ({"deleting": True, "unschedulable": True}, "n1 is being deleted"),
    ],
)
def test_a_node_that_is_taken_away_says_so(changed: dict[str, Any], says: str) -> None:
    (entry,) = reduction.located(known_of(node("n1", **changed), pod("a1", "n1")))
    assert (entry.away, entry.address) == (says, "")


def test_a_node_that_is_cordoned_is_asked_and_excused() -> None:
    known = known_of(node("n1", unschedulable=True), pod("a1", "n1"), node("n2"), pod("a2", "n2"))
    entries = reduction.located(known)
    assert [(entry.away, entry.excuse, bool(entry.address)) for entry in entries] == [
        (None, "n1 is cordoned", True),
        (None, None, True),
    ]
    assert (reduction.away(known, "n1"), reduction.excuse(known, "n1")) == (None, "n1 is cordoned")
    assert (reduction.away(known, "n9"), reduction.excuse(known, "n9")) == ("n9 was removed from the cluster",) * 2
    (gone,) = reduction.located(known_of(node("n1", unschedulable=True)))
    assert gone.away == "no agent runs on n1, which is cordoned"


def test_a_node_that_failed_is_not_away() -> None:
    (entry,) = reduction.located(known_of(node("n1", ready="Unknown"), pod("a1", "n1", ready=False)))
    assert (entry.away, entry.address, entry.facts["kubernetes_ready"]) == (None, "10.0.0.1:9410", False)


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        (pod("a1", "n1", ready=False), "the pod agent of n1 is not ready"),
        (pod("a1", "n1", deleting=True), "the pod agent of n1 is ending"),
        (pod("a1", "n1", addresses=()), "the pod agent of n1 has not started"),
        (pod("p1", "n1"), "no agent runs on n1"),
    ],
)
def test_an_agent_that_cannot_be_asked_says_why(agent: dict[str, Any], says: str) -> None:
    entries = reduction.located(known_of(node("n1"), agent))
    assert [entry.away for entry in entries if entry.role == "pod"] == [says]


def test_the_pod_that_takes_over_is_the_one() -> None:
    old = pod("a1", "n1", deleting=True, addresses=("10.0.0.1",))
    new = pod("a2", "n1", addresses=("10.0.0.2",), created="2026-01-02T00:00:00Z")
    (entry,) = reduction.located(known_of(node("n1"), new, old))
    assert entry.address == "10.0.0.2:9410"


def test_roles_zones_families_and_other_systems() -> None:
    known = known_of(
        node("n1", zone="a"),
        node("w1", os="windows"),
        pod("a1", "n1", addresses=("fd00::1", "10.0.0.1")),
        pod("p1", "n1"),
        pod("h1", "n1", namespace="netmesh-host"),
        pod("a2", "w1"),
    )
    entries = reduction.located(known)
    assert [(entry.node, entry.role, entry.zone) for entry in entries] == [
        ("n1", "pod", "a"),
        ("n1", "peer", "a"),
        ("n1", "host", "a"),
    ]
    assert entries[0].address == "[fd00::1]:9410"
    assert entries[0].facts["kernel"] == "6.1"
