"""--per-zone-pair: what runs between two zones is bounded at every instant, and nothing idles that could run."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.mesh.simulate import nodes

from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.estimate import lower_bound_seconds
from netmesh_controller.mesh.plan import Measurement, Plan, make_plan
from netmesh_controller.mesh.schedule import Schedule


def planned(count: int, zones: int, **asked: object) -> tuple[Plan, dict[str, str | None]]:
    placed = nodes(count, zones)
    return make_plan(ask_from(asked), placed), {node.name: node.zone for node in placed}


def crossed(one: Measurement, zones: dict[str, str | None]) -> frozenset[str | None]:
    return frozenset(zones[node] for node in one.nodes)


def crossing(schedule: Schedule, zones: dict[str, str | None]) -> Counter[frozenset[str | None]]:
    return Counter(pair for one in schedule.running if len(pair := crossed(one, zones)) == 2)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4) | st.none(), st.data())
def test_the_cap_holds_at_every_instant_and_nothing_idles(
    count: int, groups: int, cap: int, most: int | None, data: st.DataObject
) -> None:
    plan, zones = planned(count, groups, tests="tcp-bandwidth", per_zone_pair=cap)
    schedule = Schedule(plan.measurements, most, per_zone_pair=cap, zones=zones)
    starts: Counter[int] = Counter()
    troubles = 8
    away: list[Measurement] = []
    while True:
        starts.update(one.index for one in schedule.start())
        runs = crossing(schedule, zones)
        assert all(number <= cap for number in runs.values())
        busy = {node for one in schedule.running for node in one.nodes}
        if most is None or len(schedule.running) < most:
            assert not [
                one
                for one in schedule.waiting
                if len(one.nodes) == 2 and not busy & set(one.nodes) and runs[crossed(one, zones)] < cap
            ]
        for one in schedule.running:
            following = schedule.ahead(one.index)
            assert following is None or (following in schedule.waiting and set(following.nodes) & set(one.nodes))
        assert schedule.waiting_seconds == pytest.approx(sum(one.seconds for one in schedule.waiting), abs=1e-6)
        if not schedule.running:
            if not away:
                break
            schedule.restore(away)
            away = []
            continue
        one = data.draw(st.sampled_from(schedule.running))
        what = data.draw(st.sampled_from(["finish", "requeue", "withdraw"])) if troubles else "finish"
        troubles -= what != "finish"
        if what == "requeue":
            starts[one.index] -= 1
            schedule.requeue(one.index)
        elif what == "withdraw":
            away += schedule.withdraw(data.draw(st.sampled_from(sorted(zones))))
        else:
            schedule.finish(one.index)
    assert schedule.done
    assert set(starts.values()) <= {1}
    assert len(starts) == len(plan.measurements)


def test_the_bound_and_the_estimate_know_of_the_cap() -> None:
    plan, zones = planned(8, 2, tests="tcp-bandwidth", per_zone_pair=1)
    # 4 x 4 pairs, both ways, one at a time.
    between = 32 * plan.measurements[0].seconds
    work = [(one.nodes, one.seconds) for one in plan.measurements if len(crossed(one, zones)) == 2]
    assert lower_bound_seconds(work, per_zone_pair=1, zones=zones) == pytest.approx(between)
    assert lower_bound_seconds(work) < between
    assert plan.estimate.lower_bound_seconds == pytest.approx(between)


def test_a_cap_without_zones_is_refused() -> None:
    with pytest.raises(AskError, match="it cannot be held: no node says in which zone it is") as raised:
        make_plan(ask_from({"per-zone-pair": 2}), nodes(3))
    assert raised.value.field == "per-zone-pair"
