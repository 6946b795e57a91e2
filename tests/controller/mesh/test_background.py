"""Background bandwidth: who is tested next, at which rate, and when nothing is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import hostsamples
from tests.support.hostsamples import CpuTimes

from netmesh_controller.mesh.background.turns import (
    DAY_SECONDS,
    OMIT_SECONDS,
    TEST_SECONDS,
    Allowance,
    Ledger,
    Mesh,
    Turn,
    Wait,
    cost_of,
    decide,
    device_bytes,
    rates,
    why_busy,
)
from netmesh_controller.mesh.hostsamples import Sample

MIDNIGHT = 20_000.0 * DAY_SECONDS
GIGABIT = 1e9
TOOK = TEST_SECONDS + OMIT_SECONDS


def mesh(size: int, lines: list[float] | None = None) -> Mesh:
    return Mesh(
        nodes=tuple(f"node-{number}" for number in range(size)),
        tried=np.full((size, size), -math.inf),
        free=np.ones(size, dtype=bool),
        ended=np.full(size, -math.inf),
        lines=np.array(lines if lines is not None else [GIGABIT] * size),
    )


@dataclass
class World:
    """Plays the engine: a clock, a ledger, turns that are taken and what they sent by day."""

    mesh: Mesh
    allowance: Allowance
    now: float = MIDNIGHT
    seed: int = 0
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.turns: list[tuple[float, Turn]] = []
        self.sent: dict[int, int] = {}

    def step(self, counted: float | None = None) -> Turn | Wait:
        """One decision; `counted` is the part of its cost that a test sends, None: nobody knows."""
        found = decide(self.mesh, self.allowance, self.ledger, self.now, seed=self.seed)
        if isinstance(found, Wait):
            assert found.until > self.now, "it would be asked at once again"
            self.now = found.until
            return found
        assert found.source != found.target
        for node in (found.source, found.target):
            assert self.mesh.free[node], "a node that is not to be tested"
            assert self.mesh.ended[node] + self.allowance.rest_seconds <= self.now, "a node that rests"
        self.turns.append((self.now, found))
        day = int(self.now // DAY_SECONDS)
        bytes_of_it = found.cost_bytes if counted is None else int(counted * found.cost_bytes)
        self.sent[day] = self.sent.get(day, 0) + bytes_of_it
        self.ledger = self.ledger.reserved(found.cost_bytes, self.now)
        self.mesh.tried[found.source, found.target] = self.now
        self.now += TOOK
        assert int(self.now // DAY_SECONDS) == day, "a test that is of two days"
        self.mesh.ended[[found.source, found.target]] = self.now
        self.ledger = self.ledger.settled(found.cost_bytes, None if counted is None else bytes_of_it)
        return found


lines_of_nodes = st.lists(st.one_of(st.just(math.nan), st.floats(2e7, 4e11)), min_size=2, max_size=7)
allowances = st.builds(
    Allowance,
    day_bytes=st.integers(10**6, 10**13),
    share=st.floats(0.01, 1.0),
    rate=st.one_of(st.none(), st.integers(10**6, 10**11)),
    rest_seconds=st.floats(0, 600),
)


@given(lines=lines_of_nodes, allowance=allowances, start=st.floats(0, DAY_SECONDS), data=st.data())
@settings(max_examples=60, deadline=None)
def test_neither_bytes_nor_rate_nor_turn_is_ever_above_what_is_allowed(
    lines: list[float], allowance: Allowance, start: float, data: st.DataObject
) -> None:
    world = World(mesh(len(lines), lines), allowance, MIDNIGHT + start, seed=data.draw(st.integers(0, 9)))
    for _ in range(40):
        world.mesh.free[:] = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
        before = world.mesh.tried.copy()
        left = allowance.day_bytes - world.ledger.spent_on(world.now)
        found = world.step(data.draw(st.one_of(st.none(), st.floats(0.1, 1.0))))
        if isinstance(found, Turn):
            ends = [lines[found.source], lines[found.target]]
            known = [line for line in ends if not math.isnan(line)]
            assert all(found.bits_per_second <= allowance.share * line for line in known)
            assert allowance.rate is None or found.bits_per_second <= allowance.rate
            assert allowance.rate is not None or len(known) == 2, "a rate of nothing that is known"
            # The stalest of all that could have had the turn.
            offered = rates(allowance, world.mesh.lines)
            for source, target in np.argwhere(np.isfinite(offered)).tolist():
                if all(world.mesh.free[[source, target]]) and cost_of(offered[source, target]) + 2 <= left:
                    assert before[found.source, found.target] <= before[source, target]
        assert all(sent <= allowance.day_bytes for sent in world.sent.values())
    # Tests follow each other: never two at a time, so never two at a node.
    for (first, _), (second, _) in itertools.pairwise(world.turns):
        assert second >= first + TOOK


@given(size=st.integers(2, 7), seed=st.integers(0, 99), rest=st.floats(0, 100))
@settings(max_examples=40, deadline=None)
def test_every_pair_has_its_turn_before_any_has_its_second(size: int, seed: int, rest: float) -> None:
    world = World(mesh(size), Allowance(day_bytes=10**14, rest_seconds=rest), seed=seed)
    pairs = size * (size - 1)
    while len(world.turns) < 3 * pairs:
        world.step()
    taken = [(turn.source, turn.target) for _, turn in world.turns]
    for begin in range(0, 3 * pairs, pairs):
        assert len(set(taken[begin : begin + pairs])) == pairs


@given(seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_the_same_seed_makes_the_same_choice(seed: int) -> None:
    worlds = [World(mesh(6), Allowance(day_bytes=10**12), seed=seed) for _ in range(2)]
    for _ in range(30):
        assert worlds[0].step() == worlds[1].step()
    assert worlds[0].turns


def test_the_days_bytes_are_spread_over_the_day_and_begin_anew() -> None:
    cost = cost_of(int(0.1 * GIGABIT))
    world = World(mesh(5), Allowance(day_bytes=10 * cost + 100))
    while world.now < MIDNIGHT + 3 * DAY_SECONDS:
        world.step()
    by_day = [
        [at - MIDNIGHT for at, _ in world.turns if int((at - MIDNIGHT) // DAY_SECONDS) == day] for day in range(3)
    ]
    for day, times in enumerate(by_day):
        assert 8 <= len(times) <= 10, "as many as there are bytes for, but for the first's and midnight's"
        for at, following in itertools.pairwise(times):
            assert following - at >= 0.9 * DAY_SECONDS / 10, f"day {day}: in a burst"


def test_what_a_test_did_not_send_is_spent_by_others() -> None:
    cost = cost_of(int(0.1 * GIGABIT))
    world = World(mesh(4), Allowance(day_bytes=10 * cost + 100))
    while world.now < MIDNIGHT + DAY_SECONDS:
        world.step(counted=0.5)
    assert 15 <= len(world.turns) <= 20
    # All day long, and not in a burst at its end.
    times = [at for at, _ in world.turns]
    gaps = [following - at for at, following in itertools.pairwise(times)]
    assert all(gap >= 0.9 * DAY_SECONDS / 20 for gap in gaps)
    assert world.sent[20_000] <= 10 * cost + 100


def test_a_ledger_that_is_found_again_goes_on() -> None:
    ledger = Ledger().reserved(600, MIDNIGHT + 10)
    assert ledger.spent_on(MIDNIGHT + 20) == 600
    # Ended in the middle of a test: what it might have sent stays spent.
    assert Ledger(ledger.spent, ledger.at).due(500, 1000, MIDNIGHT + 20) == MIDNIGHT + DAY_SECONDS
    assert ledger.settled(600, 100).spent == 100
    assert ledger.spent_on(MIDNIGHT + DAY_SECONDS) == 0


def test_why_nothing_is_tested() -> None:
    allowance = Allowance(day_bytes=10**9)
    assert decide(mesh(3, [math.nan] * 3), allowance, Ledger(), MIDNIGHT) == Wait(MIDNIGHT + DAY_SECONDS, "no_rate")
    # One test costs more than a day has.
    assert decide(mesh(3, [1e11] * 3), allowance, Ledger(), MIDNIGHT) == Wait(MIDNIGHT + DAY_SECONDS, "no_rate")
    spent = Ledger(10**9 - 5, MIDNIGHT + 1)
    assert decide(mesh(3), allowance, spent, MIDNIGHT + 2) == Wait(MIDNIGHT + DAY_SECONDS, "budget")
    late = MIDNIGHT + DAY_SECONDS - 2
    assert decide(mesh(3), allowance, Ledger(), late) == Wait(MIDNIGHT + DAY_SECONDS, "midnight")
    resting = mesh(2)
    resting.ended[:] = MIDNIGHT + 5
    assert decide(resting, allowance, Ledger(), MIDNIGHT + 10) == Wait(MIDNIGHT + 65, "rest")
    busy = mesh(2)
    busy.free[0] = False
    assert decide(busy, allowance, Ledger(), MIDNIGHT) == Wait(MIDNIGHT + DAY_SECONDS, "no_pair")
    assert isinstance(decide(mesh(2), allowance, Ledger(), MIDNIGHT), Turn)


@given(rate=st.integers(10**6, 10**12), size=st.integers(2, 4))
def test_a_whole_table_of_costs_is_at_least_each_tests_own(rate: int, size: int) -> None:
    """Else a test could be allowed that its own cost forbids."""
    offered = rates(Allowance(day_bytes=cost_of(rate) + 2, share=1.0, rate=rate), np.full(size, math.nan))
    assert np.nanmax(offered) == rate


def sample(at: float, *, idle: float, sent: int, received: int = 0, name: str = "eth0") -> Sample:
    core = CpuTimes(user=at - idle, idle=idle)
    return hostsamples.at(at, core, core, device={"name": name, "sent_bytes": sent, "received_bytes": received})


@pytest.mark.parametrize(
    ("last", "line", "said"),
    [
        (sample(2, idle=1.9, sent=100), None, None),
        (sample(2, idle=1.2, sent=100), None, "of its cores are busy"),
        (sample(2, idle=1.9, sent=2_000_000), None, "16 Mbit/s of others"),
        (sample(2, idle=1.9, sent=0, received=2_000_000), None, "16 Mbit/s of others"),
        (sample(2, idle=1.9, sent=2_000_000), GIGABIT, None),
        (sample(2, idle=1.9, sent=20_000_000), GIGABIT, "160 Mbit/s of others"),
        # Another device than before: nothing can be told of its traffic.
        (sample(2, idle=1.9, sent=20_000_000, name="eth1"), None, None),
    ],
)
def test_a_node_is_busy_by_its_cores_and_by_its_device(last: Sample, line: float | None, said: str | None) -> None:
    found = why_busy(sample(1, idle=1, sent=0), last, busy_cpu=0.5, line_bits_per_second=line)
    assert (found is None) if said is None else (found is not None and said in found)


def test_counters_that_began_anew_say_nothing() -> None:
    assert device_bytes(sample(1, idle=1, sent=10, received=5), sample(2, idle=2, sent=30, received=6)) == (20, 1)
    assert device_bytes(sample(1, idle=1, sent=50), sample(2, idle=2, sent=30)) is None
    assert device_bytes(replace(sample(1, idle=1, sent=5), device={}), sample(2, idle=2, sent=30)) is None
