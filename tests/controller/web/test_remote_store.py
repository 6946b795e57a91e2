"""A controller's store, read from elsewhere as one's own."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.controller.web.conftest import TOKEN, Api
from tests.controller.web.test_runs import a_run, filled, nodes  # noqa: F401  # a fixture among them
from tests.support.cli import Controller

from netmesh_controller.clients.store import RunFilter, RunNotFoundError, Store, StoreError, open_store


@pytest.fixture
async def remote(filled: Api, monkeypatch: pytest.MonkeyPatch) -> Store:  # noqa: F811
    monkeypatch.setenv("NETMESH_TOKEN", TOKEN)
    return await open_store(filled.url)


async def test_it_reads_as_the_store_itself(remote: Store, store: Store) -> None:
    try:
        assert await remote.find("run 2") == a_run(2).id
        assert await remote.info(a_run(4).id) == await store.info(a_run(4).id)
        assert await remote.runs() == await store.runs()
        some = RunFilter(name="run", states=("partial", "complete"), before="2026-11-25T06:00:03")
        assert await remote.runs(some, 2) == await store.runs(some, 2)
        there, here = await remote.load(a_run(4).id), await store.load(a_run(4).id)
        assert there == here
        assert len(there.cells) == 8
        with pytest.raises(RunNotFoundError, match="there is no run 'none'"):
            await remote.find("none")
    finally:
        await remote.close()


async def test_names_and_tags_are_changed_there_and_cells_are_not(remote: Store, store: Store) -> None:
    try:
        await remote.rename(a_run(1).id, "first")
        await remote.tag(a_run(1).id, ["x"])
        about = await store.info(a_run(1).id)
        assert (about.run.name, about.tags) == ("first", ("x",))
        with pytest.raises(StoreError, match="that controller alone writes"):
            await remote.begin_run(a_run(7), nodes())
        await remote.delete(a_run(1).id)
        with pytest.raises(RunNotFoundError):
            await store.info(a_run(1).id)
    finally:
        await remote.close()


async def test_commands_read_it(filled: Api, tmp_path: Path) -> None:  # noqa: F811
    command = Controller(tmp_path / "data")

    async def answer(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "netmesh_controller", "--store", filled.url, *arguments),
            env=command.environment(NETMESH_TOKEN=TOKEN),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    listed, shown, _ = await asyncio.gather(
        answer("runs"), answer("report", "latest"), answer("runs", "export", "latest", str(tmp_path / "r.jsonl.zst"))
    )
    assert "7 of 8" in listed
    assert "timeout" in shown
    assert (tmp_path / "r.jsonl.zst").stat().st_size > 100
    assert not (tmp_path / "data").exists()
