"""What the file means for queues; that the kernel does it is seen in test_network."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.lab.addressing import lab_addresses
from netmesh_controller.lab.delay import Delays, delays
from netmesh_controller.lab.shaping import burst_bytes, fabric_shape, node_shape, queue_bytes
from netmesh_controller.lab.spec import MAX_RATE, MIN_RATE, parse_spec

rates = st.integers(MIN_RATE, MAX_RATE)


@given(rates)
def test_bursts_and_queues_are_short_but_hold_packets(rate: int) -> None:
    burst, queue = burst_bytes(rate), queue_bytes(rate)
    assert burst >= 10 * 1514
    assert burst >= rate * 0.002 / 8 - 1
    assert burst <= max(10 * 1514, 64 * 1024, rate * 0.002 / 8 + 1)
    assert queue >= 20 * 1514
    assert queue <= max(20 * 1514, rate * 0.015 / 8 + 1)


@given(rates, st.lists(rates, min_size=1, max_size=8))
def test_pairs_share_the_uplink(uplink: int, pairs: list[int]) -> None:
    spec = parse_spec(
        {
            "nodes": 9,
            "links": {"node-1": {"rate": uplink}},
            "pairs": [{"from": "node-1", "to": f"node-{n}", "rate": rate} for n, rate in enumerate(pairs, start=2)],
        }
    )
    lines = node_shape(spec, "node-1", lab_addresses(0, 9)).node.devices["eth0"].queue
    wanted = re.compile(r"class add dev eth0 parent 2:1 classid \S+ htb rate (\d+)bit ceil (\d+)bit ")
    children = [match for match in map(wanted.match, lines) if match is not None]
    assert len(children) == len(pairs) + 1
    assert sum(int(child[1]) for child in children) <= uplink
    assert [int(child[2]) for child in children] == [uplink, *(min(rate, uplink) for rate in pairs)]


@pytest.mark.parametrize("family", ["rules_v4", "rules_v6"])
def test_rules_stand_where_packets_arrive_in_both_families(family: str) -> None:
    spec = parse_spec(
        {
            "nodes": 3,
            "pairs": [{"from": "node-1", "to": "node-2", "loss": 0.02, "drop_larger_than": 1400, "icmp": False}],
            "links": {"node-3": {"loss": 0.5, "direction": "out"}},
        }
    )
    addresses = lab_addresses(0, 3)
    from_1, from_3 = (
        addresses.nodes[name].here_v4() if family == "rules_v4" else addresses.nodes[name].here_v6()
        for name in ("node-1", "node-3")
    )
    rules = getattr(node_shape(spec, "node-2", addresses).node, family)
    assert [line.split()[5] for line in rules] == [*from_1, *from_1, *from_3]  # -s PREFIX
    assert all("--length 1401:65535 -j DROP" in line for line in rules[:2])
    assert all("--probability 0.0200000000 -j DROP" in line for line in rules[2:4])
    assert all("--probability 0.5000000000 -j DROP" in line for line in rules[4:])
    assert getattr(node_shape(spec, "node-3", addresses).node, family) == ()
    assert len(getattr(fabric_shape(spec, addresses), family)) == 2


def test_what_a_router_drops_is_no_rule() -> None:
    spec = parse_spec({"nodes": 2, "pairs": [{"from": "node-1", "to": "node-2", "drop_larger_than": 1400}]})
    addresses = lab_addresses(0, 2)
    assert node_shape(spec, "node-1", addresses).node.routed == {"node-2"}
    assert fabric_shape(spec, addresses).narrow == {("node-1", "node-2"): 1400}
    assert not any(node_shape(spec, node, addresses).node.rules_v4 for node in spec.names())


def test_a_smaller_link_is_reached_by_way_of_a_router() -> None:
    spec = parse_spec(
        {
            "nodes": 3,
            "links": {"node-3": {"mtu": 1400}},
            "pairs": [{"from": "node-1", "to": "node-3", "drop_larger_than": 1450}],
        }
    )
    addresses = lab_addresses(0, 3)
    fabric = fabric_shape(spec, addresses)
    assert fabric.room == {"node-3": 1400}
    assert fabric.narrow == {("node-1", "node-3"): 1400}
    routed = [node_shape(spec, node, addresses).node.routed for node in spec.names()]
    assert routed == [{"node-3"}, {"node-3"}, set()]


def test_delays_add_up_on_the_way() -> None:
    spec = parse_spec(
        {
            "nodes": 3,
            "links": {"node-1": {"delay": "2ms", "direction": "out"}, "node-2": {"delay": "500us"}},
            "pairs": [{"from": "node-1", "to": "node-2", "delay": "1ms"}],
        }
    )
    wanted = {("node-1", "node-2"): 0.0035, ("node-1", "node-3"): 0.002, ("node-2", "node-1"): 0.0005}
    assert {way: spec.delay(*way) for way in wanted} == pytest.approx(wanted)
    assert spec.delay("node-3", "node-1") == 0
    assert spec.delay(None, "node-2") == pytest.approx(0.0005)
    made = delays(spec, lab_addresses(0, 3))
    assert sorted(made.devices.values()) == [500_000, 2_000_000, 3_500_000]
    assert delays(parse_spec({"nodes": 3}), lab_addresses(0, 3)) == Delays()


def test_one_delay_to_everywhere_is_one_filter_a_family() -> None:
    spec = parse_spec({"nodes": 50, "links": {"node-1": {"delay": "2ms", "direction": "out"}}})
    made = delays(spec, lab_addresses(0, 50))
    assert len(made.queue) == 1 + 2
    assert all(line.startswith(("qdisc add dev node-1 ", "filter add dev node-1 ingress ")) for line in made.queue)
