"""Losses by counts: the right place is named, and chance is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.probing.losses import Losses, chance, losses

ALPHA = 1e-4


def mesh(size: int, probes: int = 30) -> np.ndarray:
    sent = np.full((size, size), probes)
    np.fill_diagonal(sent, 0)
    return sent


def lost_of(sent: np.ndarray, ratio: np.ndarray | float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).binomial(sent, ratio)


@given(st.integers(4, 30), st.integers(0, 10_000), st.floats(0, 0.001))
@settings(max_examples=60, deadline=None)
def test_what_is_always_lost_is_nothing(size: int, seed: int, ratio: float) -> None:
    sent = mesh(size)
    found = losses(sent, lost_of(sent, ratio, seed), np.arange(size) % 3, ALPHA)
    assert found == Losses()


@given(st.integers(4, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_a_lossy_node_is_named_and_its_peers_are_not(size: int, data: st.DataObject) -> None:
    node = data.draw(st.integers(0, size - 1))
    sent = mesh(size)
    ratio = np.zeros(sent.shape)
    ratio[node, :] = ratio[:, node] = 0.15
    lost = lost_of(sent, ratio, data.draw(st.integers(0, 10_000)))
    found = losses(sent, lost, np.zeros(size, np.intp), ALPHA)
    assert [one.places for one in found.nodes] == [(node,)]
    assert (found.zones, found.pairs) == ((), ())
    assert found.nodes[0].lost == lost.sum()
    assert found.nodes[0].sent == sent[node].sum() * 2


@given(st.integers(4, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_a_lossy_pair_is_neither_of_its_nodes(size: int, data: st.DataObject) -> None:
    a, b = sorted(data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True)))
    sent = mesh(size)
    ratio = np.zeros(sent.shape)
    ratio[a, b] = ratio[b, a] = data.draw(st.sampled_from([0.3, 1.0]))
    found = losses(sent, lost_of(sent, ratio, data.draw(st.integers(0, 10_000))), np.zeros(size, np.intp), ALPHA)
    assert [one.places for one in found.pairs] == [(a, b)]
    assert (found.nodes, found.zones) == ((), ())


def test_two_zones_that_lose_between_them_are_said_once() -> None:
    zone = np.arange(12) % 3
    sent = mesh(12)
    between = ((zone[:, None] == 0) & (zone[None, :] == 2)) | ((zone[:, None] == 2) & (zone[None, :] == 0))
    found = losses(sent, lost_of(sent, np.where(between, 0.1, 0.0), 1), zone, ALPHA)
    assert [one.places for one in found.zones] == [(0, 2)]
    assert (found.nodes, found.pairs) == ((), ())


@given(st.integers(4, 30), st.data())
@settings(max_examples=40, deadline=None)
def test_a_mesh_that_loses_everywhere_is_told_as_one(size: int, data: st.DataObject) -> None:
    sent = mesh(size, 60)
    lost = lost_of(sent, 0.1, data.draw(st.integers(0, 10_000)))
    found = losses(sent, lost, np.arange(size) % data.draw(st.integers(1, 3)), ALPHA)
    # A pair that lost more than the others by chance may be named in its place, and never beside it.
    named = bool(found.nodes or found.zones or found.pairs)
    assert (found.mesh is None) == named
    if found.mesh is not None:
        assert (found.mesh.places, found.mesh.lost, found.mesh.sent) == ((), lost.sum(), sent.sum())


def test_a_mesh_that_loses_evenly_has_no_place_to_blame() -> None:
    sent = mesh(6, 60)
    found = losses(sent, np.where(sent > 0, 6, 0), np.zeros(6, np.intp), ALPHA)
    assert (found.nodes, found.zones, found.pairs) == ((), (), ())
    assert found.mesh is not None
    assert found.mesh.ratio == 0.1


def test_a_pair_that_was_not_probed_says_nothing() -> None:
    found = losses(np.zeros((5, 5), int), np.zeros((5, 5), int), np.zeros(5, np.intp), ALPHA)
    assert found == Losses()


@given(st.integers(1, 60), st.floats(0.01, 20))
def test_the_bound_is_one(lost: int, expected: float) -> None:
    tail = 1.0 - sum(
        float(np.exp(-expected + k * np.log(expected) - sum(np.log(i) for i in range(1, k + 1)))) for k in range(lost)
    )
    assert np.exp(chance(float(lost), expected)) >= tail - 1e-9
    # And hardly more than the truth, where few are lost of which hardly any are expected: so are bad links seen.
    if expected < 0.5 and tail > 1e-9:
        assert np.exp(chance(float(lost), expected)) < 1.1 * tail
