"""The schedule: its promises under whatever order things end in, and how near its sweeps come to the lower bound."""

from __future__ import annotations

from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.mesh.simulate import World, plan_of, simulate

from netmesh_controller.mesh.plan import Measurement, Plan
from netmesh_controller.mesh.schedule import Schedule


def busy_nodes(schedule: Schedule) -> set[str]:
    nodes = [node for one in schedule.running for node in one.nodes]
    assert len(nodes) == len(set(nodes)), "a node is in two tests at once"
    return set(nodes)


def assert_no_pair_idles(schedule: Schedule) -> None:
    busy = busy_nodes(schedule)
    idle = [one for one in schedule.waiting if len(one.nodes) == 2 and not busy & set(one.nodes)]
    assert not idle, "two free nodes have a measurement waiting"


def run_to_the_end(schedule: Schedule) -> list[Measurement]:
    started = schedule.start()
    while schedule.running:
        schedule.finish(schedule.running[0].index)
        started += schedule.start()
    return started


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 7))
    choices = ["all"] + ([f"sample:{draw(st.integers(1, count - 1))}"] if count > 1 else [])
    return plan_of(
        count,
        tests=draw(st.sampled_from(["tcp-bandwidth", "tcp-latency", "tcp-bandwidth,tcp-latency"])),
        pairs=draw(st.sampled_from(choices)),
        bidirectional=draw(st.booleans()),
        repeat=draw(st.integers(1, 2)),
    )


@settings(deadline=None, max_examples=150)
@given(plans(), st.integers(1, 4) | st.none(), st.data())
def test_whatever_happens_nothing_is_lost_doubled_or_idle(plan: Plan, cap: int | None, data: st.DataObject) -> None:
    schedule = Schedule(plan.measurements, cap)
    starts = dict.fromkeys(range(len(plan.measurements)), 0)
    wanted = dict.fromkeys(range(len(plan.measurements)), 1)
    away: list[Measurement] = []
    names = [node.name for node in plan.nodes]
    troubles = 12
    while True:
        for one in schedule.start():
            starts[one.index] += 1
        assert len(schedule.running) <= (cap or len(names))
        if cap is None or len(schedule.running) < cap:
            assert_no_pair_idles(schedule)
        assert len(schedule.waiting) == len(list(schedule.waiting))
        assert schedule.start() == []
        for one in schedule.running:
            following = schedule.ahead(one.index)
            assert following is None or (following in schedule.waiting and set(following.nodes) & set(one.nodes))
        if not schedule.running:
            if not away:
                break
            schedule.restore(away)
            away = []
            continue
        one = data.draw(st.sampled_from(schedule.running))
        what = data.draw(st.sampled_from(["finish", "requeue", "withdraw", "restore"])) if troubles else "finish"
        troubles -= what != "finish"
        if what == "requeue":
            wanted[one.index] += 1
            schedule.requeue(one.index)
        elif what == "withdraw":
            node = data.draw(st.sampled_from(names))
            taken = schedule.withdraw(node)
            assert all(node in one.nodes for one in taken)
            assert not any(node in one.nodes for one in schedule.waiting)
            away += taken
        elif what == "restore":
            schedule.restore(away)
            away = []
        else:
            schedule.finish(one.index)
    assert schedule.done
    assert starts == wanted


def test_a_measurement_that_ended_with_its_node_lost_can_be_restored() -> None:
    schedule = Schedule(plan_of(2).measurements)
    one = schedule.start()[0]
    schedule.finish(one.index)
    taken = schedule.withdraw("node-1")
    schedule.restore([*taken, one])
    assert one.index in [again.index for again in run_to_the_end(schedule)]
    assert schedule.done


def test_a_measurement_in_the_wrong_state_is_refused() -> None:
    schedule = Schedule(plan_of(2).measurements)
    (one, *_) = schedule.start()
    waiting = next(iter(schedule.waiting))
    with pytest.raises(ValueError, match="waits; it should be one that runs"):
        schedule.finish(waiting.index)
    with pytest.raises(ValueError, match="runs; it should be one that is settled"):
        schedule.restore([one])
    schedule.finish(one.index)
    with pytest.raises(ValueError, match="is settled; it should be one that runs"):
        schedule.requeue(one.index)


def test_a_retry_is_the_next_of_its_pair() -> None:
    schedule = Schedule(plan_of(2, pairs="node-1:node-2,node-2:node-1").measurements)
    (one,) = schedule.start()
    schedule.requeue(one.index)
    assert [again.index for again in schedule.start()] == [one.index]


def test_an_unknown_node_has_nothing_to_withdraw() -> None:
    assert Schedule(plan_of(2).measurements).withdraw("node-9") == []


def test_a_pair_stays_together_while_nobody_else_is_free() -> None:
    plan = plan_of(2, pairs="node-1:node-2,node-2:node-1")
    started = run_to_the_end(Schedule(plan.measurements))
    assert [one.index for one in started] == [0, 1, 2, 3]


def test_the_rest_of_a_pair_is_ahead_and_then_starts() -> None:
    schedule = Schedule(plan_of(4).measurements)
    running = schedule.start()
    expected = {one.index: schedule.ahead(one.index) for one in running}
    for one in running:
        schedule.finish(one.index)
        following = expected[one.index]
        assert following is not None
        assert set(following.nodes) == set(one.nodes)
        assert schedule.start() == [following]


def test_two_running_measurements_do_not_wait_for_one_node() -> None:
    schedule = Schedule(plan_of(5).measurements)
    running = schedule.start()
    following = [one for one in (schedule.ahead(one.index) for one in running) if one is not None]
    nodes = [node for one in following for node in one.nodes]
    assert len(nodes) == len(set(nodes))


# What the simulation reached (the schedule's docstring has the table) with some room: other hypotheses on durations,
# other seeds. The worst single sweeps of few nodes are those in which stragglers left nothing to be done meanwhile.
@pytest.mark.parametrize("stragglers", [0.0, 0.02])
@pytest.mark.parametrize(
    ("count", "bound"),
    [
        (1, 1.001),
        (2, 1.001),
        (3, 1.001),
        (4, 1.005),
        (5, 1.03),
        (6, 1.03),
        (7, 1.035),
        (8, 1.03),
        (9, 1.04),
        (10, 1.035),
        (16, 1.04),
    ],
)
def test_a_sweep_comes_near_the_lower_bound(count: int, bound: float, stragglers: float) -> None:
    plan = plan_of(count)
    outcomes = [simulate(plan, World(seed, stragglers=stragglers)) for seed in range(6)]
    for outcome in outcomes:
        assert sorted(outcome.starts) == [one.index for one in plan.measurements]
        assert 1 - 1e-9 <= outcome.over_bound <= bound + 0.05
    assert mean(outcome.over_bound for outcome in outcomes) <= bound


@pytest.mark.parametrize(("count", "bound"), [(33, 1.035), (64, 1.03), (101, 1.03), (200, 1.02)])
def test_a_larger_sweep_comes_near_the_lower_bound(count: int, bound: float) -> None:
    plan = plan_of(count, tests="tcp-bandwidth" if count > 50 else "tcp-bandwidth,tcp-latency")
    outcome = simulate(plan, World(stragglers=0.02))
    assert 1 - 1e-9 <= outcome.over_bound <= bound


@pytest.mark.parametrize("cap", [1, 3, 10])
def test_under_a_cap_the_sweep_takes_what_the_cap_allows(cap: int) -> None:
    plan = plan_of(24)
    assert simulate(plan, World(stragglers=0.02), cap).over_bound <= 1.03


@pytest.mark.parametrize("pairs", ["sample:3", "sample:8"])
def test_a_sampled_sweep_comes_near_the_lower_bound(pairs: str) -> None:
    # Few partners a node: at the end it may wait for the last of them, some tests long.
    plan = plan_of(40, pairs=pairs, tests="tcp-bandwidth")
    tests_a_node = 2 * int(pairs.removeprefix("sample:"))
    assert simulate(plan, World()).over_bound <= 1 + 3.2 / tests_a_node


def test_a_node_that_was_away_is_caught_up_with() -> None:
    plan = plan_of(12)
    outcome = simulate(plan, World(outages=[("node-3", 40.0, 80.0)]))
    assert sorted(outcome.starts) == [one.index for one in plan.measurements]
    # Its 40 s have to be waited for at the end, if it was the busiest; nothing else is lost.
    assert outcome.seconds <= outcome.lower_bound * 1.05 + 40


def test_the_same_events_lead_to_the_same_schedule() -> None:
    plan = plan_of(9)
    assert simulate(plan, World(seed=3)).starts == simulate(plan, World(seed=3)).starts


def test_most_of_what_is_made_ready_ahead_runs_next() -> None:
    outcome = simulate(plan_of(8), World())
    assert outcome.promises >= 0.6 * len(outcome.starts)
    assert outcome.kept >= 0.8 * outcome.promises


def test_a_target_outside_is_nobodys_node() -> None:
    plan = plan_of(4, tests="tcp-connect", paths="pod-to-external", targets="web=192.0.2.10:443,dns=192.0.2.11:53")
    assert len(plan.measurements) == 8
    schedule = Schedule(plan.measurements)
    # All nodes at once, although what they measure is the same.
    assert {one.source for one in schedule.start()} == {"node-1", "node-2", "node-3", "node-4"}
    outcome = simulate(plan, World())
    assert sorted(outcome.starts) == list(range(8))
    assert outcome.over_bound < 1.05
