"""The store on real databases: what was written is there, and is found again."""

import asyncio

import pytest
from tests.support.stored import a_cell, a_run

from netmesh_controller.clients.store import (
    CellPage,
    CellPosition,
    RunFilter,
    RunNotFoundError,
    Store,
    StoreError,
    open_store,
)
from netmesh_controller.clients.store.reading import counting, page_rows
from netmesh_controller.mesh.document import Cell, Finding, Node, Reason, ToolRecord

OLD, NEW = "20261122-100000-aaaa", "20261123-100000-bbbb"
GAP = Reason(code="timeout", message="no answer")


async def test_a_run_comes_back_as_it_was(store: Store) -> None:
    run, nodes = a_run(), [Node(name="a", zone="x"), Node(name="b")]
    await store.put_run(run, nodes)
    failed = a_cell("b", "a", outcome="failed", reason=GAP, values={})
    # What a tool printed may hold what a database takes for the end of a text.
    odd = a_cell("nœud-é", "\"x'; --", tool=ToolRecord(raw='{"a": "\x00\\u0000\n\u2028"}'))
    await store.put_cells(run.id, [a_cell(), failed, odd])
    stored = await store.load(run.id)
    assert stored.run == run
    assert list(stored.nodes) == nodes
    assert {cell.key: cell for cell in stored.cells} == {cell.key: cell for cell in (a_cell(), failed, odd)}
    about = await store.info(run.id)
    assert about.outcomes == {"measured": 2, "failed": 1}
    assert (about.cells, about.measured, about.abandoned) == (3, 2, False)


async def test_a_cell_measured_again_replaces_the_gap(store: Store) -> None:
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell(outcome="failed", reason=GAP, values={})])
    await store.put_cells(a_run().id, [a_cell(attempt=2), a_cell(attempt=3)])
    assert (await store.load(a_run().id)).cells == (a_cell(attempt=3),)
    await store.drop_cells(a_run().id, [a_cell().key])
    assert (await store.load(a_run().id)).cells == ()


async def test_a_run_written_again_keeps_what_belongs_to_it(store: Store) -> None:
    found = Finding(kind="slow_pair", where={"source": "a", "target": "b"}, sentence="a -> b is slow.")
    await store.put_run(a_run(state="cancelled"), [])
    await store.put_cells(a_run().id, [a_cell()])
    await store.tag(a_run().id, ["baseline"])
    await store.put_findings(a_run().id, [found])
    await store.put_run(a_run(), [])
    stored = await store.load(a_run().id)
    assert (stored.run, stored.cells, stored.findings, stored.tags) == (a_run(), (a_cell(),), (found,), ("baseline",))


async def test_runs_are_found_by_id_prefix_name_and_latest(store: Store) -> None:
    with pytest.raises(RunNotFoundError, match="no run yet"):
        await store.find("latest")
    await store.put_run(a_run(OLD, "2026-11-22T10:00:00Z", name="before"), [])
    await store.put_run(a_run(NEW, "2026-11-23T10:00:00Z"), [])
    await store.put_run(a_run(NEW + "2", "2026-11-23T09:00:00Z"), [])
    assert await store.find("latest") == NEW
    assert await store.find("20261122") == OLD
    assert await store.find("before") == OLD
    assert await store.find(NEW) == NEW, "an id is found though another begins with it"
    with pytest.raises(RunNotFoundError, match="more than one"):
        await store.find("2026112")
    for wrong in ("nonesuch", "", "%", "2026%", "________"):
        with pytest.raises(RunNotFoundError, match=f"no run '{wrong}'"):
            await store.find(wrong)


async def test_runs_are_listed_renamed_tagged_and_deleted(store: Store) -> None:
    await store.put_run(a_run(OLD, "2026-11-22T10:00:00Z", name="Before 100%", state="partial"), [])
    await store.put_run(a_run(NEW, "2026-11-23T10:00:00Z"), [])
    await store.put_cells(OLD, [a_cell(), a_cell("b", "a")])
    await store.put_cells(NEW, [a_cell()])

    async def ids(**wanted: object) -> list[str]:
        return [info.run.id for info in await store.runs(RunFilter(**wanted))]  # type: ignore[arg-type]

    assert await ids() == [NEW, OLD]
    assert [info.run.id for info in await store.runs(limit=1)] == [NEW]
    assert await ids(name="before") == [OLD]
    assert await ids(name="100%") == [OLD]
    assert await ids(name="1%") == []
    assert await ids(name="bbbb") == [NEW]
    assert await ids(states=("partial",)) == [OLD]
    assert await ids(since="2026-11-23") == [NEW]
    assert await ids(before="2026-11-23") == [OLD]
    await store.tag(OLD, ["cilium", "baseline", "cilium"])
    await store.tag(OLD, ["baseline"], remove=["nonesuch"])
    await store.tag(NEW, ["cilium"])
    assert await ids(tags=("cilium",)) == [NEW, OLD]
    assert await ids(tags=("cilium", "baseline")) == [OLD]
    assert (await store.info(OLD)).tags == ("baseline", "cilium")
    await store.tag(OLD, remove=["cilium"])
    assert (await store.info(OLD)).tags == ("baseline",)
    await store.rename(OLD, "after")
    assert (await store.info(OLD)).run.name == "after"
    assert await store.find("after") == OLD
    await store.delete(OLD)
    assert await ids() == [NEW]
    assert [info.outcomes for info in await store.runs()] == [{"measured": 1}]
    for gone in (store.delete(OLD), store.info(OLD), store.rename(OLD, "x"), store.load(OLD)):
        with pytest.raises(RunNotFoundError, match=OLD):
            await gone


async def test_cells_of_a_part_are_read_alone(store: Store) -> None:
    await store.put_run(a_run(), [])
    cells = [a_cell(s, t, path=p) for s in "ab" for t in "ab" for p in ("pod-to-pod", "pod-to-service")]
    await store.put_cells(a_run().id, cells)

    async def keys(**part: str) -> list[tuple[str, str, str]]:
        batches = [batch async for batch in store.cells(a_run().id, **part)]
        return [(cell.path, cell.source, cell.target) for batch in batches for cell in batch]

    assert len(await keys()) == 8
    assert await keys(source="a", target="b", path="pod-to-pod") == [("pod-to-pod", "a", "b")]
    assert await keys(test="nonesuch") == []
    assert {source for _, source, _ in await keys(source="b")} == {"b"}


def itself(page: CellPage) -> CellPage:
    return page


async def test_pages_are_all_that_fits_in_order(store: Store) -> None:
    await store.put_run(a_run(), [])
    gap = {"outcome": "failed", "reason": GAP, "values": {}}
    cells = [
        a_cell(s, t, path=p, **(gap if s == t else {}))
        for p in ("pod-to-pod", "pod-to-service")
        for s in "abc"
        for t in "abc"
    ]
    await store.put_cells(a_run().id, cells)
    for part in ({}, {"source": "b"}, {"target": "c"}, {"path": "pod-to-service"}, {"test": "nonesuch"}):
        whole = [cell async for batch in store.cells(a_run().id, **part) for cell in batch]
        for outcome in (None, "failed", "discarded"):
            fitting = tuple(cell for cell in whole if outcome in (None, cell.outcome))
            for limit in (1, 4, 9, 18, 30):
                seen: list[Cell] = []
                after: CellPosition | None = None
                for _ in range(len(fitting) + 1):
                    page, after = await store.page(a_run().id, limit, itself, after=after, outcome=outcome, **part)
                    assert len(page) == limit or after is None
                    seen += page
                    if after is None:
                        break
                assert tuple(seen) == fitting, (part, outcome, limit)


async def test_a_page_goes_on_where_the_one_before_ended_whatever_came_meanwhile(store: Store) -> None:
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell(source, "z") for source in "bdf"])
    first, after = await store.page(a_run().id, 2, itself)
    await store.put_cells(a_run().id, [a_cell(source, "z") for source in "ace"])
    second, after = await store.page(a_run().id, 2, itself, after=after)
    assert [cell.source for cell in (*first, *second)] == ["b", "d", "e", "f"]
    assert after is None
    if not store.shown.startswith("postgresql"):
        # What is before it is not read: the table is in this order, and the position is a place in it.
        begun = CellPosition(1, "d", "z", 1)
        async with store.looking() as connection:
            asked = page_rows(1, begun, 2).compile(connection.sync_engine, compile_kwargs={"literal_binds": True})
            plan = [str(row) for row in (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}")).all()]
        assert len(plan) == 1
        assert "USING PRIMARY KEY (series_id=? AND (source,target,repeat)>(?,?,?))" in plan[0]


async def test_runs_are_listed_without_their_nodes_and_cells_being_read(store: Store) -> None:
    await store.put_run(a_run(), [Node(name="a"), Node(name="b")])
    await store.put_cells(a_run().id, [a_cell(), a_cell("b", "a", outcome="failed", reason=GAP, values={})])
    if store.shown.startswith("postgresql"):
        spoil = "UPDATE runs SET nodes = 'none', findings = 'none'"
    else:
        # Whoever reads such a text fails.
        spoil = "UPDATE runs SET nodes = x'ff', findings = x'ff'"
    async with store.changing() as connection:
        await connection.exec_driver_sql(spoil)
        await connection.exec_driver_sql("UPDATE cells SET rest = 'none'")
    (told,) = await store.runs()
    assert (told.node_count, told.outcomes) == (2, {"measured": 1, "failed": 1})
    with pytest.raises(StoreError, match="is damaged"):
        await store.info(a_run().id)
    if not store.shown.startswith("postgresql"):
        # PostgreSQL reads so small a table whole whatever indexes it has.
        async with store.looking() as connection:
            counted = counting([a_run().id]).compile(connection.sync_engine, compile_kwargs={"literal_binds": True})
            plan = [str(row) for row in (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {counted}")).all()]
        assert "COVERING INDEX sqlite_autoindex_series" in plan[0]
        assert "COVERING INDEX cells_by_outcome" in plan[1]


async def test_two_stores_use_it_at_once(store: Store, where: str) -> None:
    await store.put_run(a_run(), [])
    other = await open_store(where)
    cells = [a_cell(f"n{number}") for number in range(400)]
    await asyncio.gather(
        *(store.put_cells(a_run().id, [cell]) for cell in cells[:200]),
        *(other.put_cells(a_run().id, [cell]) for cell in cells[200:]),
        *(other.runs() for _ in range(20)),
    )
    assert len((await other.load(a_run().id)).cells) == 400
    await other.close()


async def test_a_reader_sees_a_whole_batch_or_none(store: Store, where: str) -> None:
    await store.put_run(a_run(), [])
    other = await open_store(where)
    writing = asyncio.create_task(
        store.put_cells(
            a_run().id, [a_cell(f"n{number}", repeat=repeat) for number in range(40) for repeat in range(50)]
        )
    )
    seen = set()
    while not writing.done():
        seen.add((await other.info(a_run().id)).cells)
    await writing
    assert seen <= {0, 2000}
    assert (await other.info(a_run().id)).cells == 2000
    await other.close()


async def test_a_reader_is_not_in_the_way_of_a_writer(store: Store, where: str) -> None:
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell(f"n{number}") for number in range(4500)])
    other = await open_store(where)
    count = 0
    async for batch in other.cells(a_run().id):
        await store.put_cells(a_run().id, [a_cell(f"later{count}")])
        count += len(batch)
    assert count >= 4500
    await other.close()


async def test_cells_of_no_run_are_refused_and_others_are_kept(store: Store) -> None:
    await store.put_run(a_run(), [])
    answers = await asyncio.gather(
        store.put_cells(a_run().id, [a_cell()]),
        store.put_cells("nonesuch", [a_cell()]),
        store.put_cells(a_run().id, [a_cell("b", "a")]),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), RunNotFoundError, type(None)]
    assert len((await store.load(a_run().id)).cells) == 2


async def test_cells_of_a_run_that_another_deleted_are_refused(store: Store, where: str) -> None:
    other = await open_store(where)
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell()])
    await other.delete(a_run().id)
    with pytest.raises(RunNotFoundError, match="any more"):
        await store.put_cells(a_run().id, [a_cell("b", "a")])
    await store.put_run(a_run(NEW), [])
    await store.put_cells(NEW, [a_cell()])
    assert len((await store.load(NEW)).cells) == 1
    await other.close()


async def test_a_caller_that_is_cancelled_loses_nothing_of_others(store: Store) -> None:
    await store.put_run(a_run(), [])
    tasks = [asyncio.create_task(store.put_cells(a_run().id, [a_cell(f"n{number}")])) for number in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [None] * 19
    assert {f"n{number}" for number in range(1, 20)} <= {c.source for c in (await store.load(a_run().id)).cells}
