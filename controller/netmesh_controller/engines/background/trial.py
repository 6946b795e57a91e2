"""One test in the background: the two agents, a look whether their nodes are calm, and the measurement."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from netmesh_controller.clients.agents import AgentError
from netmesh_controller.engines import measure
from netmesh_controller.engines.measure import AgentHandle, Attempt, Others
from netmesh_controller.engines.runs import utc_now
from netmesh_controller.engines.survey import Survey, survey
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.ask import Ask
from netmesh_controller.mesh.assemble import cell_from, counted
from netmesh_controller.mesh.background.figures import INSTRUMENT, PATH, TEST, lines_of
from netmesh_controller.mesh.background.turns import OMIT_SECONDS, TEST_SECONDS, device_bytes, why_busy
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.plan import Measurement, make_plan
from netmesh_controller.mesh.selection import Selection

# How long both nodes are looked at before a test.
LOOK_SECONDS = 1.0
# iperf3 paces by whole messages, of 128 KiB by default: at a low rate one more or less would be per cents of 2 s.
SMALL_BYTES, SMALL_BELOW_BITS_PER_SECOND = 8192, 200_000_000
# How long one waits for the agents' answers.
ANSWER_SECONDS = 5.0


@dataclass(slots=True)
class Trial:
    """What became of a turn. `cell` is None where nothing was tried: `busy` has the nodes that were not calm, and why.

    `counted` are the bytes that the source's device carried both ways, None where they are not known.
    """

    cell: Cell | None = None
    counted: int | None = None
    busy: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trying:
    """Tests pairs of one source's agents. `before_traffic` is awaited when both nodes are calm: it may raise."""

    source: Source
    term: int
    run_id: str
    busy_cpu: float
    before_traffic: Callable[[], Awaitable[None]]

    async def run(self, source: str, target: str, bits_per_second: int, number: int) -> Trial:
        """One test at that rate. InventoryError, AskError or CertificateError where the two cannot be found."""
        located = [one for one in await self.source.locate() if one.node in (None, source, target)]
        found = await survey(
            located,
            self.source.certificates,
            idle_seconds=0,
            term=self.term,
            selection=Selection(nodes=(source, target)),
            presence=self.source.presence(),
            answer_seconds=ANSWER_SECONDS,
        )
        try:
            return await self._run(found, source, target, bits_per_second, number)
        finally:
            await found.close()

    async def _run(self, found: Survey, source: str, target: str, bits_per_second: int, number: int) -> Trial:
        ends = [found.agents.get((name, "pod")) for name in (source, target)]
        common = set.intersection(*({4, 6} if end is None else set(end.addresses) for end in ends))
        ask = Ask(
            paths=(PATH,),
            tests=(TEST,),
            tool=(INSTRUMENT,),
            duration=TEST_SECONDS,
            omit=OMIT_SECONDS,
            rate=bits_per_second,
            message_sizes=(SMALL_BYTES,) if bits_per_second < SMALL_BELOW_BITS_PER_SECOND else None,
            family=6 if common == {6} else 4,
        )
        plan = make_plan(ask, found.nodes, unreachable=found.unreachable)
        for gap in plan.gaps:
            if (gap.source, gap.target) == (source, target):
                return Trial(gap.model_copy(update={"started_at": utc_now()}))
        chosen = [one for one in plan.measurements if (one.source, one.target) == (source, target)]
        if not chosen:
            return Trial(busy=dict.fromkeys((source, target), "it is not to be measured"))
        trial, before = await self._look(found, source, target)
        if trial.busy:
            return trial
        await self.before_traffic()
        trial.cell = await self._measure(chosen[0], ask, found.agents, number)
        if before is not None:
            after = await _sample(found.agents[source, "pod"])
            moved = None if after is None else device_bytes(before, after)
            trial.counted = None if moved is None else sum(moved)
        return trial

    async def _look(self, found: Survey, source: str, target: str) -> tuple[Trial, Sample | None]:
        """Whether both nodes are calm; and the source's counters before the test."""
        lines = dict(
            zip((source, target), lines_of((source, target), {one.name: one for one in found.nodes}), strict=True)
        )
        watched = [
            handle
            for (name, role), handle in found.agents.items()
            if name in (source, target) and role in ("pod", "host")
        ]
        trial, before = Trial(), None
        for handle, seen in zip(watched, await asyncio.gather(*map(_two_samples, watched)), strict=True):
            if seen is None:
                trial.busy[handle.node] = "its agent does not tell of its host"
                continue
            # A pod's device carries nobody's traffic but the agent's: what a line carries tells the host's agent.
            line = float(lines[handle.node]) if handle.role == "host" else math.nan
            known = None if math.isnan(line) else line
            why = why_busy(*seen, busy_cpu=self.busy_cpu, line_bits_per_second=known)
            if why is not None:
                trial.busy[handle.node] = why
            if handle.name == (source, "pod"):
                before = seen[1]
        return trial, before

    async def _measure(
        self, one: Measurement, ask: Ask, agents: Mapping[tuple[str, str], AgentHandle], number: int
    ) -> Cell:
        links = measure.links_for(one, ask, agents, {})
        attempt = Attempt(one, 1, f"{self.run_id}/{number}/1", links)
        try:
            evidence = await measure.run_attempt(
                attempt, lambda _: Others(on_kernel=False, at_node=False), lambda: None
            )
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(measure.close_endpoints(attempt)))
            raise
        return cell_from(counted(evidence)[0], duration_seconds=TEST_SECONDS, omit_seconds=OMIT_SECONDS)


async def _two_samples(handle: AgentHandle) -> tuple[Sample, Sample] | None:
    """A host's counters, and once more a moment later; None where its agent does not tell."""
    seen: list[Sample] = []
    watched = handle.client.watch_host("", LOOK_SECONDS)
    try:
        async with asyncio.timeout(LOOK_SECONDS + ANSWER_SECONDS), aclosing(watched):
            async for part in watched:
                seen.append(part.sample(0))
                if len(seen) == 2:
                    return seen[0], seen[1]
    except (AgentError, TimeoutError):
        return None
    return None


async def _sample(handle: AgentHandle) -> Sample | None:
    watched = handle.client.watch_host("", LOOK_SECONDS)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), aclosing(watched):
            async for part in watched:
                return part.sample(0)
    except (AgentError, TimeoutError):
        return None
    return None
