"""The model network: what a flow gets alone, and what it gets where others cross its links."""

import random

import pytest
from tests.sim.network import Network, Place

NIC = 10e9


def network(uplinks: dict[str, float] | None = None) -> Network:
    return Network({f"node-{n}": Place(f"zone-{n % 2}", NIC) for n in range(8)}, uplinks or {})


def test_a_flow_alone_has_its_links_rate() -> None:
    net = Network({"a": Place("z", 10e9), "b": Place("z", 1e9)})
    net.begin("one", "a", "b", 0.0)
    assert net.end("one", 5.0).bits_per_second == pytest.approx(1e9)


def test_two_tests_at_one_node_show_wrong_numbers() -> None:
    net = network()
    net.begin("one", "node-0", "node-2", 0.0)
    net.begin("two", "node-4", "node-2", 2.5)
    one, two = net.end("one", 5.0), net.end("two", 7.5)
    assert one.bits_per_second == pytest.approx(0.75 * NIC)
    assert two.bits_per_second == pytest.approx(0.75 * NIC)
    assert one.alone_bits_per_second == NIC


def test_the_two_directions_of_a_nic_are_two_links() -> None:
    net = network()
    net.begin("one", "node-0", "node-2", 0.0)
    net.begin("two", "node-2", "node-0", 0.0)
    assert net.end("one", 1.0).bits_per_second == pytest.approx(NIC)


def test_an_uplink_is_shared_by_what_leaves_its_zone_and_by_nothing_else() -> None:
    net = network({"zone-0": 12e9, "zone-1": 100e9})
    net.begin("far one", "node-0", "node-1", 0.0)
    net.begin("near", "node-4", "node-6", 0.0)
    net.begin("far two", "node-2", "node-3", 0.0)
    assert net.end("near", 1.0).bits_per_second == pytest.approx(NIC)
    assert net.end("far one", 1.0).bits_per_second == pytest.approx(6e9)
    # What the other gave back is there at once.
    assert net.end("far two", 2.0).bits_per_second == pytest.approx((6e9 + NIC) / 2)


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_max_min_fair_whatever_comes_and_goes(seed: int) -> None:
    """No link carries more than it has, and each flow has a full link on which nobody has more than it."""
    dice = random.Random(seed)
    net = network({"zone-0": 15e9, "zone-1": 17e9})
    running: list[str] = []
    for step in range(60):
        if running and dice.random() < 0.4:
            net.end(running.pop(dice.randrange(len(running))), float(step))
        else:
            source, target = dice.sample(sorted(net.places), 2)
            net.begin(f"flow {step}", source, target, float(step))
            running.append(f"flow {step}")
        flows = net._flows
        for link, names in net._on.items():
            assert sum(flows[name].rate for name in names) <= net._capacity(link) * (1 + 1e-6)
        for flow in flows.values():
            assert any(
                sum(flows[name].rate for name in net._on[link]) >= net._capacity(link) * (1 - 1e-6)
                and flow.rate >= max(flows[name].rate for name in net._on[link]) * (1 - 1e-6)
                for link in flow.links
            )
