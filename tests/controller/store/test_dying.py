"""Processes that die: what they reported is there, and what they ran is not told as running."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.stored import a_run

from netmesh_controller.clients.store import RunBusyError, RunFilter, open_store

ROOT = Path(__file__).parents[3]


@contextmanager
def measuring(where: str) -> Iterator[subprocess.Popen[str]]:
    """A process that measures `a_run` and prints a number for each cell that it has been told is stored."""
    script = f"""
        import asyncio, sys
        sys.path.insert(0, {str(ROOT)!r})
        from tests.support.stored import a_cell, a_run
        from netmesh_controller.clients.store import open_store
        async def one(store, number):
            await store.put_cells(a_run().id, [a_cell(f"n{{number}}")])
            print(number, flush=True)
        async def main():
            store = await open_store({where!r})
            await store.begin_run(a_run(state="running"), [])
            number = 0
            while True:
                await asyncio.gather(*(one(store, number + more) for more in range(8)))
                number += 8
        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def killed(process: subprocess.Popen[str], after: int) -> set[str]:
    """Kills it in the middle of its writing; the cells that it reported as stored."""
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(after)]
    os.kill(process.pid, signal.SIGKILL)
    told += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    return {f"n{number}" for number in told}


def test_what_was_reported_written_survives_kill_9(where: str) -> None:
    async def look() -> set[str]:
        store = await open_store(where)
        try:
            assert [info.run.id for info in await store.runs(RunFilter(states=("running",)))] == []
            (info,) = await store.runs(RunFilter(states=("interrupted",)))
            assert info.abandoned
            return {cell.source for cell in (await store.load(a_run().id)).cells}
        finally:
            await store.close()

    with measuring(where) as process:
        told = killed(process, 100)
    assert len(told) >= 100
    assert asyncio.run(look()) >= told


async def test_a_run_is_measured_by_one_process_at_a_time(where: str) -> None:
    store = await open_store(where)
    run = a_run(state="running")
    with measuring(where) as process:
        assert process.stdout is not None
        await asyncio.to_thread(process.stdout.readline)
        about = await store.info(run.id)
        assert (about.state, about.abandoned) == ("running", False)
        for refused in (store.begin_run(run, []), store.delete(run.id)):
            with pytest.raises(RunBusyError, match=f"measured by process {process.pid}"):
                await refused
        killed(process, 1)
    assert (await store.info(run.id)).state == "interrupted"
    await store.begin_run(run, [])
    assert (await store.info(run.id)).state == "running"
    await store.put_run(a_run(state="partial"), [])
    assert (await store.info(run.id)).state == "partial"
    await store.close()


async def test_a_run_that_was_left_is_interrupted_and_no_failure(where: str) -> None:
    """As by a controller that lost its Lease and lives on."""
    store = await open_store(where)
    run = a_run(state="running")
    await store.begin_run(run, [])
    await asyncio.sleep(0)  # its signs begin
    await store.leave_run(run.id)
    about = await store.info(run.id)
    assert (about.state, about.abandoned) == ("interrupted", True)
    # Whoever takes it up needs nobody's leave.
    await store.begin_run(run, [])
    await asyncio.sleep(0)
    assert (await store.info(run.id)).state == "running"
    await store.close()


async def test_a_silent_process_of_another_machine_is_taken_for_dead(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(where)
    await store.begin_run(a_run(state="running"), [])
    from netmesh_controller.clients.store import writers  # noqa: PLC0415

    monkeypatch.setattr(writers, "_machine", lambda: "another")
    assert (await store.info(a_run().id)).state == "running", "it has just given a sign"
    monkeypatch.setattr(writers, "SILENT_SECONDS", 0.0)
    assert (await store.info(a_run().id)).state == "interrupted"
    await store.close()
