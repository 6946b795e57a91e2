"""A discrete-event simulation of a sweep: durations vary, tests straggle, nodes go away and come back."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Agent, Node
from netmesh_controller.mesh.estimate import lower_bound_seconds
from netmesh_controller.mesh.plan import Measurement, Plan, make_plan
from netmesh_controller.mesh.schedule import Schedule


def nodes(count: int, zones: int = 0) -> list[Node]:
    return [
        Node(
            name=f"node-{number}",
            zone=f"zone-{number % zones}" if zones else None,
            agents=[Agent(role="pod", address="10.0.0.1"), Agent(role="peer", address="10.0.0.2")],
        )
        for number in range(1, count + 1)
    ]


def plan_of(count: int, **asked: object) -> Plan:
    return make_plan(ask_from(asked), nodes(count))


@dataclass
class World:
    """What happens that no plan knows. Durations are the expected ones, times 1 ± `jitter`, some times 3."""

    seed: int = 0
    jitter: float = 0.02
    stragglers: float = 0.0
    outages: Sequence[tuple[str, float, float]] = ()
    durations: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def duration(self, one: Measurement) -> float:
        seconds = one.seconds * self._dice.uniform(1 - self.jitter, 1 + self.jitter)
        if self._dice.random() < self.stragglers:
            seconds *= 3
        self.durations[one.index] = self.durations.get(one.index, 0.0) + seconds
        return seconds


@dataclass
class Outcome:
    seconds: float
    lower_bound: float
    starts: list[int]
    promises: int
    kept: int

    @property
    def over_bound(self) -> float:
        return self.seconds / self.lower_bound


def simulate(plan: Plan, world: World, max_concurrent: int | None = None) -> Outcome:
    """Runs the plan's schedule; asserts at every step that no node is in two tests at once."""
    schedule = Schedule(plan.measurements, max_concurrent)
    now = 0.0
    sequence = 0
    events: list[tuple[float, int, str, object]] = []
    busy: set[str] = set()
    starts: list[int] = []
    away: dict[str, list[Measurement]] = {}
    promised: dict[str, int] = {}
    promises = kept = 0

    def push(at: float, what: str, subject: object) -> None:
        nonlocal sequence
        sequence += 1
        heapq.heappush(events, (at, sequence, what, subject))

    def start() -> None:
        nonlocal promises, kept
        started = schedule.start()
        for one in started:
            assert not busy & set(one.nodes)
            busy.update(one.nodes)
            starts.append(one.index)
            hits = [promised.pop(node, None) for node in one.nodes]
            kept += one.index in hits
            push(now + world.duration(one), "finish", one)
        for one in started:
            following = schedule.ahead(one.index)
            if following is not None:
                promises += 1
                promised.update(dict.fromkeys(following.nodes, following.index))

    for node, begin, end in world.outages:
        push(begin, "away", node)
        push(end, "back", node)
    start()
    finished_at = 0.0
    while events:
        now, _, what, subject = heapq.heappop(events)
        if what == "finish":
            assert isinstance(subject, Measurement)
            finished_at = now
            busy.difference_update(subject.nodes)
            schedule.finish(subject.index)
        elif what == "away":
            away[str(subject)] = schedule.withdraw(str(subject))
        else:
            schedule.restore(away.pop(str(subject)))
        start()
    assert schedule.done
    work = [(one.nodes, world.durations[one.index]) for one in plan.measurements]
    return Outcome(finished_at, lower_bound_seconds(work, max_concurrent), starts, promises, kept)
