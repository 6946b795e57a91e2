"""Addresses of labs: every one its own, in every lab of any size."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.lab.addressing import (
    MAX_LABS,
    LabAddresses,
    belongs,
    check_name,
    lab_addresses,
    namespaces,
)
from netmesh_controller.lab.errors import LabInputError
from netmesh_controller.lab.spec import MAX_NODES, MAX_SERVICE_NODES

indexes = st.integers(0, MAX_LABS - 1)
sizes = st.integers(1, MAX_NODES)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
NUMBER_OF_HOSTS = 5  # a node: its uplink, and both ends of two links; and two Services in a lab that has them


def hosts(lab: LabAddresses) -> list[str]:
    found = [str(interface.ip) for interface in lab.fabric.both()]
    for node in lab.nodes.values():
        for addresses in (node.uplink, *(end for link in node.pods.values() for end in (link.node, link.pod))):
            found += [str(interface.ip) for interface in addresses.both()]
        found += [str(address) for service in node.services.values() for address in (service.v4, service.v6)]
    return found


@given(indexes, sizes)
def test_no_address_twice_and_all_in_their_blocks(index: int, nodes: int) -> None:
    lab = lab_addresses(index, nodes)
    found = hosts(lab)
    assert len(set(found)) == len(found) == 2 + 2 * nodes * (NUMBER_OF_HOSTS + (2 if nodes <= MAX_SERVICE_NODES else 0))
    segment = lab.fabric.v4.network
    for node in lab.nodes.values():
        assert node.uplink.v4.network == segment
        assert node.uplink.v6.network == lab.fabric.v6.network
        assert node.pods_v4.subnet_of(IPv4Network("198.18.0.0/15"))
        for service in node.services.values():
            # On no link: only a rule leads there.
            assert not any(service.v4 in each.pods_v4 or service.v6 in each.pods_v6 for each in lab.nodes.values())
            assert service.v4 not in segment
            assert service.v6 not in lab.fabric.v6.network
        assert not node.pods_v4.overlaps(segment)
        assert not node.pods_v6.overlaps(lab.fabric.v6.network)
        for link in node.pods.values():
            for end in (link.node, link.pod):
                assert end.v4.network.subnet_of(node.pods_v4)
                assert end.v6.network.subnet_of(node.pods_v6)
                assert end.v4.ip not in (end.v4.network.network_address, end.v4.network.broadcast_address)
            assert link.node.v4.network == link.pod.v4.network
        agent, peer = node.pods.values()
        assert not agent.pod.v4.network.overlaps(peer.pod.v4.network)
        assert not agent.pod.v6.network.overlaps(peer.pod.v6.network)


@settings(max_examples=30)
@given(indexes, indexes)
def test_labs_do_not_overlap(one: int, other: int) -> None:
    def spans(index: int) -> list[tuple[int, int]]:
        lab = lab_addresses(index, MAX_NODES)
        nodes, services = lab.nodes.values(), lab_addresses(index, MAX_SERVICE_NODES).nodes["node-32"].services["peer"]
        v4 = [lab.fabric.v4.network, *(node.pods_v4 for node in nodes), IPv4Network(services.v4)]
        v6 = [lab.fabric.v6.network, *(node.pods_v6 for node in nodes), IPv6Network(services.v6)]
        return [
            (min(int(each[0]) for each in networks), max(int(each[-1]) for each in networks)) for networks in (v4, v6)
        ]

    if one != other:
        for (first, last), (other_first, other_last) in zip(spans(one), spans(other), strict=True):
            assert last < other_first or other_last < first


@given(names, names, sizes)
def test_a_namespace_belongs_to_one_lab(one: str, other: str, nodes: int) -> None:
    every = [f"node-{number}" for number in range(1, nodes + 1)]
    assert all(belongs(namespace, one) for namespace in namespaces(one, every))
    assert one == other or not any(belongs(namespace, one) for namespace in namespaces(other, every))


def test_a_lab_named_like_a_part_of_another() -> None:
    assert not any(belongs(namespace, "a") for namespace in namespaces("a-node-1", ["node-1"]))


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a/b", "..", "a" * 33, "ä", "a\n"])
def test_names_that_no_lab_can_have(name: str) -> None:
    with pytest.raises(LabInputError, match="cannot be a lab's name"):
        check_name(name)


@pytest.mark.parametrize(("index", "nodes"), [(-1, 1), (MAX_LABS, 1), (0, 0), (0, MAX_NODES + 1)])
def test_out_of_range(index: int, nodes: int) -> None:
    with pytest.raises(ValueError, match="no addresses"):
        lab_addresses(index, nodes)
