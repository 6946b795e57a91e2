"""Diagnoses and comparisons over HTTP: real agents, a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.controller.web.conftest import Api, serving
from tests.support.agents import Identity, running_agent
from tests.support.meshes import generated

from netmesh_controller.clients.store import Store


async def test_a_diagnosis_is_started_watched_and_read_again(store: Store, identity: Identity, tmp_path: Path) -> None:
    with (
        running_agent(identity, tmp_path, node="node-1", port=9410, options=("--tool-ports", "61863-61870")) as first,
        running_agent(
            identity,
            tmp_path,
            node="node-2",
            port=9420,
            options=("--tool-ports", "61873-61880", "--stamp-port", "61882"),
        ) as second,
    ):
        async with serving(store, identity, first.target, second.target) as api:
            wrong = await api.send("POST", "/api/v1/diagnoses", 400, {"source": "node-1", "target": "node-9"})
            assert wrong["code"] == "bad_pair"
            assert "node-9" in wrong["detail"]
            started = await api.send(
                "POST", "/api/v1/diagnoses", 201, {"source": "node-1", "target": "node-2", "quick": True}
            )
            run = started["run"]
            assert (started["state"], started["diagnosis"]) == ("running", None)
            # One place for all that loads the network.
            assert (await api.send("POST", "/api/v1/sweeps", 409, {"options": {}}))["code"] == "busy"
            busy = await api.send("POST", "/api/v1/diagnoses", 409, {"source": "node-2", "target": "node-1"})
            assert busy["code"] == "busy"
            kinds: list[str] = []
            last: dict[str, Any] = {}
            told: dict[str, Any] = {}
            async with api.session.get(f"{api.url}/api/v1/diagnoses/{run}/events") as stream:
                async for line in stream.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name == "event":
                        kinds.append(value)
                    if name == "data":
                        last = json.loads(value)
                        told = told or last
            assert kinds[0] == "started"
            assert "step" in kinds
            assert kinds[-1] == "finished"
            assert last["state"] == "complete"
            found = await api.get(f"/api/v1/diagnoses/{run}")
            assert found["diagnosis"] == last["diagnosis"]
            assert found["diagnosis"]["run"] == run
            assert found["diagnosis"]["verdicts"]
            # What it could come to was told before, and is kept.
            assert told["most"] == found["diagnosis"]["most"]
            assert 0 < found["diagnosis"]["most"]["seconds"] < 60
            async with api.session.get(f"{api.url}/api/v1/diagnoses/{run}/report") as answer:
                assert (answer.status, answer.content_type) == (200, "text/html")
                assert "What to do:" in await answer.text()
            listed = (await api.get("/api/v1/diagnoses"))["diagnoses"]
            assert [(one["run"], one["diagnosis"]) for one in listed] == [(run, None)]
            assert (await api.send("DELETE", f"/api/v1/diagnoses/{run}", 409))["code"] == "not_running"
            # The place is free again.
            assert (await api.get("/api/v1/sweeps"))["current"] is None
    # Another controller, later: what is stored is enough.
    async with serving(store, identity, "127.0.0.1:1") as api:
        again = await api.get(f"/api/v1/diagnoses/{run}")
        assert again["diagnosis"] == found["diagnosis"]
        assert (again["source"], again["target"], again["quick"]) == ("node-1", "node-2", True)


async def test_without_agents_there_is_no_diagnosis_and_the_place_is_free(api: Api) -> None:
    for _ in range(2):
        answer = await api.send("POST", "/api/v1/diagnoses", 503, {"source": "node-1", "target": "node-2"})
        assert answer["code"] == "no_agents"
    assert (await api.get("/api/v1/diagnoses"))["diagnoses"] == []


async def test_runs_are_compared_and_no_file_of_the_host_is_read(api: Api, tmp_path: Path) -> None:
    for seed, name in ((5, "before"), (6, "after")):
        document = generated(3, repeats=2, seed=seed)
        run = document.run.model_copy(update={"id": f"{document.run.id}-{name}", "name": name, "state": "running"})
        await api.services.store.begin_run(run, document.nodes)
        await api.services.store.put_cells(run.id, document.cells)
        await api.services.store.put_run(run.model_copy(update={"state": "complete"}), document.nodes)
    found = await api.get("/api/v1/comparison?first=before&second=after")
    assert [one["name"] for one in found["runs"]] == ["before", "after"]
    assert found["sentences"]
    assert found["groups"]
    file = tmp_path / "run.json"
    file.write_text(generated(2).model_dump_json())
    assert (await api.get(f"/api/v1/comparison?first=before&second={file}", 404))["code"] == "no_run"
    diagnosis = await api.get("/api/v1/diagnoses/before", 404)
    assert diagnosis["code"] == "no_diagnosis"
