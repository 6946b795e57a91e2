"""The lab's file: what it may say, and the sentence for everything that it may not."""

from __future__ import annotations

import pytest

from netmesh_controller.lab.errors import LabInputError
from netmesh_controller.lab.spec import load_spec, parse_spec, spec_of

FULL = """
nodes: 4
zones: {a: [node-1, node-2], b: [node-3]}
links: {node-1: {rate: 100M, mtu: 1400, loss: 0.02, delay: 2ms, direction: out}}
pairs: [{from: node-1, to: node-2, rate: 50M, loss: 0.01, delay: 0.00001, drop_larger_than: 1400, icmp: false}]
pods:  {node-2: {cpu: 0.5}}
services: {unrelated_rules: 2000}
"""


def test_every_field_is_read() -> None:
    spec = load_spec(FULL)
    assert spec.names() == ["node-1", "node-2", "node-3", "node-4"]
    assert [spec.zone(node) for node in spec.names()] == ["a", "a", "b", None]
    link, pair = spec.link("node-1"), spec.pairs[0]
    assert (link.rate, link.mtu, link.loss, link.direction) == (100_000_000, 1400, 0.02, "out")
    assert (pair.source, pair.target, pair.rate, pair.loss) == ("node-1", "node-2", 50_000_000, 0.01)
    assert (pair.drop_larger_than, pair.icmp) == (1400, False)
    assert (link.delay, pair.delay) == (0.002, 0.00001)
    assert spec.pods["node-2"].cpu == 0.5
    assert spec.services.unrelated_rules == 2000
    assert spec.uplink_rate("node-1", "out") == 100_000_000
    assert spec.uplink_rate("node-1", "in") == spec.uplink_rate("node-2", "out") == 1_000_000_000


def test_what_is_written_down_is_read_as_the_same() -> None:
    spec = load_spec(FULL)
    assert parse_spec(spec.model_dump(mode="json", by_alias=True, exclude_unset=True)) == spec


@pytest.mark.parametrize(
    ("nodes", "uplink"), [(1, 10**9), (2, 10**9), (4, 10**9), (5, 10**9), (8, 500_000_000), (200, 20_000_000)]
)
def test_default_rates(nodes: int, uplink: int) -> None:
    spec = spec_of(nodes)
    assert spec.uplink_rate("node-1", "in") == spec.uplink_rate("node-1", "out") == uplink
    assert spec.pod_rate("node-1") == 2 * uplink


def test_which_pods_send_through_dropping_rules() -> None:
    assert spec_of(3).lossy_sources() == set()
    out = load_spec("nodes: 3\nlinks: {node-1: {loss: 0.1, direction: out}}")
    assert out.lossy_sources() == {"node-1"}
    inward = load_spec("nodes: 3\nlinks: {node-1: {loss: 0.1, direction: in}}")
    assert inward.lossy_sources() == {"node-2", "node-3"}
    pair = load_spec("nodes: 3\npairs: [{from: node-2, to: node-1, drop_larger_than: 1400, icmp: false}]")
    assert pair.lossy_sources() == {"node-2"}
    router = load_spec("nodes: 3\npairs: [{from: node-2, to: node-1, drop_larger_than: 1400}]")
    assert router.lossy_sources() == set()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A lab's file is a mapping of fields and has at least `nodes`, such as `nodes: 4`."),
        ("- 4", "A lab's file is a mapping of fields and has at least `nodes`, such as `nodes: 4`."),
        ("nodes: [", "The lab's file is not YAML: "),
        ("nodes: 2\nnodes: 3", "nodes: stands twice in one mapping"),
        ("nodes: 2\nlinks: {node-1: {rate: 1M}, node-1: {rate: 2M}}", "node-1: stands twice in one mapping"),
        ("zones: {}", "nodes: this field is missing."),
        ("nodes: 0", "nodes: 0 is not a whole number from 1 to 200."),
        ("nodes: 201", "nodes: 201 is not a whole number from 1 to 200."),
        ("nodes: yes", "nodes: True is not a whole number from 1 to 200."),
        ("nodes: four", "nodes: 'four' is not a whole number from 1 to 200."),
        ("nodes: 2\nlinke: {}", "linke: there is no such field; the fields are nodes, zones, links, pairs, pods,"),
        (
            "nodes: 4\nlinks: {node-9: {rate: 1M}}",
            "links.node-9: there is no node node-9; nodes are node-1 … node-4.",
        ),
        ("nodes: 1\npods: {node-2: {cpu: 1}}", "pods.node-2: there is no node node-2; the only node is node-1."),
        ("nodes: 2\nlinks: {node-1: 100M}", "links.node-1: '100M' is not a mapping of fields."),
        ("nodes: 2\nlinks: [node-1]", "links: ['node-1'] is not a mapping, such as {node-1: …}."),
        (
            "nodes: 2\nlinks: {node-1: {speed: 1M}}",
            "links.node-1.speed: there is no such field; the fields are rate, mtu, loss, delay, direction.",
        ),
        ("nodes: 2\nlinks: {node-1: {rate: fast}}", "links.node-1.rate: 'fast' is not a rate"),
        ("nodes: 2\nlinks: {node-1: {rate: true}}", "links.node-1.rate: True is not a rate such as 100M."),
        (
            "nodes: 2\nlinks: {node-1: {rate: 10}}",
            "links.node-1.rate: 10 is outside of what can be shaped, 1M to 100G.",
        ),
        (
            "nodes: 2\nlinks: {node-1: {loss: 2}}",
            "links.node-1.loss: 2 is not a ratio from 0 to 1, such as 0.02 for 2 %.",
        ),
        ("nodes: 2\nlinks: {node-1: {loss: 2%}}", "links.node-1.loss: '2%' is not a ratio"),
        ("nodes: 2\nlinks: {node-1: {loss: .nan}}", "links.node-1.loss: nan is not a ratio"),
        ("nodes: 2\nlinks: {node-1: {mtu: 500}}", "links.node-1.mtu: 500 is not a size in bytes from 1280 to 9216."),
        ("nodes: 2\nlinks: {node-1: {direction: up}}", "links.node-1.direction: 'up' is not out, in or both."),
        ("nodes: 2\nlinks: {node-1: {delay: long}}", "links.node-1.delay: 'long' is not a duration such as 5s"),
        ("nodes: 2\nlinks: {node-1: {delay: true}}", "links.node-1.delay: True is not a delay such as 2ms."),
        (
            "nodes: 2\nlinks: {node-1: {delay: 4s}}",
            "links.node-1.delay: 4s is outside of how long packets can be held, 0 to 3s.",
        ),
        ("nodes: 2\nlinks: {node-1: {delay: .nan}}", "links.node-1.delay: nan is outside of how long packets can be"),
        ("nodes: 2\nzones: {a: [node-3]}", "zones.a: there is no node node-3; nodes are node-1 … node-2."),
        ("nodes: 2\nzones: {a: [node-1], b: [node-1]}", "zones.b: node-1 is in zone a already; a node has one zone."),
        ("nodes: 2\nzones: {a: node-1}", "zones.a: 'node-1' is not a list."),
        ("nodes: 2\npairs: [{to: node-1}]", "pairs[0].from: this field is missing."),
        ("nodes: 2\npairs: [{from: node-1, to: node-3}]", "pairs[0].to: there is no node node-3;"),
        ("nodes: 2\npairs: [{from: node-1, to: node-1}]", "pairs[0]: from and to are both node-1;"),
        (
            "nodes: 2\npairs: [{from: node-1, to: node-2}, {from: node-1, to: node-2}]",
            "pairs[1]: node-1 to node-2 stands there already; say it once.",
        ),
        (
            "nodes: 2\npairs: [{from: node-1, to: node-2, mtu: 1400}]",
            "pairs[0].mtu: there is no such field; the fields are from, to, rate, loss, delay, jitter, drop_larger",
        ),
        ("nodes: 2\npairs: [{from: node-1, to: node-2, icmp: maybe}]", "pairs[0].icmp: 'maybe' is not true or false."),
        ("nodes: 2\npods: {node-1: {cpu: 0}}", "pods.node-1.cpu: 0 is not a number of cores"),
        ("nodes: 2\nservices: 5", "services: 5 is not a mapping of fields."),
        ("nodes: 2\nservices: {rules: 5}", "services.rules: there is no such field; the fields are unrelated_rules."),
        (
            "nodes: 2\nservices: {unrelated_rules: -1}",
            "services.unrelated_rules: -1 is not a whole number from 0 to 50000.",
        ),
        ("nodes: 33\nservices: {unrelated_rules: 1}", "services: labs of more than 32 nodes have none; leave it out."),
    ],
)
def test_wrong_files(text: str, sentence: str) -> None:
    with pytest.raises(LabInputError) as caught:
        load_spec(text)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
