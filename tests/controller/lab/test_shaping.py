"""What the file means for queues; that the kernel does it is seen in test_network."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.lab.addressing import lab_addresses
from netmesh_controller.lab.shaping import burst_bytes, node_shape, queue_bytes
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
def test_rules_stand_in_both_families(family: str) -> None:
    spec = parse_spec(
        {"nodes": 2, "pairs": [{"from": "node-1", "to": "node-2", "loss": 0.02, "drop_larger_than": 1400}]}
    )
    shape = node_shape(spec, "node-1", lab_addresses(0, 2)).node
    length, loss = getattr(shape, family)
    assert "--length 1401:65535 -j DROP" in length
    assert "--probability 0.0200000000 -j DROP" in loss
    assert node_shape(spec, "node-2", lab_addresses(0, 2)).node.rules_v4 == ()
