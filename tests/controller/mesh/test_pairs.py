"""Which pairs are measured."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.pairs import blocks, parse_pairs, rounds


def names(count: int) -> list[str]:
    return [f"node-{number}" for number in range(1, count + 1)]


def chosen(text: str, count: int, zones: list[str | None] | None = None) -> list[tuple[int, int]]:
    found = list(blocks(parse_pairs(text), names(count), zones or [None] * count))
    assert all(len({frozenset(pair) for pair in block}) == 1 for block in found), "a block is one unordered pair"
    return [pair for block in found for pair in block]


@given(st.integers(0, 40))
def test_rounds_are_matchings_and_every_pair_once(count: int) -> None:
    met = list(rounds(count))
    for matching in met:
        nodes = [node for pair in matching for node in pair]
        assert len(nodes) == len(set(nodes))
        assert len(matching) == count // 2
    assert sorted(pair for matching in met for pair in matching) == list(combinations(range(count), 2))


@given(st.integers(1, 20))
def test_all_is_every_ordered_pair_and_every_node_with_itself(count: int) -> None:
    assert sorted(chosen("all", count)) == sorted(product(range(count), repeat=2))


@given(st.integers(2, 31), st.data())
def test_a_sample_measures_every_node_equally(count: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, count - 1))
    pairs = chosen(f"sample:{wanted}", count)
    assert len(pairs) == len(set(pairs))
    assert {(b, a) for a, b in pairs} == set(pairs)
    measured = Counter(a for a, _ in pairs)
    degrees = [measured[node] for node in range(count)]
    # Of an odd number of nodes each round leaves one out, never the same twice.
    assert max(degrees) == wanted
    assert min(degrees) >= wanted - count % 2
    assert chosen(f"sample:{wanted}", count) == pairs


def test_a_sample_is_not_the_neighbours_in_the_list() -> None:
    assert set(chosen("sample:1", 40)) != {(a, b) for met in list(rounds(40))[:1] for p in met for a, b in (p, p[::-1])}


@pytest.mark.parametrize(
    ("text", "count", "sentence"),
    [
        ("sample:4", 4, "sample:4 cannot be had: 4 nodes have 3 rounds"),
        ("sample:1", 1, "sample:1 cannot be had: one node has no pair"),
        ("node-1:node-9", 2, "there is no node 'node-9'; the nodes are node-1, node-2"),
        ("node-0:node-1", 12, "there is no node 'node-0'; the nodes are .*node-10, …"),
        ("zones", 2, "zones cannot be had: no node says in which zone it is"),
    ],
)
def test_what_cannot_be_had_is_said(text: str, count: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        chosen(text, count)


def test_a_list_is_taken_as_it_is() -> None:
    assert chosen("node-1:node-1,node-2:node-1,node-1:node-2,node-3:node-1,node-2:node-1", 3) == [
        (1, 0),
        (0, 1),
        (2, 0),
        (0, 0),
    ]


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=20))
def test_zones_are_one_pair_an_ordered_pair_of_zones(zones: list[str | None]) -> None:
    pairs = chosen("zones", len(zones), zones)
    met = Counter((zones[a], zones[b]) for a, b in pairs)
    sizes = Counter(zones)
    expected = {(x, y) for x, y in product(sizes, repeat=2) if x != y or sizes[x] > 1}
    assert met == dict.fromkeys(expected, 1)
    assert all(a != b for a, b in pairs)
    used = Counter(node for pair in pairs for node in pair)
    for zone in sizes:
        counts = [used[node] for node in range(len(zones)) if zones[node] == zone]
        assert max(counts) - min(counts) <= 1


def test_nodes_without_a_zone_are_one_more_zone() -> None:
    pairs = chosen("zones", 3, ["a", None, None])
    assert {(a == 0, b == 0) for a, b in pairs} == {(True, False), (False, True), (False, False)}
