"""The store on a real SQLite file: what was written is there, whoever dies; what is not ours is left alone."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from netmesh_controller.clients.store import RunNotFoundError, Store, StoreError, open_store
from netmesh_controller.mesh.document import Cell, Node, Parameters, PlanRecord, Reason, Run, Summary


def a_run(run_id: str = "20261123-060000-aaaa", started: str = "2026-11-23T06:00:00Z", **changes: object) -> Run:
    run = Run(id=run_id, state="running", started_at=started, netmesh_version="0", plan=PlanRecord())
    return run.model_copy(update=changes)


def a_cell(source: str = "a", target: str = "b", **changes: object) -> Cell:
    cell = Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source=source,
        target=target,
        repeat=1,
        attempt=1,
        parameters=Parameters(instrument="iperf3", streams=1, direction="forward"),
        outcome="measured",
        values={"bits_per_second": Summary(mean=1e9), "retransmits": None},
    )
    return cell.model_copy(update=changes)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path)
    yield opened
    await opened.close()


async def test_a_run_comes_back_as_it_was(store: Store) -> None:
    run, nodes = a_run(), [Node(name="a", zone="x"), Node(name="b")]
    await store.put_run(run, nodes)
    failed = a_cell("b", "a", outcome="failed", reason=Reason(code="timeout", message="no answer"), values={})
    await store.put_cells(run.id, [a_cell(), failed])
    stored = await store.load(run.id)
    assert stored.run == run
    assert list(stored.nodes) == nodes
    assert sorted(stored.cells, key=lambda cell: cell.source) == [a_cell(), failed]


async def test_a_cell_measured_again_replaces_the_gap(store: Store) -> None:
    await store.put_run(a_run(), [])
    gap = a_cell(outcome="failed", reason=Reason(code="timeout", message="no answer"), values={})
    await store.put_cells(a_run().id, [gap])
    await store.put_cells(a_run().id, [a_cell(attempt=2)])
    assert (await store.load(a_run().id)).cells == (a_cell(attempt=2),)


async def test_a_run_written_again_keeps_its_cells(store: Store) -> None:
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell()])
    await store.put_run(a_run(state="complete"), [])
    stored = await store.load(a_run().id)
    assert stored.run.state == "complete"
    assert stored.cells == (a_cell(),)


async def test_runs_are_found_by_id_prefix_name_and_latest(store: Store) -> None:
    await store.put_run(a_run("20261122-100000-aaaa", "2026-11-22T10:00:00Z", name="before"), [])
    await store.put_run(a_run("20261123-100000-bbbb", "2026-11-23T10:00:00Z"), [])
    assert await store.find("latest") == "20261123-100000-bbbb"
    assert await store.find("20261122") == "20261122-100000-aaaa"
    assert await store.find("before") == "20261122-100000-aaaa"
    assert await store.find("20261123-100000-bbbb") == "20261123-100000-bbbb"
    with pytest.raises(RunNotFoundError, match="more than one"):
        await store.find("2026112")
    with pytest.raises(RunNotFoundError, match="no run 'nonesuch'"):
        await store.find("nonesuch")


async def test_an_empty_store_has_no_latest(store: Store) -> None:
    with pytest.raises(RunNotFoundError, match="no run yet"):
        await store.find("latest")


async def test_two_processes_use_it_at_once(store: Store, tmp_path: Path) -> None:
    await store.put_run(a_run(), [])
    other = await open_store(tmp_path)
    cells = [a_cell(f"n{number}") for number in range(40)]
    await asyncio.gather(
        *(store.put_cells(a_run().id, [cell]) for cell in cells[:20]),
        *(other.put_cells(a_run().id, [cell]) for cell in cells[20:]),
    )
    assert len((await other.load(a_run().id)).cells) == 40
    await other.close()


async def test_a_newer_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "netmesh.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer netmesh"):
        await open_store(tmp_path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (999,)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    assert len(path.read_bytes()) == len(before)


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "netmesh.sqlite"
    path.write_bytes(b"these are somebody's notes, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="left as it is"):
        await open_store(tmp_path)
    assert path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="data directory"):
        await open_store(tmp_path / "file" / "data")


def test_what_was_reported_written_survives_kill_9(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tests.controller.test_store import a_cell, a_run
        from netmesh_controller.clients.store import open_store
        from pathlib import Path
        async def main():
            store = await open_store(Path({str(tmp_path)!r}))
            await store.put_run(a_run(), [])
            number = 0
            while True:
                await store.put_cells(a_run().id, [a_cell(f"n{{number}}")])
                print(number, flush=True)
                number += 1
        asyncio.run(main())
    """)
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    with writer.stdout:
        told = 0
        while told < 30:
            told = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    told = max([told, *rest])

    async def sources() -> set[str]:
        store = await open_store(tmp_path)
        try:
            return {cell.source for cell in (await store.load(a_run().id)).cells}
        finally:
            await store.close()

    assert asyncio.run(sources()) >= {f"n{number}" for number in range(told + 1)}
