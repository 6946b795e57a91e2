"""Sweeps over HTTP where nothing can be measured: what is wrong is told in a problem that names the field."""

import asyncio
import io
from typing import Any

import pytest
from tests.controller.web.conftest import Api, serving
from tests.support.agents import Identity
from tests.support.stored import a_run

from netmesh_common.tasks import guarded_task
from netmesh_controller.clients.store import RunNotFoundError, Store
from netmesh_controller.surfaces.web.services import Leading


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"options": {"duration": "0s"}}, "duration", "whole number of seconds"),
        ({"options": {"tests": "tcp-bandwith"}}, "tests", "tcp-bandwidth"),
        ({"options": {"speed": 1}}, "speed", "there is no option"),
        ({"options": {"streams": [1, 500]}}, "streams", "128"),
        ({"option": {}}, "option", "no such field"),
        ({"options": []}, "options", "object"),
        ({"name": ""}, "name", "at least 1"),
        ({"dry_run": "perhaps"}, "dry_run", "boolean"),
        ({"resume": "latest", "name": "x"}, "name", "leave it out"),
        ({"resume": "latest", "history": ["x", "y", "z"]}, "history", "leave it out"),
        ({"history": "latest"}, "history", "array"),
    ],
)
async def test_what_is_wrong_is_named(api: Api, body: dict[str, Any], field: str, words: str) -> None:
    problem = await api.send("POST", "/api/v1/sweeps", 400, body)
    assert problem["field"] == field
    assert words in problem["detail"]
    assert problem["status"] == 400
    assert problem["type"].startswith("urn:netmesh:problem:")


async def test_a_body_that_is_none(api: Api) -> None:
    for data, kind, status in ((b"{", "application/json", 400), (b"{}", "text/plain", 415)):
        answer = await api.send("POST", "/api/v1/sweeps", status, data=data, headers={"Content-Type": kind})
        assert answer["code"] in ("bad_body", "bad_media_type")
    large = b'{"name":"' + b"x" * (2 << 20) + b'"}'
    answer = await api.send(
        "POST", "/api/v1/sweeps", 413, data=io.BytesIO(large), headers={"Content-Type": "application/json"}
    )
    assert answer["code"] == "too_large"


async def test_no_agent_is_no_run(api: Api) -> None:
    for body in ({}, {"dry_run": True}):
        problem = await api.send("POST", "/api/v1/sweeps", 503, body)
        assert problem["code"] == "no_agents"
        assert "127.0.0.1:1" in problem["detail"]
    with pytest.raises(RunNotFoundError):
        await api.services.store.find("latest")
    assert await api.get("/api/v1/sweeps") == {"current": None, "sweeps": []}


async def test_nodes_that_do_not_answer_are_named_with_their_reason(api: Api) -> None:
    answer = await api.get("/api/v1/nodes")
    assert answer["unreachable"]["127.0.0.1:1"]["code"] == "unreachable"


async def test_a_run_that_is_not_there(api: Api) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        problem = await api.send(method, f"/api/v1/sweeps/none{path}", 404)
        assert problem["code"] == "no_run"
    assert (await api.send("POST", "/api/v1/sweeps", 404, {"resume": "none"}))["code"] == "no_run"
    assert (await api.send("POST", "/api/v1/sweeps", 404, {"history": ["none"]}))["code"] == "no_run"


async def test_too_few_earlier_runs(api: Api) -> None:
    await api.services.store.begin_run(a_run("20260101-000000-aaaa", name="first"), [])
    for history in (["first"], ["first", "20260101-000000-aaaa", "latest"]):
        problem = await api.send("POST", "/api/v1/sweeps", 400, {"history": history})
        assert (problem["field"], "at least 3" in problem["detail"]) == ("history", True)


async def test_a_controller_that_stands_by_says_who_leads(store: Store, identity: Identity) -> None:
    standby = Leading(leading=False, leader="netmesh-controller-7", term=4)
    async with serving(store, identity, "127.0.0.1:1", leading=standby) as api:
        assert (await api.get("/healthz"))["status"] == "ok"
        assert "netmesh-controller-7" in (await api.get("/readyz", 503))["detail"]
        assert (await api.get("/api/v1/controller"))["leader"] == "netmesh-controller-7"
        problem = await api.send("POST", "/api/v1/sweeps", 503, {})
        assert problem["code"] == "standby"
        assert "netmesh-controller-7" in problem["detail"]
        assert (await api.get("/api/v1/nodes", 503))["code"] == "standby"


async def test_a_controller_that_has_lost_a_part_of_its_work_is_not_healthy(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise ValueError("nobody foresaw this")

    await asyncio.wait([guarded_task(fails(), name="ask for nodes"), guarded_task(fails(), name="own tests")])
    assert (await api.get("/healthz"))["status"] == "ok"
    await asyncio.wait([guarded_task(fails(), name="history", lasting=True)])
    problem = await api.get("/healthz", 503)
    assert (problem["code"], problem["detail"].endswith(": history")) == ("broken", True)
    assert "nobody foresaw this" in caplog.text


async def test_resources_and_methods_that_are_not_there(api: Api) -> None:
    assert (await api.get("/api/v1/none", 404))["code"] == "no_resource"
    async with api.session.put(f"{api.url}/api/v1/sweeps") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}
        assert (await response.json(content_type=None))["code"] == "method"


async def test_what_is_known_already_is_not_sent_again(api: Api) -> None:
    path = f"{api.url}/api/v1/openapi.json"
    async with api.session.get(path) as response:
        tag = response.headers["ETag"]
        assert response.headers["Content-Encoding"] == "gzip"
        packed, content = response.content_length, await response.read()
        assert packed is not None
        assert packed < len(content) / 3
    async with api.session.get(path, headers={"If-None-Match": tag}) as response:
        assert response.status == 304
        assert await response.read() == b""
    async with api.session.get(path, headers={"If-None-Match": 'W/"other"'}) as response:
        assert response.status == 200
    async with api.session.get(path, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.read() == content


async def test_metrics_in_both_formats(api: Api) -> None:
    await api.get("/api/v1/none", 404)
    async with api.session.get(f"{api.url}/metrics") as response:
        text = await response.text()
    assert "netmesh_controller_leading 1.0" in text
    assert 'netmesh_http_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with api.session.get(f"{api.url}/metrics", headers=accept) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")
