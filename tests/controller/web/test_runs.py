"""Stored runs over HTTP: found, paged, read cell by cell and as matrices, named, deleted."""

import math
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.controller.web.conftest import Api, serving
from tests.support.agents import Identity

from netmesh_controller.clients.store import Store
from netmesh_controller.mesh import packed
from netmesh_controller.mesh.document import (
    Agent,
    Cell,
    Matrix,
    Node,
    Parameters,
    PlanRecord,
    Reason,
    Run,
    RunDocument,
    Summary,
)

NODES = ["a", "b", "c"]
FACTS = {"tools": {"iperf3": "3.12"}, "mtu_bytes": 1500}


def a_run(number: int, **changes: object) -> Run:
    run = Run(
        id=f"20261125-0600{number:02}-aaaa",
        name=f"run {number}",
        state="partial",
        started_at=f"2026-11-25T06:00:{number:02}.000Z",
        finished_at="2026-11-25T07:00:00.000Z",
        netmesh_version="0",
        plan=PlanRecord(asked={"tests": "tcp-bandwidth"}),
    )
    return run.model_copy(update=changes)


def a_cell(source: str, target: str, rate: float | None) -> Cell:
    gap = Reason(code="timeout", message="no answer") if rate is None else None
    return Cell(
        path="pod-to-pod",
        test="tcp-bandwidth",
        source=source,
        target=target,
        repeat=1,
        attempt=1,
        parameters=Parameters(instrument="iperf3", streams=1, direction="forward"),
        outcome="measured" if gap is None else "failed",
        reason=gap,
        values={} if rate is None else {"bits_per_second": Summary(mean=rate)},
    )


def nodes() -> list[Node]:
    agents = [Agent(role=role, address="10.0.0.1", facts=FACTS) for role in ("pod", "peer")]
    return [Node(name=name, agents=agents, facts=FACTS) for name in NODES]


@pytest.fixture
async def filled(store: Store, identity: Identity) -> AsyncIterator[Api]:
    """Five runs; the latest has eight of its nine cells, one of them a gap."""
    for number in range(5):
        await store.put_run(a_run(number), nodes())
    pairs = [(source, target) for source in NODES for target in NODES if (source, target) != ("c", "c")]
    cells = [a_cell(*pair, None if pair == ("a", "b") else 1e9 + n) for n, pair in enumerate(pairs)]
    await store.put_cells(a_run(4).id, cells)
    async with serving(store, identity) as api:
        yield api


async def test_runs_come_a_page_at_a_time_the_latest_first(filled: Api) -> None:
    seen, after = [], ""
    for _ in range(10):
        page = await filled.get(f"/api/v1/runs?limit=2{after}")
        seen += [one["run"]["id"] for one in page["runs"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == [a_run(number).id for number in (4, 3, 2, 1, 0)]


async def test_runs_of_one_moment_are_all_told_once(store: Store, identity: Identity) -> None:
    for number in range(7):
        await store.put_run(a_run(number, started_at="2026-11-25T06:00:00.000Z"), [])
    async with serving(store, identity) as api:
        first = await api.get("/api/v1/runs?limit=4")
        second = await api.get(f"/api/v1/runs?limit=4&after={first['next']}")
    ids = [one["run"]["id"] for one in first["runs"] + second["runs"]]
    assert sorted(ids) == [a_run(number).id for number in range(7)]
    assert second["next"] is None


async def test_runs_are_found_by_name_state_tag_and_time(filled: Api) -> None:
    await filled.send("PATCH", f"/api/v1/runs/{a_run(2).id}", 200, {"add_tags": ["before"], "name": "base"})

    async def ids(query: str) -> list[str]:
        return [one["run"]["id"] for one in (await filled.get(f"/api/v1/runs?{query}"))["runs"]]

    assert await ids("tag=before") == [a_run(2).id]
    assert await ids("name=bas") == [a_run(2).id]
    assert len(await ids("state=partial")) == 5
    assert await ids("state=complete") == []
    assert await ids("since=2026-11-25T06:00:03") == [a_run(4).id, a_run(3).id]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("limit=1001", "limit"),
        ("state=done", "state"),
        ("after=x", "after"),
        ("page=2", "page"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_what_is_wrong_in_a_query_is_named(filled: Api, query: str, field: str) -> None:
    assert (await filled.get(f"/api/v1/runs?{query}", 400))["field"] == field


async def test_a_run_by_its_name_and_by_latest(filled: Api) -> None:
    by_name = await filled.get("/api/v1/runs/run%203")
    assert by_name["run"]["id"] == a_run(3).id
    latest = await filled.get("/api/v1/runs/latest")
    assert latest["run"]["id"] == a_run(4).id
    assert latest["outcomes"] == {"measured": 7, "failed": 1}
    assert [node["name"] for node in latest["nodes"]] == NODES
    assert (await filled.get("/api/v1/runs/none", 404))["code"] == "no_run"


async def test_a_name_is_taken_away_and_tags_change(filled: Api) -> None:
    path = f"/api/v1/runs/{a_run(1).id}"
    changed = await filled.send("PATCH", path, 200, {"name": None, "add_tags": ["x", "y"]})
    assert changed["run"]["name"] is None
    changed = await filled.send("PATCH", path, 200, {"remove_tags": ["x"]})
    assert changed["tags"] == ["y"]
    assert (await filled.send("PATCH", path, 400, {"name": ""}))["field"] == "name"
    assert (await filled.send("PATCH", path, 400, {"tags": []}))["field"] == "tags"


async def test_a_run_that_is_deleted_is_gone(filled: Api) -> None:
    await filled.get("/api/v1/runs/latest/document")
    await filled.send("DELETE", f"/api/v1/runs/{a_run(4).id}", 204)
    await filled.get(f"/api/v1/runs/{a_run(4).id}", 404)
    await filled.send("DELETE", f"/api/v1/runs/{a_run(4).id}", 404)
    assert (await filled.get("/api/v1/runs/latest"))["run"]["id"] == a_run(3).id


async def test_cells_come_a_page_at_a_time_and_whole(filled: Api) -> None:
    seen, after = [], ""
    for _ in range(10):
        page = await filled.get(f"/api/v1/runs/latest/cells?limit=3{after}")
        seen += [Cell.model_validate(cell) for cell in page["cells"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"
    assert len(seen) == 8
    assert len({cell.key for cell in seen}) == 8
    gaps = (await filled.get("/api/v1/runs/latest/cells?outcome=failed"))["cells"]
    assert [(gap["source"], gap["target"], gap["reason"]["code"]) for gap in gaps] == [("a", "b", "timeout")]
    of_a = (await filled.get("/api/v1/runs/latest/cells?source=a&target=c"))["cells"]
    assert len(of_a) == 1
    for wrong in (
        "x",
        "3",
        "[]",
        '[1,"a","b",-1]',
        '[1,"a","b",1,2]',
        '["1","a","b",1]',
        '[9999999999,"a","b",1]',
        '[1,"\\u0000","b",1]',
    ):
        async with filled.session.get(f"{filled.url}/api/v1/runs/latest/cells", params={"after": wrong}) as response:
            assert (response.status, (await response.json(content_type=None))["field"]) == (400, "after")


async def test_the_document_is_the_run_s_and_the_matrix_is_the_document_s(filled: Api) -> None:
    document = RunDocument.model_validate(await filled.get("/api/v1/runs/latest/document"))
    assert len(document.cells) == 8
    heads = (await filled.get("/api/v1/runs/latest/matrices"))["matrices"]
    assert len(heads) == len(document.matrices)
    head = next(head for head in heads if head["value"] == "bits_per_second")
    assert head["known"] == 7
    path = f"/api/v1/runs/latest/{head['href']}"
    as_json = Matrix.model_validate(await filled.get(path))
    assert as_json == document.matrices[head["index"]]
    # A gap and a pair that the plan has and no cell: a reason each, never a number.
    assert as_json.reasons[0][1] == "timeout"
    assert as_json.reasons[2][2] == "cancelled"
    assert as_json.values[0][1] is None
    async with filled.session.get(f"{filled.url}{path}", headers={"Accept": packed.MEDIA_TYPE}) as response:
        assert response.content_type == packed.MEDIA_TYPE
        table = packed.unpack(await response.read())
    assert table.document() == as_json
    assert math.isnan(table.values[0, 1])
    for wrong in ("99", "-1", "x", "²"):
        assert (await filled.get(f"/api/v1/runs/latest/matrices/{wrong}", 404))["code"] == "no_matrix"


async def test_a_run_goes_out_as_lines_and_comes_in_again(filled: Api) -> None:
    path = f"{filled.url}/api/v1/runs"
    async with filled.session.get(f"{path}/latest/export") as response:
        assert response.content_type == "application/zstd"
        assert response.headers["Content-Disposition"].endswith('.jsonl.zst"')
        exported = await response.read()
    before = await filled.get("/api/v1/runs/latest/document")
    sent = {"data": exported, "headers": {"Content-Type": "application/zstd"}}
    problem = await filled.send("POST", "/api/v1/runs", 409, **sent)
    assert (problem["code"], problem["run"]) == ("run_exists", a_run(4).id)
    await filled.send("POST", "/api/v1/runs?replace=true", 201, **sent)
    await filled.send("DELETE", f"/api/v1/runs/{a_run(4).id}", 204)
    again = await filled.send("POST", "/api/v1/runs", 201, **sent)
    assert again["outcomes"] == {"measured": 7, "failed": 1}
    assert await filled.get("/api/v1/runs/latest/document") == before
    for data, kind, status, field in (
        (b"{}", "application/json", 400, "schema"),
        (b"nothing", "application/jsonl", 400, None),
        (exported[:-9], "application/zstd", 400, None),
        (exported, "text/plain", 415, None),
    ):
        wrong = await filled.send("POST", "/api/v1/runs", status, data=data, headers={"Content-Type": kind})
        assert "/tmp" not in wrong["detail"], wrong  # noqa: S108  # nothing of where it was kept
        if field is not None:
            assert wrong["field"] == field


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("html", "text/html", b"<!"),
        ("csv", "text/csv", b""),
        ("svg", "image/svg+xml", b"<?xml"),
        ("json", "application/json", b"{"),
    ],
)
async def test_reports(filled: Api, form: str, kind: str, begins: bytes) -> None:
    async with filled.session.get(f"{filled.url}/api/v1/runs/latest/report?format={form}") as response:
        assert response.status == 200
        assert response.content_type == kind
        # Of another origin than the pages, whose token stays theirs.
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
        assert "allow-same-origin" not in response.headers["Content-Security-Policy"]
        body = await response.read()
    assert body.startswith(begins)
    assert len(body) > 100


async def test_a_report_that_cannot_be(filled: Api) -> None:
    for query, field in (("format=doc", "format"), ("test=tcp", "format"), ("format=csv&test=tcp", "test")):
        assert (await filled.get(f"/api/v1/runs/latest/report?{query}", 400))["field"] == field


async def test_bytes_that_are_no_matrix() -> None:
    for data in (b"", b"\x01\x00", b"\x04\x00\x00\x00{}  ", b"\x02\x00\x00\x00[]"):
        with pytest.raises(ValueError, match="packed matrix"):
            packed.unpack(data)


async def test_the_store_away_is_a_503_with_its_sentence(filled: Api, tmp_path: Path) -> None:
    for file in tmp_path.glob("netmesh.sqlite*"):
        file.unlink()
    problem = await filled.get("/api/v1/runs", 503)
    assert problem["code"] == "store"
    assert "netmesh.sqlite" in problem["detail"]
