"""A run from its beginning to its document: what the command line and the HTTP API have in common."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, TypeAlias

from netmesh_controller.clients.store import RunNotFoundError, Store, StoredRun
from netmesh_controller.engines.alone import Alone
from netmesh_controller.engines.arrays import RunArrays, stored_arrays
from netmesh_controller.engines.servicepaths import ServicePaths
from netmesh_controller.engines.survey import Survey
from netmesh_controller.engines.sweep import Sweep
from netmesh_controller.memory import give_back
from netmesh_controller.mesh.alone import ALONE, measured_again
from netmesh_controller.mesh.ask import Ask, AskError, ask_from
from netmesh_controller.mesh.discard import TEST as LOSSY_TEST
from netmesh_controller.mesh.discard import Lossy
from netmesh_controller.mesh.document import (
    SECONDS,
    Cell,
    Finding,
    Node,
    PlanRecord,
    Reason,
    Run,
    RunDocument,
    RunState,
)
from netmesh_controller.mesh.findings import Signs, find
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.matrix import Gathering, Pair, Series, expected_pairs, gathered, matrices, tables
from netmesh_controller.mesh.plan import Plan, make_plan, remaining
from netmesh_controller.mesh.table import Table
from netmesh_controller.mesh.until import Repeating

# In a run's facts: the ids of earlier runs in the same store, which its findings are told from.
HISTORY = "history"
# While so many are read at the end, what connections took is given back.
FIRST_CELLS = 2000

History: TypeAlias = Sequence[Mapping[tuple[Series, str], Table]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to start: its record, its plan, and the plan of what is still to do.

    `alone` takes up what is measured again before findings are stated, `repeating` decides what is repeated beyond
    the plan. The ids of earlier runs of the same mesh stand in the run's facts (`HISTORY`). `began`: when a run that is
    new did, on the monotonic clock.
    """

    run: Run
    survey: Survey
    whole: Plan
    todo: Plan
    alone: Alone
    repeating: Repeating | None = None
    began: float | None = None


def utc_now() -> str:
    """The time of day in UTC, RFC 3339, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prepare(
    ask: Ask, asked: Mapping[str, Any], survey: Survey, *, name: str | None, facts: Mapping[str, Any]
) -> Prepared:
    """A new run with what is known of where it runs; AskError where nothing can be planned."""
    plan = make_plan(ask, survey.nodes, unreachable=survey.unreachable, services=survey.has_services)
    known = {**facts, "shared_host": survey.shared_host, "remarks": list(survey.remarks)}
    run = new_run(asked, plan.ask.model_dump(mode="json"), name=name, facts=known)
    return Prepared(run, survey, plan, plan, Alone(plan), _repeating(ask), began=time.monotonic())


def new_run(
    asked: Mapping[str, Any], resolved: Mapping[str, Any], *, name: str | None, facts: Mapping[str, Any]
) -> Run:
    """The record of a run that begins now, with an id of its own."""
    started = utc_now()
    stamp = started[:19].replace("-", "").replace(":", "").replace("T", "-")
    return Run(
        id=f"{stamp}-{secrets.token_hex(2)}",
        name=name,
        state="running",
        started_at=started,
        netmesh_version=version("netmesh"),
        plan=PlanRecord(asked=dict(asked), resolved=dict(resolved)),
        facts=dict(facts),
    )


def prepare_resume(stored: StoredRun, ask: Ask, survey: Survey) -> Prepared:
    """What is missing of a stored run: every cell that is not measured; AskError where nothing can be planned.

    The run keeps its nodes: one that is not found now is unreachable, one that came later is left out.
    """
    there = {node.name: node for node in survey.nodes}
    missing = {
        node.name: survey.unreachable.get(node.name)
        or Reason(code="unreachable", message=f"{node.name}: no agent of this node was found")
        for node in stored.nodes
        if not (node.name in there and there[node.name].agents)
    }
    nodes = tuple(there.get(node.name) or node.model_copy(update={"agents": []}) for node in stored.nodes)
    survey = replace(survey, nodes=nodes, unreachable=missing)
    plan = make_plan(ask, nodes, unreachable=missing, services=survey.has_services)
    done = {cell.key for cell in stored.cells if cell.outcome == "measured"}
    facts = {name: fact for name, fact in stored.run.facts.items() if name != SECONDS}
    run = stored.run.model_copy(update={"state": "running", "finished_at": None, "facts": facts})
    todo, repeating = remaining(plan, done), _repeating(ask, stored.cells)
    if repeating is not None:
        wide = repeating.wide(plan.measurements, ask.repeat, len(todo.measurements))
        todo = replace(todo, measurements=(*todo.measurements, *wide))
    return Prepared(run, survey, plan, todo, Alone(plan, stored.cells), repeating)


def _repeating(ask: Ask, before: Iterable[Cell] = ()) -> Repeating | None:
    return None if ask.precision is None else Repeating(ask.precision, ask.most_repeats, before)


def sweep_of(prepared: Prepared, store: Store, on_cell: Callable[[Cell], None]) -> Sweep:
    """The engine of a prepared run."""

    def on_joined(nodes: frozenset[str]) -> None:
        # Not in this run, whose plan was made before; a reader should know that the mesh was larger at its end.
        prepared.run.facts["joined_meanwhile"] = sorted(nodes)

    # Of a run that is resumed, those of its earlier parts count too.
    before = prepared.run.facts.get("services") or {"made": 0, "most_at_once": 0}

    def on_services(made: int, most: int) -> None:
        prepared.run.facts["services"] = {
            "made": before["made"] + made,
            "most_at_once": max(before["most_at_once"], most),
        }

    maker = prepared.survey.maker

    return Sweep(
        prepared.run.id,
        prepared.todo,
        prepared.survey.agents,
        store,
        on_cell,
        alone=prepared.alone,
        repeating=prepared.repeating,
        presence=prepared.survey.presence,
        on_joined=on_joined,
        services=None if maker is None else ServicePaths(maker, prepared.run.id, on_services),
    )


async def begin(prepared: Prepared, store: Store, *, take_over: bool = False) -> None:
    """Writes the run as running, by this process; RunBusyError where another one measures it and is not to be
    superseded (`take_over`).
    """
    await store.begin_run(prepared.run, prepared.survey.nodes, take_over=take_over)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. Its cells are in arrays: of a thousand nodes there can be a million.

    `outcomes` counts cells; `expected` has the pairs that the plan measures.
    """

    run: Run
    nodes: tuple[Node, ...]
    findings: list[Finding]
    series: Mapping[Series, Gathered]
    expected: Mapping[Series, Mapping[Pair, int]]
    outcomes: Mapping[str, int]

    @property
    def tables(self) -> list[Table]:
        """Its matrices."""
        return tables(self.nodes, self.series, self.expected)


async def finish(prepared: Prepared, store: Store, *, interrupted: RunState | None = None) -> Ended:
    """Writes how the run ended, once its connections are. Whole is what the plan says, not what happened to end.

    Its cells are read as a stream. Of a thousand nodes each step takes a second or more; meanwhile others are answered.
    """
    run_id, nodes = prepared.run.id, tuple(prepared.survey.nodes)
    await prepared.survey.close()
    await asyncio.to_thread(give_back)
    await _discard(store, run_id)
    gathering, signs, outcomes = Gathering(nodes), Signs(), Counter[str]()

    def read(cells: Iterable[Cell]) -> None:
        for cell in cells:
            gathering.add(cell)
            signs.add(cell)
            outcomes[cell.outcome] += 1

    async with aclosing(store.cells(run_id)) as batches:
        async for batch in batches:
            await asyncio.to_thread(read, batch)
            del batch
            if sum(outcomes.values()) <= FIRST_CELLS:
                # Once more: some connections end a while after they are closed.
                await asyncio.to_thread(give_back)
    expected, series = await asyncio.to_thread(expected_pairs, prepared.whole.keys), gathering.series
    whole = await asyncio.to_thread(_is_whole, expected, series)
    if prepared.repeating is not None:
        # What was repeated beyond the plan belongs to the run too.
        whole = whole and outcomes.keys() <= {"measured"}
    facts = dict(prepared.run.facts)
    if prepared.alone.records:
        # A cell that was measured again now is not what it was in an earlier part of a resumed run.
        facts[ALONE] = prepared.alone.records
    if prepared.began is not None:
        facts[SECONDS] = round(time.monotonic() - prepared.began, 3)
    state: RunState = interrupted or ("complete" if whole else "partial")
    run = prepared.run.model_copy(update={"state": state, "finished_at": utc_now(), "facts": facts})
    await store.put_run(run, nodes)
    # Made at the end only, where they take as long as this run's own: a resumed run has them too.
    earlier = await _earlier(store, run.facts.get(HISTORY, ()))
    found = await asyncio.to_thread(_found, run, nodes, series, earlier, signs=signs)
    await store.put_findings(run.id, found)
    return Ended(run, nodes, found, series, expected, outcomes)


async def _discard(store: Store, run_id: str) -> None:
    """Marks the cells that other cells of the run show to be untrue."""
    lossy = Lossy()
    async with aclosing(store.cells(run_id, test=LOSSY_TEST)) as batches:
        async for batch in batches:
            lossy.see(batch)
    if not lossy:
        return
    async with aclosing(store.cells(run_id, test=LOSSY_TEST)) as batches:
        async for batch in batches:
            await store.put_cells(run_id, lossy.untrue(batch))


def _is_whole(expected: Mapping[Series, Mapping[Pair, int]], series: Mapping[Series, Gathered]) -> bool:
    """Whether all that was planned is measured."""
    return all(
        one in series and all(series[one].measured_of(pair) >= repeats for pair, repeats in pairs.items())
        for one, pairs in expected.items()
    )


def cell_count(plan: Plan) -> int:
    """How many cells a plan has, those known beforehand to be gaps included."""
    return sum(1 for _ in plan.keys)


def stored_document(stored: StoredRun) -> RunDocument:
    """The document of a run out of the store; what its plan had and no cell has become is a gap in the matrices."""
    return document(stored, expected_of(stored))


def tables_of(run: RunArrays) -> list[Table]:
    """The matrices of a run that was read as arrays; gaps as in `stored_document`."""
    # Who was to be measured matters only where somebody was not: of a million pairs it takes seconds to say.
    expected = None if run.run.state == "complete" else expected_of(StoredRun(run.run, run.nodes, ()))
    return tables(run.nodes, run.series, expected)


def findings_of(run: RunArrays) -> list[Finding]:
    """Those that were stored at the run's end, which know its cells; else those of its matrices."""
    return list(run.findings) or _found(run.run, run.nodes, run.series)


def expected_of(stored: StoredRun) -> Mapping[Series, Mapping[Pair, int]]:
    """The pairs that a stored run was to measure; none where its plan cannot be made again, as by another version."""
    asked = {key: value for key, value in stored.run.plan.asked.items() if key.replace("-", "_") != "max_traffic"}
    try:
        plan = make_plan(ask_from(asked), stored.nodes, services=True)
    except AskError:
        return {}
    return expected_pairs(plan.keys)


def document(stored: StoredRun, expected: Mapping[Series, Mapping[Pair, int]] | None = None) -> RunDocument:
    """The run document, with its matrices and findings; pairs that were `expected` and have no cell are gaps there.

    Findings are those that were stored at the run's end; of a run that has none, they are made of what there is. Cells
    stand in the order of the plan's series and of the nodes.
    """
    by_series = gathered(stored.nodes, stored.cells)
    found = list(stored.findings) or _found(stored.run, stored.nodes, by_series, cells=stored.cells)
    return RunDocument(
        run=stored.run,
        nodes=list(stored.nodes),
        cells=_in_order(stored.cells, stored.nodes, expected or {}),
        matrices=matrices(stored.nodes, by_series, expected),
        findings=found,
    )


def _in_order(cells: Iterable[Cell], nodes: Sequence[Node], planned: Iterable[Series]) -> list[Cell]:
    """Cells by series, source, target and repeat: node-2 before node-10, as `nodes` are; what is no node comes last."""
    series: dict[Series, int] = {one: place for place, one in enumerate(planned)}
    place = {node.name: number for number, node in enumerate(nodes)}

    def key(cell: Cell) -> tuple[int, int, int, str, int]:
        at = series.setdefault(Series.of(cell), len(series))
        return at, place.get(cell.source, len(place)), place.get(cell.target, len(place)), cell.target, cell.repeat

    return sorted(cells, key=key)


async def _earlier(store: Store, ids: Iterable[str]) -> History:
    """The matrices of earlier runs, as findings are told from them."""
    found = []
    for run_id in ids:
        # One that was deleted meanwhile is one less to compare with.
        with suppress(RunNotFoundError):
            one = await stored_arrays(store, run_id)
            made = await asyncio.to_thread(tables, one.nodes, one.series)
            found.append({(table.series, table.value): table for table in made})
    return found


def _found(
    run: Run,
    nodes: Sequence[Node],
    by_series: Mapping[Series, Gathered],
    history: History = (),
    *,
    cells: Iterable[Cell] = (),
    signs: Signs | None = None,
) -> list[Finding]:
    return find(
        nodes,
        by_series,
        cells=cells,
        signs=signs,
        duration_seconds=float(run.plan.resolved.get("duration", 1)),
        again=measured_again(run.facts.get(ALONE, ())),
        beside=run.plan.resolved.get("max_concurrent") != 1,
        history=history,
    )


def unreachable_reason(reasons: Mapping[str, Reason]) -> str:
    """One sentence of why nothing can be measured."""
    messages = [reason.message for reason in reasons.values()]
    more = f"; and {len(messages) - 2} more" if len(messages) > 2 else ""
    return "; ".join(messages[:2]) + more
