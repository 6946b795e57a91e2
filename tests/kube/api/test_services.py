"""Services of a run in a real API server, made and removed with the controller's own rights."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from tests.support.agents import Identity, new_identity

from netmesh_common.tls import Certificates
from netmesh_controller.clients.agents import AgentClient
from netmesh_controller.clients.cluster import Cluster
from netmesh_controller.clients.cluster.services import Made, Owner, make_service, remove_leftovers, remove_service
from netmesh_controller.engines import servicepaths
from netmesh_controller.engines.measure import AgentHandle
from netmesh_controller.engines.servicepaths import ServicePaths

SERVICES = "/api/v1/namespaces/netmesh/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/netmesh/endpointslices"
BOTH = {4: "10.0.0.7", 6: "fd00::7"}
OWNER = Owner("netmesh-controller-x", "11111111-2222-3333-4444-555555555555")


@pytest.fixture(autouse=True)
async def _nothing_is_left(controller: Cluster, admin: Cluster) -> AsyncIterator[None]:
    yield
    assert await names(admin) == ([], [])


async def names(admin: Cluster) -> tuple[list[str], list[str]]:
    query = {"labelSelector": "app.kubernetes.io/component=service-path"}
    services, slices = [(await admin.call("GET", path, query=query))["items"] for path in (SERVICES, SLICES)]
    return [one["metadata"]["name"] for one in services], [one["metadata"]["name"] for one in slices]


async def test_a_service_leads_to_one_pod_on_its_own_ports_on_both_families(
    controller: Cluster, admin: Cluster
) -> None:
    made = await make_service(controller, "netmesh-path-a", run="r1", node="n1", addresses=BOTH, owner=OWNER)
    service: dict[str, Any] = await admin.call("GET", f"{SERVICES}/netmesh-path-a")
    spec = service["spec"]
    assert "selector" not in spec
    assert (spec["type"], spec["sessionAffinity"], spec["ipFamilies"]) == ("ClusterIP", "None", ["IPv4", "IPv6"])
    assert [made.addresses[4], made.addresses[6]] == spec["clusterIPs"]
    ports = {(port["protocol"], port["port"], port["targetPort"]) for port in spec["ports"]}
    pool = range(61863, 61871)
    assert ports == {(protocol, port, port) for protocol in ("TCP", "UDP") for port in pool} | {("UDP", 61862, 61862)}
    assert service["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    assert service["metadata"]["labels"]["netmesh.io/run"] == "r1"
    for family, address in BOTH.items():
        piece: dict[str, Any] = await admin.call("GET", f"{SLICES}/netmesh-path-a-{family}")
        labels = piece["metadata"]["labels"]
        assert labels["endpointslice.kubernetes.io/managed-by"] == "netmesh"
        assert labels["kubernetes.io/service-name"] == "netmesh-path-a"
        assert piece["addressType"] == f"IPv{family}"
        assert [one["addresses"] for one in piece["endpoints"]] == [[address]]
        assert {(port["protocol"], port["port"], port["port"]) for port in piece["ports"]} == ports
        assert piece["metadata"]["ownerReferences"][0]["uid"] == service["metadata"]["uid"]
    await remove_service(controller, made)


async def test_one_family_gives_one_slice(controller: Cluster, admin: Cluster) -> None:
    made = await make_service(controller, "netmesh-path-6", run="r1", node="n1", addresses={6: "fd00::7"}, owner=None)
    assert set(made.addresses) == {6}
    assert await names(admin) == (["netmesh-path-6"], ["netmesh-path-6-6"])
    await remove_service(controller, made)
    await remove_service(controller, made)  # what is gone is gone


async def test_one_that_is_there_already_is_made_anew(controller: Cluster, admin: Cluster) -> None:
    await make_service(controller, "netmesh-path-b", run="r1", node="n1", addresses=BOTH, owner=OWNER)
    made = await make_service(controller, "netmesh-path-b", run="r1", node="n1", addresses={4: "10.0.0.8"}, owner=OWNER)
    assert await names(admin) == (["netmesh-path-b"], ["netmesh-path-b-4"])
    await remove_service(controller, made)


async def test_leftovers_of_this_pod_are_removed_and_others_are_left(controller: Cluster, admin: Cluster) -> None:
    other = Owner("netmesh-controller-y", "99999999-2222-3333-4444-555555555555")
    kept = await make_service(controller, "netmesh-path-other", run="r2", node="n1", addresses=BOTH, owner=other)
    await make_service(controller, "netmesh-path-mine", run="r1", node="n1", addresses=BOTH, owner=OWNER)
    await make_service(controller, "netmesh-path-nobodys", run="r1", node="n1", addresses=BOTH, owner=None)
    # A Service that went before its slices: nothing leads to them any more.
    half = await make_service(controller, "netmesh-path-half", run="r1", node="n1", addresses=BOTH, owner=OWNER)
    await remove_service(controller, Made(half.name, half.addresses, ()))
    assert await remove_leftovers(controller, OWNER) == 8
    assert await names(admin) == (["netmesh-path-other"], ["netmesh-path-other-4", "netmesh-path-other-6"])
    await remove_service(controller, kept)


class Maker:
    """The cluster's own maker, as the in-cluster source has it, counting."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.made: dict[str, Made] = {}

    async def make(self, name: str, run: str, node: str, addresses: Mapping[int, str]) -> Mapping[int, str]:
        made = await make_service(self._cluster, name, run=run, node=node, addresses=addresses, owner=OWNER)
        self.made[name] = made
        return made.addresses

    async def remove(self, name: str) -> None:
        await remove_service(self._cluster, self.made.pop(name))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity"))


def handle(number: int, certificates: Certificates, address: str | None = None) -> AgentHandle:
    client = AgentClient(f"192.0.2.1:{9000 + number}", certificates)
    return AgentHandle(f"n{number}", "pod", client, {4: address or f"10.0.1.{number}"}, {}, None)


async def test_no_more_than_the_cap_are_there_and_idle_ones_give_way(
    controller: Cluster, admin: Cluster, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicepaths, "MOST_SERVICES", 3)
    noted: list[tuple[int, int]] = []
    paths = ServicePaths(Maker(controller), "r1", lambda made, most: noted.append((made, most)))
    handles = [handle(number, identity.controller()) for number in range(1, 6)]
    for one in handles:
        held = await paths._use(one)
        held.users -= 1
    assert len((await names(admin))[0]) == 3
    assert noted[-1] == (5, 3)
    again = await paths._use(handles[4])
    assert paths.made == 5  # it was still there
    again.users -= 1
    # A pod that was started anew has another address, and so another Service.
    moved = await paths._use(handle(5, identity.controller(), "10.0.1.99"))
    assert moved.pod == {4: "10.0.1.99"}
    assert paths.made == 6
    await paths.close()
    for one in handles:
        await one.client.close()
