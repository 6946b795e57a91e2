"""From stored cells to the run document: its findings, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tests.controller.mesh.findings.faults import name, node_fault, nodes_of, put
from tests.controller.mesh.findings.healthy import Mesh, healthy
from tests.controller.mesh.simulate import nodes
from tests.support.stored import a_cell, a_run

from netmesh_controller.clients.store import StoredRun, open_store
from netmesh_controller.engines import runs
from netmesh_controller.engines.alone import Alone
from netmesh_controller.engines.arrays import stored_arrays
from netmesh_controller.engines.survey import Survey
from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Cell, PlanRecord, Summary
from netmesh_controller.mesh.plan import make_plan

ASK = ask_from({"tests": "tcp-bandwidth"})


def cells_of(mesh: Mesh) -> tuple[Cell, ...]:
    return tuple(
        a_cell(name(row), name(column), values={"bits_per_second": Summary(mean=float(mesh.bandwidth[0, row, column]))})
        for row, column in np.argwhere(~mesh.missing).tolist()
    )


def faulty() -> tuple[Mesh, str]:
    mesh = healthy(np.random.default_rng(5), 6, zones=1)
    fault = node_fault(mesh, "bandwidth", "out")
    put(mesh, fault, "bandwidth", 0.4)
    return mesh, fault.where["node"]


def test_a_document_of_a_run_without_findings_has_those_of_its_cells() -> None:
    mesh, slow = faulty()
    made = runs.document(StoredRun(a_run(), tuple(nodes_of(mesh)), cells_of(mesh)))
    assert [(finding.kind, finding.where["node"]) for finding in made.findings] == [("slow_node", slow)]


async def test_what_is_found_at_the_end_is_stored_and_shown_again(tmp_path: Path) -> None:
    mesh, slow = faulty()
    found = tuple(nodes_of(mesh))
    plan = make_plan(ASK, found)
    alone = Alone(plan, cells_of(mesh))
    alone.records.append(
        {
            "path": "pod-to-pod",
            "test": "tcp-bandwidth",
            "parameters": cells_of(mesh)[0].parameters.model_dump(mode="json"),
            "source": slow,
            "target": "node-1" if slow != "node-1" else "node-2",
            "bits_per_second": 9.9e9,
            "started_at": None,
        }
    )
    run = a_run(facts={runs.HISTORY: ["0", "1", "2"]})
    prepared = runs.Prepared(run, Survey(found, {}, {}, (), False), plan, plan, alone)
    store = await open_store(tmp_path)
    try:
        for number in range(3):
            await store.begin_run(a_run(str(number)), found)
            await store.put_cells(str(number), cells_of(mesh))
        await runs.begin(prepared, store)
        await store.put_cells(prepared.run.id, cells_of(mesh))
        ended = await runs.finish(prepared, store)
        # The cell that was measured again alone was as fast as the others' are.
        assert [(finding.kind, finding.where["node"]) for finding in ended.findings] == [("contention", slow)]
        shown = runs.stored_document(await store.load(prepared.run.id))
        assert runs.findings_of(await stored_arrays(store, prepared.run.id)) == ended.findings
    finally:
        await store.close()
    assert shown.findings == ended.findings
    assert shown.run.facts["alone"] == alone.records


async def test_earlier_runs_of_the_store_tell_what_has_become_worse(tmp_path: Path) -> None:
    """A run keeps the ids of its earlier runs, also where it is resumed; one that is deleted is one less."""
    before = cells_of(healthy(np.random.default_rng(5), 6, zones=1))
    mesh, slow = faulty()
    found = tuple(nodes_of(mesh))
    plan = make_plan(ASK, found)
    store = await open_store(tmp_path)
    try:
        for number in range(3):
            await store.begin_run(a_run(str(number)), found)
            await store.put_cells(str(number), before)
        for left, kinds in (("0", {"outlier", "slow_node"}), ("gone", {"slow_node"})):
            run = a_run(f"with-{left}", facts={runs.HISTORY: [left, "1", "2"]})
            prepared = runs.Prepared(run, Survey(found, {}, {}, (), False), plan, plan, Alone(plan))
            await runs.begin(prepared, store)
            await store.put_cells(run.id, cells_of(mesh))
            ended = await runs.finish(prepared, store)
            assert {finding.kind for finding in ended.findings} == kinds
            assert {finding.where["node"] for finding in ended.findings} == {slow}
            # What is resumed has them again: here nothing is left to be measured.
            resumed = runs.prepare_resume(await store.load(run.id), ASK, Survey(found, {}, {}, (), False))
            await runs.begin(resumed, store)
            again = await runs.finish(resumed, store)
            assert again.findings == ended.findings
    finally:
        await store.close()


@pytest.mark.parametrize("state", ["partial", "complete"])
async def test_arrays_of_the_store_make_the_matrices_of_the_document(
    tmp_path: Path, state: Literal["partial", "complete"]
) -> None:
    """Also the reasons of pairs without a cell: some were not reached, others the plan left out."""
    asked = {"tests": "tcp-bandwidth"}
    mesh = nodes(5)
    mesh[4] = mesh[4].model_copy(update={"facts": {"control_plane": True}})
    plan = make_plan(ask_from(asked), mesh)
    keys = list(plan.keys)[:4] if state == "partial" else list(plan.keys)
    run = a_run(state=state, plan=PlanRecord(asked=asked, resolved=plan.ask.model_dump(mode="json")))
    store = await open_store(tmp_path)
    try:
        await store.put_run(run, mesh)
        await store.put_cells(run.id, [a_cell(one.source, one.target, parameters=one.parameters) for one in keys])
        document = runs.stored_document(await store.load(run.id))
        made = runs.tables_of(await stored_arrays(store, run.id))
    finally:
        await store.close()
    assert [table.document() for table in made] == document.matrices
    reasons = {code for row in document.matrices[0].reasons for code in row}
    assert reasons == ({None, "cancelled", "not_scheduled"} if state == "partial" else {None, "not_scheduled"})


async def test_cells_stand_in_the_order_of_the_plan_and_of_the_nodes(tmp_path: Path) -> None:
    """Whatever ended first; and node-2 comes before node-10."""
    asked = {
        "tests": "tcp-latency,tcp-bandwidth",
        "repeat": "2",
        "pairs": "node-10:node-2,node-2:node-10,node-2:node-1",
    }
    plan = make_plan(ask_from(asked), nodes(10))
    run = a_run(plan=PlanRecord(asked=asked, resolved=plan.ask.model_dump(mode="json")))
    cells = [
        a_cell(key.source, key.target, test=key.test, repeat=key.repeat, parameters=key.parameters) for key in plan.keys
    ]
    store = await open_store(tmp_path)
    try:
        await store.put_run(run, nodes(10))
        for cell in sorted(cells, key=lambda cell: (cell.repeat, cell.test, cell.source), reverse=True):
            await store.put_cells(run.id, [cell])
        document = runs.stored_document(await store.load(run.id))
    finally:
        await store.close()
    planned = list(dict.fromkeys(key.test for key in plan.keys))
    assert [(cell.test, cell.source, cell.target, cell.repeat) for cell in document.cells] == [
        (test, source, target, repeat)
        for test in planned
        for source, target in (("node-2", "node-1"), ("node-2", "node-10"), ("node-10", "node-2"))
        for repeat in (1, 2)
    ]


def test_the_worst_cells_are_asked_for_once_more() -> None:
    mesh, slow = faulty()
    plan = make_plan(ASK, nodes(6))
    cells = [cell.model_copy(update={"parameters": plan.measurements[0].variant.parameters}) for cell in cells_of(mesh)]
    asked = Alone(plan, cells).asked()
    assert {again.source for again in asked} == {slow}
    assert len(asked) == 3, "so many of one finding"
    assert set(asked) <= set(plan.measurements)
    longer = make_plan(ask_from({"tests": "tcp-bandwidth", "duration": "100s"}), nodes(6))
    assert longer.measurements[0].seconds > 60
    assert len(Alone(longer, cells).asked()) == 1, "one at least, however long it takes"
    one_at_a_time = make_plan(ask_from({"tests": "tcp-bandwidth", "max_concurrent": 1}), nodes(6))
    assert len(Alone(one_at_a_time, cells).asked()) == 3, "something may have held them up"
