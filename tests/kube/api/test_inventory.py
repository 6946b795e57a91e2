"""Agents found by watching a real API server, with the controller's own rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from tests.deploy.render import HOST
from tests.kube.api.mesh import patch_node, put_agent, put_node, remove
from tests.kube.api.server import ApiServer

from netmesh_controller.clients.cluster import Cluster, connect
from netmesh_controller.inventory import kubernetes
from netmesh_controller.inventory.kubernetes import KubernetesInventory
from netmesh_controller.inventory.located import InventoryError, Located

PODS = "/api/v1/namespaces/netmesh/pods"


@pytest.fixture
async def inventory(controller: Cluster, admin: Cluster) -> AsyncIterator[KubernetesInventory]:
    for name, zone in (("n1", "a"), ("n2", "b")):
        await put_node(admin, name, zone=zone)
        await put_agent(admin, f"agent-{name}", name, "pod", f"10.0.0.{name[1]}", f"fd00::{name[1]}")
        await put_agent(admin, f"peer-{name}", name, "peer", f"10.0.1.{name[1]}")
    async with KubernetesInventory(controller) as watching:
        yield watching
    for kind in ("/api/v1/nodes", PODS):
        await admin.call("DELETE", kind, query={"gracePeriodSeconds": "0"})


async def until(inventory: KubernetesInventory, holds: Callable[[list[Located]], bool]) -> list[Located]:
    """The agents once `holds` does; each look follows a change that was seen."""
    async with asyncio.timeout(30):
        while True:
            seen = inventory.version
            found = await inventory.locate()
            if holds(found):
                return found
            await inventory.changed(seen)


def away(entries: list[Located], node: str) -> str | None:
    return next(entry.away for entry in entries if (entry.node, entry.role) == (node, "pod"))


async def test_agents_nodes_and_what_becomes_of_them(inventory: KubernetesInventory, admin: Cluster) -> None:
    found = await until(inventory, lambda entries: len(entries) == 4 and all(not entry.away for entry in entries))
    assert [(entry.node, entry.role, entry.zone, entry.address) for entry in found] == [
        ("n1", "pod", "a", "10.0.0.1:9410"),
        ("n1", "peer", "a", "10.0.1.1:9410"),
        ("n2", "pod", "b", "10.0.0.2:9410"),
        ("n2", "peer", "b", "10.0.1.2:9410"),
    ]
    assert found[0].facts["kubelet_version"] == "v1.36.4"

    await patch_node(admin, "n1", lambda node: node["spec"].update(unschedulable=True))
    await until(inventory, lambda entries: entries[0].excuse == "n1 is cordoned")
    assert (inventory.away("n1"), inventory.excuse("n1")) == (None, "n1 is cordoned")
    await patch_node(admin, "n1", lambda node: node["spec"].pop("unschedulable"))
    await until(inventory, lambda entries: entries[0].excuse is None)
    assert inventory.excuse("n1") is None

    # The agent's pod is replaced by another with another address.
    await remove(admin, f"{PODS}/agent-n2")
    await until(inventory, lambda entries: away(entries, "n2") == "no agent runs on n2")
    await put_agent(admin, "agent-n2-again", "n2", "pod", "10.0.0.22")
    await until(inventory, lambda entries: away(entries, "n2") is None)
    again = inventory.agent("n2", "pod")
    assert again is not None
    assert again.address == "10.0.0.22:9410"

    assert inventory.joined(frozenset({"n1", "n2"})) == frozenset()
    await put_node(admin, "n3")
    await put_agent(admin, "agent-n3", "n3", "pod", "10.0.0.3")
    await until(inventory, lambda _: inventory.joined(frozenset({"n1", "n2"})) == {"n3"})

    await remove(admin, "/api/v1/nodes/n1")
    await until(inventory, lambda entries: "n1" not in {entry.node for entry in entries})
    assert inventory.away("n1") == "n1 was removed from the cluster"


async def test_it_goes_on_where_the_server_was_away(
    inventory: KubernetesInventory, admin: Cluster, applied: ApiServer
) -> None:
    await until(inventory, lambda entries: len(entries) == 4)
    applied.stop_api()
    assert len(await inventory.locate()) == 4  # what was last known
    await asyncio.to_thread(applied.start_api)
    async with await connect(kubeconfig=applied.kubeconfig("admin"), namespace="netmesh") as other:
        await patch_node(other, "n1", lambda node: node["spec"].update(unschedulable=True))
    await until(inventory, lambda entries: entries[0].excuse == "n1 is cordoned")


async def test_host_agents_are_found_once_their_overlay_is_applied(
    inventory: KubernetesInventory, admin: Cluster, applied: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "HOST_RIGHTS_SECONDS", 0.2)
    async with KubernetesInventory(inventory._cluster) as watching:
        await until(watching, lambda entries: len(entries) == 4)
        applied.kubectl("apply", "-k", str(HOST))
        await put_agent(admin, "host-n1", "n1", "host", "192.0.2.1")
        found = await until(watching, lambda entries: len(entries) == 5 and not any(entry.away for entry in entries))
        assert [entry.address for entry in found if entry.role == "host"] == ["192.0.2.1:9410"]
        await remove(admin, "/api/v1/namespaces/netmesh-host/pods/host-n1")
        await until(watching, lambda entries: len(entries) == 4)


async def test_without_rights_it_says_so(applied: ApiServer) -> None:
    kubeconfig = applied.kubeconfig("controller")
    async with (
        await connect(kubeconfig=kubeconfig, namespace="default") as cluster,
        KubernetesInventory(cluster) as watching,
    ):
        with pytest.raises(InventoryError, match=r"cannot be watched: .*forbidden"):
            await watching.locate()
