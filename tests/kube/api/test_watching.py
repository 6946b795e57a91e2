"""The watch against a real API server: changes, a server that restarts, a version that is no longer kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import psutil
import pytest
from tests.kube.api.server import ApiServer

from netmesh_controller.clients.cluster import (
    Cluster,
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    connect,
    watching,
)
from netmesh_controller.clients.cluster.watching import Changed, Listed, follow

_NUMBERS = itertools.count()
PATH = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, group: str, value: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"group": group}}, "data": {"value": value}}


@pytest.fixture
def group() -> str:
    return f"group-{next(_NUMBERS)}"


async def following(stream: AsyncGenerator[Listed | Changed, None]) -> Listed | Changed:
    return await asyncio.wait_for(anext(stream), 30)


def selector(group: str) -> dict[str, str]:
    return {"labelSelector": f"group={group}"}


async def test_a_watch_that_is_left_leaves_no_connection(api_server: ApiServer, group: str) -> None:
    def connections() -> int:
        mine = psutil.Process().net_connections("tcp")
        return sum(bool(one.raddr) and one.raddr.port == api_server.port for one in mine)

    before = connections()
    async with (
        await connect(kubeconfig=api_server.kubeconfig("admin")) as cluster,
        aclosing(follow(cluster, PATH, selector=selector(group))) as stream,
    ):
        await following(stream)
        await cluster.call("POST", PATH, body=config_map(f"{group}-0", group))
        await following(stream)
        assert connections() > before
    await asyncio.sleep(0)
    assert connections() == before


async def test_all_that_is_there_and_then_each_change(
    admin: Cluster, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE", 2)
    for number in range(5):
        await admin.call("POST", PATH, body=config_map(f"{group}-{number}", group))
    async with aclosing(follow(admin, PATH, selector=selector(group))) as stream:
        listed = await following(stream)
        assert isinstance(listed, Listed)
        assert [item["metadata"]["name"] for item in listed.items] == [f"{group}-{number}" for number in range(5)]
        await admin.call("PUT", f"{PATH}/{group}-0", body=config_map(f"{group}-0", group, "2"))
        await admin.call("DELETE", f"{PATH}/{group}-1")
        await admin.call("POST", PATH, body=config_map(f"{group}-9", group))
        changes = [await following(stream) for _ in range(3)]
        assert [(one.kind, one.item["metadata"]["name"]) for one in changes if isinstance(one, Changed)] == [
            ("MODIFIED", f"{group}-0"),
            ("DELETED", f"{group}-1"),
            ("ADDED", f"{group}-9"),
        ]


async def test_nothing_is_missed_while_the_server_is_away(admin: Cluster, api_server: ApiServer, group: str) -> None:
    await admin.call("POST", PATH, body=config_map(group, group))
    async with aclosing(follow(admin, PATH, selector=selector(group))) as stream:
        assert isinstance(await following(stream), Listed)
        next_one = asyncio.create_task(following(stream))
        api_server.stop_api()
        await asyncio.to_thread(api_server.start_api)
        await admin.call("PUT", f"{PATH}/{group}", body=config_map(group, group, "2"), retry_seconds=30)
        seen = await next_one
        # The version may have gone with the server's cache: then the list is read anew, and says the same.
        item = seen.item if isinstance(seen, Changed) else seen.items[0]
        assert item["data"]["value"] == "2"


async def test_a_version_that_is_no_longer_kept_is_told(admin: Cluster, api_server: ApiServer, group: str) -> None:
    await admin.call("POST", PATH, body=config_map(f"{group}-stays", group))
    # One that comes back with a version that was compacted away and is older than the server's cache.
    version = (await admin.call("GET", PATH))["metadata"]["resourceVersion"]
    for value in range(3):
        await admin.call("PUT", f"{PATH}/{group}-stays", body=config_map(f"{group}-stays", group, str(value)))
    api_server.compact()
    api_server.stop_api()
    await asyncio.to_thread(api_server.start_api)
    stale = watching._watch(admin, PATH, selector(group), version, 30)
    with pytest.raises(Gone):
        async with aclosing(stale):
            await asyncio.wait_for(anext(stale), 30)


async def test_it_goes_on_after_gone_with_all_that_is_there(
    admin: Cluster, api_server: ApiServer, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.call("POST", PATH, body=config_map(f"{group}-goes", group))
    # As if the watch had hung for long: what it goes on from is the version of its list, from before the compaction.
    real, versions = watching._list, []

    async def old(cluster: Cluster, path: str, query: Any) -> Any:
        items, version = await real(cluster, path, query)
        versions.append(version)
        if len(versions) == 1:
            await admin.call("DELETE", f"{PATH}/{group}-goes")
            await admin.call("POST", PATH, body=config_map(f"{group}-comes", group))
            api_server.compact()
            api_server.stop_api()
            await asyncio.to_thread(api_server.start_api)
        return items, version

    monkeypatch.setattr(watching, "_list", old)
    async with aclosing(follow(admin, PATH, selector=selector(group))) as stream:
        first = await following(stream)
        again = await following(stream)
    assert isinstance(first, Listed)
    assert [item["metadata"]["name"] for item in first.items] == [f"{group}-goes"]
    assert isinstance(again, Listed)
    assert [item["metadata"]["name"] for item in again.items] == [f"{group}-comes"]
    assert len(versions) == 2


async def test_what_is_refused_is_told_apart(admin: Cluster, api_server: ApiServer, group: str) -> None:
    with pytest.raises(NotFound, match="not found"):
        await admin.call("GET", f"{PATH}/nonesuch")
    await admin.call("POST", PATH, body=config_map(group, group))
    with pytest.raises(Conflict, match="already exists"):
        await admin.call("POST", PATH, body=config_map(group, group))
    async with await connect(kubeconfig=api_server.kubeconfig("controller"), namespace="netmesh") as stranger:
        with pytest.raises(Forbidden, match="netmesh-controller"):
            await stranger.call("GET", "/api/v1/namespaces/default/secrets")
        with pytest.raises(Forbidden):
            await anext(follow(stranger, PATH))


async def test_a_server_that_is_not_there_is_one_sentence(api_server: ApiServer) -> None:
    async with await connect(kubeconfig=api_server.kubeconfig(), namespace="netmesh") as cluster:
        api_server.stop_api()
        try:
            with pytest.raises(ClusterError, match=r"the API server at https://127\.0\.0\.1:\d+ cannot be reached"):
                await cluster.call("GET", PATH)
        finally:
            await asyncio.to_thread(api_server.start_api)
