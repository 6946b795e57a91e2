"""The source that a controller in a cluster has, on a real API server: ready, tidy, and with facts of the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.kube.api.mesh import put_agent, put_node
from tests.kube.api.server import ApiServer

from netmesh_controller.clients.cluster import Cluster
from netmesh_controller.clients.cluster.services import Owner, make_service
from netmesh_controller.engines.incluster import Mesh, cluster_source

SERVICES = "/api/v1/namespaces/netmesh/services"
SELECTOR = {"labelSelector": "app.kubernetes.io/component=service-path"}
OWNER = Owner("netmesh-controller-x", "11111111-2222-3333-4444-555555555555")


@pytest.fixture
def in_pod(applied: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process in the controller's pod, but for where the account's token comes from."""
    monkeypatch.setenv("KUBECONFIG", str(applied.kubeconfig("controller")))
    monkeypatch.setattr(
        "kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(applied.kubeconfig("controller"))
    )
    monkeypatch.setenv("NETMESH_POD_NAME", OWNER.name)
    monkeypatch.setenv("NETMESH_POD_UID", OWNER.uid)


async def test_it_tells_agents_identity_and_facts(in_pod: None, admin: Cluster, tmp_path: Path) -> None:
    await put_node(admin, "n1")
    await put_agent(admin, "agent-n1", "n1", "pod", "10.0.0.1")
    proxy = {
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {"config.conf": "kind: KubeProxyConfiguration\nmode: nftables\n"},
    }
    await admin.call("POST", "/api/v1/namespaces/kube-system/configmaps", body=proxy)
    source = cluster_source()
    try:
        async with source.running():
            found = await source.locate()
            assert [(entry.node, entry.role) for entry in found] == [("n1", "pod")]
            assert b"BEGIN CERTIFICATE" in source.certificates().chain
            await source.refresh()
            assert source.facts["kubernetes"] == {"version": "v1.36.4", "kube_proxy_mode": "nftables", "cni": None}
            assert source.presence() is not None
    finally:
        await admin.call("DELETE", "/api/v1/namespaces/kube-system/configmaps/kube-proxy")
        for kind in ("/api/v1/nodes", "/api/v1/namespaces/netmesh/pods", "/api/v1/namespaces/netmesh/secrets"):
            await admin.call("DELETE", kind, query={"gracePeriodSeconds": "0"})


async def test_what_an_earlier_process_left_goes_before_anything_is_made(
    in_pod: None, controller: Cluster, admin: Cluster
) -> None:
    await make_service(controller, "netmesh-path-old", run="r0", node="n1", addresses={4: "10.0.0.7"}, owner=OWNER)
    mesh = Mesh(stays=True)
    async with mesh.running():
        addresses = await mesh.make("netmesh-path-new", "r1", "n1", {4: "10.0.0.8"})
        assert set(addresses) == {4}
        there = [one["metadata"]["name"] for one in (await admin.call("GET", SERVICES, query=SELECTOR))["items"]]
        assert there == ["netmesh-path-new"]
        await mesh.remove("netmesh-path-new")
    assert (await admin.call("GET", SERVICES, query=SELECTOR))["items"] == []
    await admin.call("DELETE", "/api/v1/namespaces/netmesh/secrets")


async def test_one_that_cannot_be_removed_is_tried_again(
    in_pod: None, admin: Cluster, applied: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netmesh_controller.clients.cluster.services.RETRY_SECONDS", 0.5)
    mesh = Mesh()
    async with mesh.running():
        await mesh.make("netmesh-path-a", "r1", "n1", {4: "10.0.0.7"})
        applied.stop_api()
        await mesh.remove("netmesh-path-a")
        applied.start_api()
        await mesh.make("netmesh-path-b", "r1", "n1", {4: "10.0.0.8"})
        there = [one["metadata"]["name"] for one in (await admin.call("GET", SERVICES, query=SELECTOR))["items"]]
        assert there == ["netmesh-path-b"]
        await mesh.remove("netmesh-path-b")
    await admin.call("DELETE", "/api/v1/namespaces/netmesh/secrets")
