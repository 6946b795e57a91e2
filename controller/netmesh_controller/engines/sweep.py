"""The sweep: drives a plan through its schedule, stores each cell as it ends, and survives what goes away.

The decisions (what runs next, what is tried again, what a cell says) are pure and stand in `mesh`; this is the loop
between them and the agents.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
from contextlib import suppress
from typing import Any

from netmesh_common.tasks import cancelled, guarded_task
from netmesh_controller.clients.store import Store
from netmesh_controller.clients.turns import my_turn, unhurried
from netmesh_controller.engines import calm, measure
from netmesh_controller.engines.absence import RETURN_SECONDS, Absences
from netmesh_controller.engines.ahead import Ahead
from netmesh_controller.engines.alone import Alone
from netmesh_controller.engines.idle import idle_cells
from netmesh_controller.engines.measure import AgentHandle, Attempt, Link, Others
from netmesh_controller.engines.servicepaths import ServicePaths
from netmesh_controller.inventory.located import Presence
from netmesh_controller.mesh.assemble import cell_from, counted
from netmesh_controller.mesh.cells import told_seconds
from netmesh_controller.mesh.document import Cell, Reason
from netmesh_controller.mesh.evidence import Evidence
from netmesh_controller.mesh.occupancy import Occupancy
from netmesh_controller.mesh.plan import Measurement, Plan
from netmesh_controller.mesh.progress import Progress, Running
from netmesh_controller.mesh.retry import Tries, retry_delay_seconds
from netmesh_controller.mesh.schedule import Schedule
from netmesh_controller.mesh.until import Repeating

log = logging.getLogger(__name__)

# What a measurement may take beyond its expected time before the endpoints of the next are opened anew.
HANDOVER_SECONDS = 5.0
# So long cells that ended are gathered for one commit.
GATHER_SECONDS = 0.2

Agents = dict[tuple[str, str], AgentHandle]


class Sweep:
    """One run of a plan. `agents` goes by (node, role); `on_cell` is called with each cell once it is stored.

    `alone` takes up what is measured again when all is done; without it nothing is. `repeating` decides which cells are
    repeated beyond the plan. A source that watches its nodes has a `presence`; `on_joined` is told of nodes that came
    since the plan was made: they are in the next sweep. `services` makes Services where there are none. Without
    `retries` a failure is a gap at once, but where another controller was measuring.
    """

    def __init__(
        self,
        run_id: str,
        plan: Plan,
        agents: Agents,
        store: Store,
        on_cell: Callable[[Cell], None] = lambda _: None,
        *,
        alone: Alone | None = None,
        repeating: Repeating | None = None,
        presence: Presence | None = None,
        on_joined: Callable[[frozenset[str]], None] = lambda _: None,
        services: ServicePaths | None = None,
        retries: bool = True,
    ) -> None:
        self._run_id = run_id
        self._plan = plan
        self._agents = agents
        self._store = store
        self._on_cell = on_cell
        self._alone = alone
        self._repeating = repeating
        self._added: list[Measurement] = []
        self._schedule = Schedule(
            plan.measurements,
            plan.ask.max_concurrent,
            per_zone_pair=plan.ask.per_zone_pair,
            zones={node.name: node.zone for node in plan.nodes},
        )
        self._attempts: dict[int, int] = {}
        self._tries: defaultdict[int, Tries] = defaultdict(Tries)
        # When the agents of a measurement first said that they were busy.
        self._busy_since: dict[int, float] = {}
        self._ahead = Ahead()
        self._started: dict[int, tuple[Measurement, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended_tasks: list[asyncio.Task[None]] = []
        self._done = 0
        self._failed = 0
        # What ended and is not stored yet, with its cells; and how many have ended and have no cells yet.
        self._ended: list[tuple[Measurement, list[Cell]]] = []
        self._making = 0
        self._any_ended = asyncio.Event()
        self._storing = asyncio.Lock()
        self._kernels_of: dict[str, set[str]] = {}
        for (node, _), handle in agents.items():
            if handle.boot_id is not None:
                self._kernels_of.setdefault(node, set()).add(f"kernel {handle.boot_id}")
        self._planned_seconds = sum(one.seconds for one in plan.measurements)
        self._total = sum(len(one.cells) for one in plan.measurements) + len(plan.gaps) + len(plan.idle)
        self._begun = time.monotonic()
        self._occupancy = Occupancy()
        self._changed = asyncio.Event()
        self._services = services
        self._retries = retries
        self._absences = Absences(agents, self._schedule, self._spawn, presence, on_joined)

    async def run(self) -> None:
        """Runs to the end; every planned cell is then stored, measured or with its reason.

        Cancelling ends all tests under way, closes their server sides, and keeps what is stored.
        """
        try:
            await self._run()
        finally:
            # They call this: in a circle its plan and schedule would wait for the collector.
            del self._absences
            if self._services is not None:
                await asyncio.shield(asyncio.ensure_future(self._services.close()))

    async def _run(self) -> None:
        await self._keep(self._plan.gaps)
        self._begun = time.monotonic()
        await self._keep(await idle_cells(self._plan, self._agents))
        following = self._absences.start()
        keeping = guarded_task(self._keep_ended(), name="store cells")
        keeping.add_done_callback(lambda _: self._changed.set())
        try:
            self._start_ready()
            while not self._schedule.done or self._making or self._ended or self._absences.expected_back:
                self._changed.clear()
                with suppress(TimeoutError):
                    # Not every change wakes: an agent may be waited for in vain.
                    async with asyncio.timeout(RETURN_SECONDS):
                        await self._changed.wait()
                self._raise_errors(keeping)
                self._start_ready()
        finally:
            await cancelled(*self._tasks, keeping, *([following] if following is not None else []))
            # Also of a sweep that is cancelled: what has ended is kept.
            # A store that has just failed is not asked again.
            if not keeping.done() or keeping.cancelled():
                await asyncio.shield(asyncio.ensure_future(self._store_ended()))
            await asyncio.shield(asyncio.ensure_future(self._ahead.close()))
            await asyncio.shield(asyncio.ensure_future(self._absences.close()))
        await self._keep(self._absences.cells(self._attempts))
        if self._alone is not None:
            for measurement in await asyncio.to_thread(self._alone.asked):
                if not self._absences.misses(measurement):
                    await self._once_more(measurement, self._alone)

    async def _once_more(self, measurement: Measurement, alone: Alone) -> None:
        self._started[measurement.index] = (measurement, time.monotonic())
        try:
            await alone.measure(self._run_id, measurement, self._agents, self._services)
        finally:
            del self._started[measurement.index]

    def _raise_errors(self, keeping: asyncio.Task[None]) -> None:
        if keeping.done():
            keeping.result()
        ended, self._ended_tasks = self._ended_tasks, []
        for task in ended:
            if not task.cancelled():
                task.result()

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = guarded_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._ended_tasks.append(task)
        self._changed.set()

    def _start_ready(self) -> None:
        for measurement in self._schedule.start():
            now = time.monotonic()
            self._started[measurement.index] = (measurement, now)
            self._occupancy.enter(measurement.index, self._places(measurement), now)
            self._spawn(self._measure(measurement), f"measure {measurement.index}")

    # One measurement.

    async def _measure(self, measurement: Measurement) -> None:
        # At the beginning half of all nodes start at once.
        await my_turn()
        index = measurement.index
        attempt = await self._attempt_for(measurement)
        try:
            reason = await self._pressure(measurement) or await self._through_services(attempt)
            evidence = (
                await self._not_started(attempt, reason)
                if reason
                else await measure.run_attempt(
                    attempt, self._others(measurement), lambda: self._open_ahead(measurement)
                )
            )
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(measure.close_endpoints(attempt)))
            raise
        finally:
            if self._services is not None:
                await self._services.done(attempt)
            self._started.pop(index, None)
            self._occupancy.leave(index, self._places(measurement), time.monotonic())
        # Tests beside each other count each by itself, both directions of one only together.
        counting = list(evidence) if measurement.beside else counted(evidence)
        await self._settle(measurement, counting[: len(measurement.cells)])

    async def _through_services(self, attempt: Attempt) -> Reason | None:
        return None if self._services is None else await self._services.through(attempt)

    async def _not_started(self, attempt: Attempt, reason: Reason) -> list[Evidence]:
        await measure.close_endpoints(attempt)
        return measure.not_started(attempt, reason)

    async def _pressure(self, measurement: Measurement) -> Reason | None:
        """Waits until the measurement's nodes are calm, where that is asked for; why not, where one stays busy."""
        pause = self._plan.ask.pause
        if pause is None:
            return None
        agents = {node: agent for (node, _), agent in self._agents.items() if node in measurement.nodes}
        reasons = await asyncio.gather(*(calm.pressure(agent, pause) for agent in agents.values()))
        return next((reason for reason in reasons if reason is not None), None)

    async def _attempt_for(self, measurement: Measurement) -> Attempt:
        """The attempt whose server sides were opened ahead, or a new one."""
        number = self._attempts.get(measurement.index, 0) + 1
        self._attempts[measurement.index] = number
        return await self._ahead.take(measurement) or self._new_attempt(measurement, number)

    def _new_attempt(self, measurement: Measurement, number: int) -> Attempt:
        links = measure.links_for(measurement, self._plan.ask, self._agents, self._plan.targets)
        return Attempt(measurement, number, f"{self._run_id}/{measurement.index}/{number}", links)

    def _open_ahead(self, measurement: Measurement) -> None:
        """Opens the endpoints of what will probably run next on these nodes, while this measurement runs."""
        following = self._schedule.ahead(measurement.index)
        if following is None or following.index in self._ahead:
            return
        attempt = self._new_attempt(following, self._attempts.get(following.index, 0) + 1)
        self._ahead.open(attempt, _lease_seconds(measurement, following))

    # What became of it.

    async def _settle(self, measurement: Measurement, evidence: Sequence[Evidence]) -> None:
        for agent in {agent for one in evidence for agent in one.lost}:
            await self._absences.look_after(agent)
        reasons = [one.reason for one in evidence if one.reason is not None]
        if reasons and self._absences.keeps(measurement):
            return
        codes = {reason.code for reason in reasons}
        may = bool(codes) and (self._retries or codes <= {"busy"})
        if may and self._tries[measurement.index].again(codes, self._held_seconds(measurement, codes)):
            log.info("tried again: %s", reasons[0].message)
            delay = max(map(retry_delay_seconds, codes))
            self._spawn(self._requeue(measurement, delay), f"requeue {measurement.index}")
        else:
            # The nodes are free for the next test; nobody waits for the cells and the disk.
            self._busy_since.pop(measurement.index, None)
            self._tries.pop(measurement.index, None)
            self._schedule.finish(measurement.index)
            self._changed.set()
            self._making += 1
            try:
                await my_turn()
            finally:
                # Also where the sweep is cancelled. What the hosts did is large, and goes with the evidence.
                self._making -= 1
                self._ended.append((measurement, self._cells(evidence)))
                self._any_ended.set()

    def _held_seconds(self, measurement: Measurement, codes: Set[str]) -> float:
        """How long what a killed controller opened there, for tests as long as this one, may yet be held."""
        now = time.monotonic()
        if "busy" in codes:
            self._busy_since.setdefault(measurement.index, now)
        since = self._busy_since.get(measurement.index)
        return 0.0 if since is None else since + _lease_seconds(measurement, measurement) - now

    def _repeat(self, measurement: Measurement) -> None:
        """Adds the next repeat of what is not known well enough yet, while the budget has room for it."""
        if self._repeating is None:
            return
        index, ask = len(self._plan.measurements) + len(self._added), self._plan.ask
        following = self._repeating.once_more(measurement, index, ask.repeat)
        if following is None:
            return
        now = time.monotonic()
        left = self._left_seconds(now) or 0.0
        if ask.budget is not None and now - self._begun + left + following.seconds > ask.budget:
            return
        self._added.append(following)
        self._schedule.add(following)

    def _cells(self, evidence: Iterable[Evidence]) -> list[Cell]:
        cells = []
        for one in evidence:
            duration, omit = told_seconds(one.key.test, one.key.parameters.instrument, self._plan.ask)
            cells.append(cell_from(one, duration_seconds=duration, omit_seconds=omit))
        return cells

    async def _requeue(self, measurement: Measurement, delay: float) -> None:
        # With jitter, so that two controllers that wait for each other's tests do not meet again.
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        self._schedule.requeue(measurement.index)

    async def _keep_ended(self) -> None:
        while True:
            await self._any_ended.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._any_ended.clear()
            # Whoever cancels this waits for what is on its way.
            await asyncio.shield(asyncio.ensure_future(self._store_ended()))
            self._changed.set()

    async def _store_ended(self) -> None:
        async with self._storing:
            ended = list(self._ended)
            if not ended:
                return
            await self._keep(cell for _, cells in ended for cell in cells)
            del self._ended[: len(ended)]
            for measurement, _ in ended:
                self._repeat(measurement)

    async def _keep(self, cells: Iterable[Cell]) -> None:
        batch = list(cells)
        await self._store.put_cells(self._run_id, batch)
        async for cell in unhurried(batch):
            if self._alone is not None:
                self._alone.add(cell)
            if self._repeating is not None:
                self._repeating.add(cell)
            self._done += 1
            self._failed += cell.outcome != "measured"
            self._on_cell(cell)

    # Tests on one kernel, or at one node, at the same time.

    def _kernels(self, nodes: Iterable[str]) -> set[str]:
        return {kernel for node in nodes for kernel in self._kernels_of.get(node, ())}

    def _places(self, measurement: Measurement) -> set[str]:
        return self._kernels(measurement.nodes) | {f"node {node}" for node in measurement.nodes}

    def _others(self, measurement: Measurement) -> Callable[[Link], Others]:
        def others(link: Link) -> Others:
            nodes = {end.node for end in link.ends}
            return Others(
                on_kernel=self._occupancy.shared(measurement.index, self._kernels(nodes)),
                at_node=self._occupancy.shared(measurement.index, {f"node {node}" for node in nodes}),
            )

        return others

    # What people are shown.

    def progress(self) -> Progress:
        """Where the sweep stands now."""
        now = time.monotonic()
        running = tuple(
            Running(
                source=measurement.source,
                target=measurement.target,
                test=measurement.variant.test,
                elapsed_seconds=now - begun,
                expected_seconds=measurement.seconds,
            )
            for measurement, begun in self._started.values()
        )
        return Progress(
            total=self._total + sum(len(one.cells) for one in self._added),
            done=self._done,
            failed=self._failed,
            running=running,
            elapsed_seconds=now - self._begun,
            left_seconds=self._left_seconds(now),
        )

    def _left_seconds(self, now: float) -> float | None:
        """The expected rest: the remaining work, as parallel as it was planned."""
        work = self._schedule.waiting_seconds
        work += sum(max(0.0, measurement.seconds - (now - begun)) for measurement, begun in self._started.values())
        if self._planned_seconds == 0:
            return 0.0
        return work / self._planned_seconds * self._plan.estimate.expected_seconds


def _lease_seconds(running: Measurement, following: Measurement) -> float:
    """For how long an endpoint of `following` is opened while `running` runs."""
    return running.seconds + following.seconds + measure.LEASE_MARGIN_SECONDS + HANDOVER_SECONDS
