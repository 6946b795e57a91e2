"""Repeating until a cell is known: when it stops, what it may cost at most, and how often its intervals are right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.mesh.simulate import plan_of

from netmesh_controller.mesh.ask import Ask, AskError, ask_from
from netmesh_controller.mesh.document import Cell, Reason, Summary
from netmesh_controller.mesh.outline import outline_of
from netmesh_controller.mesh.plan import Measurement, Plan, make_plan, remaining
from netmesh_controller.mesh.precision import Until, narrow, parse_until
from netmesh_controller.mesh.schedule import Schedule
from netmesh_controller.mesh.statistics import mean_interval
from netmesh_controller.mesh.until import Repeating


def cells_of(one: Measurement, figure: float | None) -> list[Cell]:
    made = []
    for key in one.cells:
        values = {} if figure is None else {"bits_per_second": Summary(mean=figure)}
        reason = Reason(code="timeout", message="It is so.") if figure is None else None
        outcome = "measured" if reason is None else "failed"
        made.append(Cell(**dict(key), attempt=1, outcome=outcome, reason=reason, values=values))
    return made


def swept(plan: Plan, figure: Callable[[Measurement], float | None]) -> dict[tuple[str, str], list[int]]:
    """Plays a sweep through; the repeats of each pair in the order in which they ran."""
    assert plan.ask.precision is not None
    repeating = Repeating(plan.ask.precision, plan.ask.most_repeats)
    schedule, count = Schedule(plan.measurements), len(plan.measurements)
    ran: dict[tuple[str, str], list[int]] = {}
    schedule.start()
    while schedule.running:
        one = schedule.running[0]
        schedule.finish(one.index)
        ran.setdefault((one.source, one.target), []).append(one.repeat)
        for cell in cells_of(one, figure(one)):
            repeating.add(cell)
        following = repeating.once_more(one, count, plan.ask.repeat)
        if following is not None:
            schedule.add(following)
            count += 1
        schedule.start()
    assert schedule.done
    return ran


def plan_until(nodes: int, **asked: object) -> Plan:
    return plan_of(nodes, tests="tcp-bandwidth", until="ci < 2 %", **asked)


def test_a_steady_cell_stops_at_three_and_a_wild_one_at_the_most() -> None:
    dice = np.random.default_rng(1)

    def figure(one: Measurement) -> float | None:
        if (one.source, one.target) == ("node-1", "node-2"):
            return float(dice.uniform(5e9, 10e9))
        if (one.source, one.target) == ("node-2", "node-1"):
            return None
        return 9.4e9 * float(dice.normal(1, 0.002))

    ran = swept(plan_until(3, max_repeat=7), figure)
    assert ran.pop(("node-1", "node-2")) == [1, 2, 3, 4, 5, 6, 7]
    assert ran.pop(("node-2", "node-1")) == [1, 2, 3], "what fails every time is not repeated beyond the plan"
    assert set(map(tuple, ran.values())) == {(1, 2, 3)}


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.integers(0, 1000), st.integers(3, 6), st.booleans())
def test_no_cell_is_measured_more_than_it_may_be_nor_twice(nodes: int, seed: int, most: int, both: bool) -> None:
    dice = np.random.default_rng(seed)
    plan = plan_until(nodes, max_repeat=most, bidirectional=both)
    for repeats in swept(plan, lambda _: float(dice.choice([9e9, 9.1e9, 5e9]))).values():
        assert sorted(repeats) == list(range(1, len(repeats) + 1))
        assert 3 <= len(repeats) <= most


def test_a_resumed_run_goes_on_where_it_was() -> None:
    plan = plan_until(2)
    pair = [one for one in plan.measurements if (one.source, one.target) == ("node-1", "node-2")]
    wild = [cell for one, figure in zip(pair, (9e9, 5e9, 7e9), strict=True) for cell in cells_of(one, figure)]
    steady = [cell for one in plan.measurements if one not in pair for cell in cells_of(one, 9e9 + 1e5 * one.repeat)]
    assert plan.ask.precision is not None
    repeating = Repeating(plan.ask.precision, 10, [*wild, *steady])
    assert remaining(plan, {cell.key for cell in (*wild, *steady)}).measurements == ()
    (more,) = repeating.wide(plan.measurements, 3, 0)
    assert (more.source, more.target, more.repeat, more.index) == ("node-1", "node-2", 4, 0)


def test_the_estimate_says_what_it_may_cost_at_most() -> None:
    plan = plan_until(4, max_repeat=9)
    assert plan.ask.repeat == 3
    assert plan.most.expected_seconds == pytest.approx(3 * plan.estimate.expected_seconds)
    outline = outline_of(plan)
    assert (outline.until, outline.most_repeats) == ("ci < 2 %", 9)
    assert outline.most_seconds == pytest.approx(plan.most.expected_seconds)
    paced = outline_of(plan_until(4, max_repeat=9, max_rate="100M"))
    assert paced.traffic_bytes is not None
    assert paced.most_traffic_bytes == pytest.approx(3 * paced.traffic_bytes)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"until": "ci < 0 %"}, "until"),
        ({"until": "2 %"}, "until"),
        ({"until": "ci < 2 %", "repeat": 2}, "until"),
        ({"until": "ci < 2 %", "max_repeat": 2}, "until"),
        ({"until": "ci < 2 %", "repeat": 6, "max_repeat": 5}, "max-repeat"),
        ({"max_repeat": 5}, "max-repeat"),
        ({"budget": "0s"}, "budget"),
        ({"budget": "soon"}, "budget"),
    ],
)
def test_what_does_not_go_together_is_named(asked: dict[str, object], field: str) -> None:
    with pytest.raises(AskError) as error:
        ask_from(asked)
    assert error.value.field == field


def test_the_condition_is_read_and_written_alike() -> None:
    assert parse_until(" ci<2.5% ") == Until(0.025)
    assert str(Until(0.025)) == "ci < 2.5 %"
    assert ask_from({"until": "ci < 2 %"}).precision == Until(0.02)
    assert isinstance(ask_from({"budget": "20m"}), Ask)
    assert ask_from({"budget": "20m"}).budget == 1200


@pytest.mark.parametrize(("first", "least"), [(3, 0.87), (5, 0.91)])
def test_how_often_an_interval_holds_the_true_mean_after_stopping(first: int, least: float) -> None:
    """Stopping where repeats happen to agree costs a little of the 95 %; how much is stated in the module."""
    dice = np.random.default_rng(first)
    held = runs = 0
    for spread in (0.005, 0.01, 0.02):
        for _ in range(400):
            means = dice.normal(100.0, 100.0 * spread, 10).tolist()
            count = next((n for n in range(first, 10) if narrow(means[:n], Until(0.02))), 10)
            interval = mean_interval(means[:count])
            assert interval is not None
            held += interval.low <= 100.0 <= interval.high
            runs += 1
    assert least <= held / runs <= 0.97, held / runs


def test_a_budget_picks_rounds_of_pairs() -> None:
    whole = plan_of(8, tests="tcp-bandwidth")
    for part in (0.3, 0.5, 0.8):
        budget = part * whole.estimate.expected_seconds
        made = plan_of(8, tests="tcp-bandwidth", budget=budget)
        assert made.estimate.expected_seconds <= budget
        rounds = int(made.ask.pairs.removeprefix("sample:"))
        more = plan_of(8, tests="tcp-bandwidth", pairs=f"sample:{rounds + 1}")
        assert more.estimate.expected_seconds > budget, "one round more would have fitted"
        degrees = [sum(node.name in one.nodes for one in made.measurements) for node in made.nodes]
        assert len(set(degrees)) == 1, "every node is measured equally"
    assert plan_of(8, tests="tcp-bandwidth", budget=10 * whole.estimate.expected_seconds).ask.pairs == "all"


def test_a_budget_that_nothing_fits_into_is_refused() -> None:
    whole = plan_of(4, tests="tcp-bandwidth")
    with pytest.raises(AskError, match="one round of pairs needs about"):
        make_plan(ask_from({"tests": "tcp-bandwidth", "budget": "1s"}), whole.nodes)
    with pytest.raises(AskError, match="more than"):
        make_plan(
            ask_from({"tests": "tcp-bandwidth", "budget": "1s", "pairs": "node-1:node-2,node-2:node-3"}), whole.nodes
        )
