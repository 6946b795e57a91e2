"""Why is this pair slow? Measures step by step, as the rules ask, and ends with a verdict.

Each step is a small sweep of the pair, and of other nodes beside it, in one run of the store: its cells are kept and
reported like any others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypedDict

from netmesh_common.errors import BadUsageError
from netmesh_controller.clients.agents import AgentError
from netmesh_controller.clients.store import RunFilter, Store
from netmesh_controller.engines import runs
from netmesh_controller.engines.servicepaths import ServicePaths
from netmesh_controller.engines.survey import Survey
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.diagnosis.document import Cost, Diagnosis, StepRecord
from netmesh_controller.mesh.diagnosis.hosts import host_facts, unseen_hosts
from netmesh_controller.mesh.diagnosis.rule import verdicts
from netmesh_controller.mesh.diagnosis.seen import Seen
from netmesh_controller.mesh.diagnosis.state import HostState, carried, grown
from netmesh_controller.mesh.diagnosis.steps import PROBE, Following, Step, clear, every_step, next_steps
from netmesh_controller.mesh.document import Cell, Run, RunState
from netmesh_controller.mesh.plan import Plan, at_once, fills, make_plan, only_loaded

log = logging.getLogger(__name__)

# A quick diagnosis ends where something explains enough.
SURE = 0.85
# How many earlier runs are asked what the pair had then.
HISTORY_RUNS = 5
# Of its peers only what rates and times are held against, and no more than so many cells.
HISTORY_TESTS, HISTORY_PEERS = ("tcp-bandwidth", "udp-latency"), 400
# These are verdicts of the absence of another.
_NOTHING_FOUND = frozenset({"healthy", "insufficient_evidence"})


class Patience(TypedDict, total=False):
    """Options of a survey, in seconds."""

    idle_seconds: float
    answer_seconds: float


def patience(*, quick: bool) -> Patience:
    """How long the survey before it watches idle hosts and waits for answers: in a quick one every second counts."""
    return {"idle_seconds": 0.2, "answer_seconds": 3.0} if quick else {"idle_seconds": 1.0}


@dataclass(slots=True)
class Diagnosing:
    """One diagnosis under way. `on_step` is told of each step as it begins; `engine` measures the present one."""

    source: str
    target: str
    survey: Survey
    store: Store
    quick: bool = False
    on_step: Callable[[Step], None] = lambda _: None
    engine: Sweep | None = None
    _steps: list[StepRecord] = field(default_factory=list)
    _traffic: float = 0.0

    def most(self) -> Cost:
        """What it may come to, whatever it finds."""
        seconds, traffic, known = 0.0, 0.0, True
        for _, options in every_step(self._empty(), quick=self.quick):
            plan = self._plan(options)
            if plan is not None:
                seconds += plan.estimate.expected_seconds
                traffic += plan.estimate.traffic_bytes or 0
                known = known and not plan.estimate.traffic_unknown
        return Cost(seconds=seconds, traffic_bytes=traffic if known else None)

    def check(self) -> None:
        """BadUsageError where the two are not two nodes of the mesh."""
        names = [node.name for node in self.survey.nodes]
        for name in (self.source, self.target):
            if name not in names:
                raise BadUsageError(f"there is no node {name}; there are {', '.join(names[:10])}")
        if self.source == self.target:
            raise BadUsageError(f"{self.source} twice: a diagnosis is of two nodes")

    async def run(self, run: Run) -> Diagnosis:
        """Runs all steps that are needed; `run` is the run that keeps their cells, which is stored already.

        What was measured is kept when it is cancelled.
        """
        begun = time.monotonic()
        seen = self._empty()
        seen.history, seen.peers = await self._history(run.id)
        seen.before, seen.host_before = await self._states("pod"), await self._states("host")
        while following := self._next(seen):
            for step, _ in following:
                self.on_step(step)
            await self._do(run, seen, following)
        seen.after, seen.host_after = await self._states("pod"), await self._states("host")
        found = verdicts(seen)
        return Diagnosis(
            source=self.source,
            target=self.target,
            verdicts=found,
            steps=self._steps,
            unseen=self._unseen(seen),
            hosts=host_facts(seen),
            most=self.most(),
            traffic_bytes=self._traffic,
            duration_seconds=time.monotonic() - begun,
            run=run.id,
        )

    def _empty(self) -> Seen:
        return Seen(
            self.source,
            self.target,
            {node.name: node for node in self.survey.nodes},
            has_services=self.survey.has_services,
            unreachable=self.survey.unreachable,
        )

    def _next(self, seen: Seen) -> Following:
        if any(node in self.survey.unreachable for node in (self.source, self.target)):
            return ()
        if self.quick and seen.done and (clear(seen) or "bandwidth" in seen.done):
            best = verdicts(seen)[0]
            if best.code not in _NOTHING_FOUND and best.confidence >= SURE:
                return ()
        following = next_steps(seen, quick=self.quick)
        if self.survey.maker is not None and len(following) > 1:
            # A Service that is yet to be made may fail or take its time, and must hold nothing else up.
            return tuple(one for one in following if one[0].name != "service")
        return following

    def _plan(self, options: Mapping[str, Any]) -> Plan | None:
        """The plan of a step; None where nothing of it can be measured."""
        try:
            plan = make_plan(
                ask_from(options),
                self.survey.nodes,
                unreachable=self.survey.unreachable,
                services=self.survey.has_services,
            )
            # What is idle beside it was probed before.
            return only_loaded(plan) if plan.ask.under_load else plan
        except AskError as error:
            log.info("not done: %s", error)
            return None

    async def _do(self, run: Run, seen: Seen, following: Following) -> None:
        begun = time.monotonic()
        plans = {step.name: self._plan(options) for step, options in following}
        possible = [plan for plan in plans.values() if plan is not None]
        cells: list[Cell] = []
        if possible:
            plan = possible[0] if len(possible) == 1 else at_once(possible)
            self._traffic += plan.estimate.traffic_bytes or 0
            watched = await self._states("host") if fills(plan) else {}
            probing = PROBE in plans
            before = (await self._states("pod"), await self._states("host")) if probing else ({}, {})
            since = time.monotonic()
            maker = self.survey.maker
            self.engine = Sweep(
                run.id,
                plan,
                self.survey.agents,
                self.store,
                cells.append,
                services=None if maker is None else ServicePaths(maker, run.id),
                retries=not self.quick,
            )
            await self.engine.run()
            self.engine = None
            seconds = time.monotonic() - since
            if probing:
                after = (await self._states("pod"), await self._states("host"))
                seen.probed, seen.host_probed = (
                    {node: grown(state, ended.get(node)) for node, state in begun_at.items()}
                    for begun_at, ended in zip(before, after, strict=True)
                )
            if watched:
                ended = await self._states("host")
                told = {node: carried(state, ended.get(node), seconds) for node, state in watched.items()}
                for step, _ in following:
                    seen.carried[step.name] = {node: one for node, one in told.items() if one is not None}
        seen.cells.extend(cells)
        seen.done.extend(plans)
        if self.quick:
            # The rules that stop it early look at the hosts too.
            seen.after = await self._states("pod")
        for step, options in following:
            planned = plans[step.name]
            keys = set() if planned is None else set(planned.keys)
            self._steps.append(
                StepRecord(
                    name=step.name,
                    title=step.title,
                    asked=dict(options),
                    seconds=time.monotonic() - begun,
                    cells=sum(1 for cell in cells if cell.key in keys),
                    beside=[other.name for other, _ in following if other is not step],
                    reason="nothing of it can be measured here" if planned is None else None,
                )
            )

    async def _states(self, role: str) -> dict[str, HostState]:
        handles = {
            name: handle for name in (self.source, self.target) if (handle := self.survey.agents.get((name, role)))
        }
        answers = await asyncio.gather(
            *(handle.client.inspect() for handle in handles.values()), return_exceptions=True
        )
        found = {}
        for name, answer in zip(handles, answers, strict=True):
            if isinstance(answer, HostState):
                found[name] = answer
            elif not isinstance(answer, AgentError):
                raise answer
        return found

    async def _history(self, own: str) -> tuple[list[Cell], list[Cell]]:
        """Cells of the pair in the last runs that are whole, and such of its peers: pairs that share an end with it."""
        mine: list[Cell] = []
        peers: list[Cell] = []
        ends = {self.source, self.target}
        wanted = RunFilter(states=("complete", "partial"))
        for info in await self.store.runs(wanted, limit=HISTORY_RUNS):
            if info.run.id == own:
                continue
            for source, target in ((self.source, self.target), (self.target, self.source)):
                async for batch in self.store.cells(info.run.id, source=source, target=target):
                    mine += batch
            for test in HISTORY_TESTS:
                async with aclosing(self.store.cells(info.run.id, source=self.source, test=test)) as batches:
                    async for batch in batches:
                        peers += [cell for cell in batch if {cell.source, cell.target} != ends]
                        if len(peers) > HISTORY_PEERS:
                            break
        return mine, peers[:HISTORY_PEERS]

    def _unseen(self, seen: Seen) -> list[str]:
        """What a verdict could not take into account, in words."""
        hosts = unseen_hosts(seen)
        sentences = [] if hosts is None else [hosts]
        if self.survey.shared_host:
            sentences.append("all nodes share one kernel: what is busy at one is busy at all")
        return sentences


async def diagnose(
    source: str,
    target: str,
    survey: Survey,
    store: Store,
    *,
    quick: bool = False,
    on_step: Callable[[Step], None] = lambda _: None,
    on_begun: Callable[[Run, Diagnosing], None] = lambda _run, _diagnosing: None,
    facts: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Diagnoses the pair, and stores the diagnosis with its cells as a run; `on_begun` is told once that is stored."""
    known = {**(facts or {}), "shared_host": survey.shared_host, "remarks": list(survey.remarks)}
    asked = {"diagnose": [source, target], "quick": quick}
    run = runs.new_run(asked, {}, name=f"diagnose {source} {target}", facts=known)
    diagnosing = Diagnosing(source, target, survey, store, quick, on_step)
    diagnosing.check()
    await store.begin_run(run, survey.nodes)
    on_begun(run, diagnosing)
    state: RunState = "cancelled"
    try:
        found = await diagnosing.run(run)
        state = "complete"
        known["diagnosis"] = found.model_dump(mode="json", by_alias=True)
    except Exception:
        state = "failed"
        raise
    finally:
        ended = run.model_copy(update={"state": state, "facts": known, "finished_at": runs.utc_now()})
        await asyncio.shield(asyncio.ensure_future(store.put_run(ended, survey.nodes)))
    return found
