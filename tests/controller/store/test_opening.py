"""Databases that are old, newer, damaged, somebody else's, or not there."""

from __future__ import annotations

import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from sqlalchemy.engine import make_url
from tests.controller.mesh.test_document import DOCUMENT
from tests.support.postgres import Server
from tests.support.stored import a_cell, a_run

from netmesh_controller.clients.store import Store, StoreError, StoreUrlError, open_store
from netmesh_controller.clients.store.tables import metadata
from netmesh_controller.mesh.document import RunDocument

SAMPLE = Path(__file__).parents[2] / "samples/store/netmesh-1.sqlite.zst"
BEFORE, DIED = "20251120-100000-0199", "20251121-100000-dead"


def version_1(folder: Path) -> Path:
    """A database as the first version of the store wrote it."""
    path = folder / "netmesh.sqlite"
    path.write_bytes(zstandard.ZstdDecompressor().decompress(SAMPLE.read_bytes()))
    return path


async def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    version_1(tmp_path)
    written = RunDocument.model_validate(DOCUMENT)
    store = await open_store(tmp_path)
    try:
        stored = await store.load(BEFORE)
        assert stored.run == written.run.model_copy(update={"id": BEFORE, "name": "before"})
        assert list(stored.nodes) == written.nodes
        assert {cell.key: cell for cell in stored.cells} == {cell.key: cell for cell in written.cells}
        assert [told.node_count for told in await store.runs() if told.run.id == BEFORE] == [len(written.nodes)]
        died = await store.info(DIED)
        assert died.outcomes == {"measured": 1200}
        assert (died.state, died.abandoned) == ("interrupted", True), "nobody measures it any more"
        # What is measured again after the change takes the place of what was there before it.
        await store.put_cells(BEFORE, [written.cells[0].model_copy(update={"attempt": 7})])
        assert (await store.info(BEFORE)).cells == len(written.cells)
    finally:
        await store.close()
    again = await open_store(tmp_path)
    assert (await again.info(DIED)).cells == 1200
    await again.close()


async def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = version_1(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE cells SET cell = 'no JSON' WHERE rowid = (SELECT max(rowid) FROM cells)")
        connection.commit()
        before = list(connection.iterdump())
    with pytest.raises(StoreError, match=r"a cell of run 2025.* is no JSON.*left as it is"):
        await open_store(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before


async def test_the_steps_lead_to_the_tables_of_the_code(store: Store) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    from netmesh_controller.clients.store.schema import VERSION_TABLE  # noqa: PLC0415

    async with store._engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"version_table": VERSION_TABLE, "compare_type": True}), metadata
            )
        )
    assert differences == []


async def test_a_newer_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "netmesh.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer netmesh"):
        await open_store(tmp_path)
    assert path.read_bytes() == before


async def test_a_database_of_a_later_step_is_left_as_it_is(where: str, server: Server, tmp_path: Path) -> None:
    await (await open_store(where)).close()
    statement = "UPDATE netmesh_schema SET version_num = '0099'"
    if where.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "netmesh.sqlite")) as connection:
            connection.execute(statement)
            connection.commit()
    else:
        server.sql(make_url(where).database or "", statement)
    with pytest.raises(StoreError, match="newer netmesh"):
        await open_store(where)


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "netmesh.sqlite"
    path.write_bytes(b"these are somebody's notes, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="left as it is"):
        await open_store(tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("table", ["runs", "notes"])
async def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path: Path, table: str) -> None:
    path = tmp_path / "netmesh.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table} (id)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="something else"):
        await open_store(tmp_path)
    assert path.read_bytes() == before


async def test_a_server_s_tables_of_others_stay_and_the_same_names_are_refused(server: Server) -> None:
    database = f"test_{secrets.token_hex(6)}"
    url = server.create(database)
    server.sql(database, "CREATE TABLE notes (id int); INSERT INTO notes VALUES (7)")
    await (await open_store(url)).close()
    assert server.sql(database, "SELECT id FROM notes").strip() == "7"
    other = f"test_{secrets.token_hex(6)}"
    url = server.create(other)
    server.sql(other, "CREATE TABLE runs (id int)")
    with pytest.raises(StoreError, match="something else"):
        await open_store(url)
    assert server.sql(other, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split() == ["runs"]


async def test_a_damaged_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    await store.put_run(a_run(), [])
    await store.put_cells(a_run().id, [a_cell(f"n{number}") for number in range(3000)])
    await store.close()
    path = tmp_path / "netmesh.sqlite"
    content = bytearray(path.read_bytes())
    # Everything but the first pages, which hold the tables' names.
    content[40_000:-4096] = secrets.token_bytes(len(content) - 44_096)
    path.write_bytes(content)
    store = await open_store(tmp_path)
    try:
        with pytest.raises(StoreError, match=r"damaged.*left as it is"):
            await store.load(a_run().id)
        with pytest.raises(StoreError, match="damaged"):
            await store.put_cells(a_run().id, [a_cell("x")])
    finally:
        await store.close()
    assert path.read_bytes() == content
    path.write_bytes(content[:4096] + secrets.token_bytes(50_000))
    with pytest.raises(StoreError, match="damaged"):
        await open_store(tmp_path)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="data directory"):
        await open_store(tmp_path / "file" / "data")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/netmesh", "does not store in mysql; give postgresql://"),
        ("notaurl", "is no URL"),
        ("nonesuch://x/y", "nonesuch"),
        ("sqlite://", "names no file"),
        ("postgresql://host:port/x", "is no URL"),
    ],
)
async def test_a_url_that_is_none_is_told(url: str, words: str) -> None:
    with pytest.raises(StoreUrlError, match=words):
        await open_store(url)


async def test_a_missing_driver_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # As the import system has it where the extra is not installed.
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(
        StoreUrlError, match=r"needs the package asyncpg: pip install 'netmesh\[controller,postgresql\]'"
    ):
        await open_store("postgresql://someone@127.0.0.1/netmesh")


async def test_a_server_that_is_not_there_is_named_without_its_password(server: Server) -> None:
    for url in (
        "postgresql://someone:secret@127.0.0.1:1/netmesh",
        f"postgresql://someone:secret@/netmesh?host={server.folder}",
        f"postgresql://netmesh:secret@/nonesuch?host={server.folder}",
    ):
        with pytest.raises(StoreError, match="cannot be used") as caught:
            await open_store(url)
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_many_processes_that_open_an_old_or_an_empty_one_do_not_collide(where: str, tmp_path: Path) -> None:
    if where.startswith("sqlite"):
        version_1(tmp_path)
    script = (
        "import asyncio, sys\n"
        "from netmesh_controller.clients.store import open_store\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    print(len(await store.runs()))\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(4)
    ]
    answers = [process.communicate()[0].strip() for process in processes]
    assert answers == ["2" if where.startswith("sqlite") else "0"] * 4
