from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.probing.peers import PEERS, TURN_SECONDS, Peering, peering
from netmesh_controller.mesh.probing.ring import Ring


def mesh(size: int, zones: int) -> dict[str, str | None]:
    return {f"node-{number:04}": f"zone-{number % zones}" for number in range(size)}


def assert_regular(found: Peering, degree: int) -> None:
    pairs = list(found.pairs())
    assert len(pairs) == len(set(pairs)), "a pair twice"
    assert all(source != target for source, target in pairs)
    assert set(Counter(source for source, _ in pairs).values()) == {degree}
    assert set(Counter(target for _, target in pairs).values()) == {degree}


@pytest.mark.parametrize("size", [2, 3, 41, 200])
def test_small_meshes_are_probed_whole(size: int) -> None:
    zones = mesh(size, 3)
    found = peering(Ring().updated(zones), zones, turn=7)
    assert_regular(found, size - 1)
    assert found.turns == 1


@given(size=st.integers(201, 450), zones=st.integers(1, 12), peers=st.integers(8, 60), turn=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_node_probes_and_is_probed_equally(size: int, zones: int, peers: int, turn: int) -> None:
    nodes = mesh(size, zones)
    assert_regular(peering(Ring().updated(nodes), nodes, turn, peers=peers), peers)


@given(
    sizes=st.lists(st.integers(1, 120), min_size=2, max_size=10).filter(lambda sizes: sum(sizes) > 200),
    turn=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_every_zone_probes_every_other(sizes: list[int], turn: int) -> None:
    """Also a zone of one node: zones of very different sizes. Many of those cannot all be reached by 40 peers."""
    zones: dict[str, str | None] = {
        f"z{zone}-n{number:03}": f"z{zone}" for zone, size in enumerate(sizes) for number in range(size)
    }
    found = peering(Ring().updated(zones), zones, turn)
    covered = {(zones[source], zones[target]) for source, target in found.pairs()}
    missing = [
        (one, other)
        for one, size in enumerate(sizes)
        for other in range(len(sizes))
        if (one != other or size > 1) and (f"z{one}", f"z{other}") not in covered
    ]
    assert len(missing) <= found.zones_missing
    others = [size for size in sizes if size > 1]
    if sizes.count(1) <= 1 and 10 * min(others) >= sum(sizes):
        # Near peers reach zones that have every tenth node; one node that is a zone has distances of its own.
        assert found.zones_missing == 0


@pytest.mark.parametrize(("size", "peers"), [(201, 40), (333, 12), (500, 40)])
@pytest.mark.parametrize("first_turn", [0, 12345])
def test_every_pair_has_its_turn_within_the_stated_time(size: int, peers: int, first_turn: int) -> None:
    zones = mesh(size, 4)
    ring = Ring().updated(zones)
    first = peering(ring, zones, first_turn, peers=peers)
    seen: set[tuple[str, str]] = set()
    for turn in range(first_turn, first_turn + first.turns):
        seen.update(peering(ring, zones, turn, peers=peers).pairs())
    assert len(seen) == size * (size - 1)
    assert first.cover_seconds == first.turns * TURN_SECONDS


def test_a_thousand_nodes_are_covered_within_two_hours() -> None:
    zones = mesh(1000, 10)
    assert peering(Ring().updated(zones), zones, 0).cover_seconds <= 7200


@given(data=st.data(), size=st.integers(250, 400), joins=st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_node_that_joins_or_leaves_changes_few_pairs(data: st.DataObject, size: int, joins: bool) -> None:
    """Of the pairs that stay from turn to turn, those that reach over the one place: at most 2 * (1 + ... + 10)."""
    zones = mesh(size, 3)
    ring = Ring().updated(zones)
    changed = dict(zones)
    if joins:
        changed["joined"] = data.draw(st.sampled_from(["zone-0", "zone-1", "a new zone"]))
    else:
        del changed[data.draw(st.sampled_from(sorted(zones)))]
    staying = _staying(ring)
    after = _staying(ring.updated(changed))
    both = set(zones) & set(changed)
    gone = {pair for pair in staying - after if set(pair) <= both}
    assert len(gone) <= 110
    assert len(gone) < 0.05 * len(staying)


def _staying(ring: Ring) -> set[tuple[str, str]]:
    order = ring.order
    steps = [step for near in range(1, PEERS // 4 + 1) for step in (near, -near)]
    return {(name, order[(place + step) % len(order)]) for place, name in enumerate(order) for step in steps}


def test_staying_pairs_stay() -> None:
    zones = mesh(300, 3)
    ring = Ring().updated(zones)
    always = set(peering(ring, zones, 0).pairs())
    for turn in range(1, 40):
        always &= set(peering(ring, zones, turn).pairs())
    assert _staying(ring) <= always


def test_nobody_moves_in_the_circle() -> None:
    ring = Ring().updated(mesh(50, 4))
    smaller = {name: zone for name, zone in mesh(50, 4).items() if name != "node-0017"}
    assert [name for name in ring.order if name != "node-0017"] == list(ring.updated(smaller).order)
    larger = ring.updated({**mesh(50, 4), "node-new": "zone-1"})
    assert [name for name in larger.order if name != "node-new"] == list(ring.order)


def test_too_few_peers_are_refused() -> None:
    zones = mesh(300, 2)
    with pytest.raises(ValueError, match="at least 4"):
        peering(Ring().updated(zones), zones, 0, peers=3)
