"""Services for a run: without a selector, one for each target, with an EndpointSlice a family that names its one pod.

Ports are the agents' own, so that a Service changes the address alone: its port is its target's, for all of the tools'
pool and for STAMP, TCP and UDP.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from netmesh_controller.clients.cluster.connection import Cluster, Object
from netmesh_controller.clients.cluster.errors import ClusterError, Conflict, NotFound

log = logging.getLogger(__name__)

POOL = range(61863, 61871)
STAMP_PORT = 61862
COMPONENT = "service-path"
_SELECTOR = f"app.kubernetes.io/name=netmesh,app.kubernetes.io/component={COMPONENT}"
RETRY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Made:
    """A Service of a run: its name, its virtual addresses by family, and its slices' names."""

    name: str
    addresses: Mapping[int, str]
    slices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owner:
    """The pod that Services go with: Kubernetes removes them after it."""

    name: str
    uid: str

    @classmethod
    def this_pod(cls) -> Owner | None:
        """The pod that this process runs in, as its manifest says; None where it does not."""
        name, uid = os.environ.get("NETMESH_POD_NAME"), os.environ.get("NETMESH_POD_UID")
        return cls(name, uid) if name and uid else None


async def make_service(
    cluster: Cluster, name: str, *, run: str, node: str, addresses: Mapping[int, str], owner: Owner | None
) -> Made:
    """A Service to the pod at `addresses` (by family) of `node`; ClusterError where it cannot be made."""
    metadata: Object = {"name": name, "namespace": cluster.namespace, "labels": _labels(run)}
    if owner is not None:
        metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": owner.name, "uid": owner.uid}]
    families: Object = {"ipFamilyPolicy": "PreferDualStack"}
    if len(addresses) == 1:
        families = {"ipFamilyPolicy": "SingleStack", "ipFamilies": [f"IPv{family}" for family in addresses]}
    body: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "ClusterIP", "sessionAffinity": "None", "ports": _service_ports(), **families},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/services"
    try:
        service = await cluster.call("POST", path, body=body, retry_seconds=RETRY_SECONDS)
    except Conflict:
        # Left behind by an attempt whose answer was lost.
        await remove_service(cluster, Made(name, {}, _slices(name)))
        service = await cluster.call("POST", path, body=body)
    virtual = {ipaddress.ip_address(text).version: text for text in service["spec"]["clusterIPs"]}
    made = Made(name, {family: virtual[family] for family in addresses if family in virtual}, _slices(name))
    try:
        for family in made.addresses:
            await _make_slice(cluster, service, run, node, family, addresses[family])
    except ClusterError:
        await remove_service(cluster, made)
        raise
    return made


async def _make_slice(cluster: Cluster, service: Object, run: str, node: str, family: int, address: str) -> None:
    name = service["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": service["metadata"]["uid"]}
    body: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-{family}",
            "namespace": cluster.namespace,
            "labels": {
                **_labels(run),
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "netmesh",
            },
            "ownerReferences": [owner],
        },
        "addressType": f"IPv{family}",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True, "serving": True}, "nodeName": node}],
        "ports": [{key: port[key] for key in ("name", "protocol", "port")} for port in _service_ports()],
    }
    with suppress(Conflict):  # made by a try whose answer was lost
        await cluster.call("POST", _slice_path(cluster), body=body, retry_seconds=RETRY_SECONDS)


async def remove_service(cluster: Cluster, made: Made) -> None:
    """Removes a Service and its slices; what is gone already is no error. ClusterError where one cannot be removed."""
    for name in made.slices:
        with suppress(NotFound):
            await cluster.call("DELETE", f"{_slice_path(cluster)}/{name}", retry_seconds=RETRY_SECONDS)
    with suppress(NotFound):
        path = f"/api/v1/namespaces/{cluster.namespace}/services/{made.name}"
        await cluster.call("DELETE", path, retry_seconds=RETRY_SECONDS)


async def remove_leftovers(cluster: Cluster, owner: Owner | None) -> int:
    """Removes Services and slices that this pod made before its process was started anew, or that nobody owns.

    Those of another controller are left to it: Kubernetes removes them with its pod. Returns how many there were.
    """
    found = 0
    slices = await cluster.call("GET", _slice_path(cluster), query={"labelSelector": _SELECTOR})
    services_path = f"/api/v1/namespaces/{cluster.namespace}/services"
    services = await cluster.call("GET", services_path, query={"labelSelector": _SELECTOR})
    mine = {item["metadata"]["name"] for item in services.get("items") or () if _is_mine(item, owner)}
    others = {item["metadata"]["name"] for item in services.get("items") or ()} - mine
    for item in slices.get("items") or ():
        if item["metadata"]["labels"].get("kubernetes.io/service-name") not in others:
            with suppress(NotFound):
                await cluster.call("DELETE", f"{_slice_path(cluster)}/{item['metadata']['name']}")
            found += 1
    for name in mine:
        with suppress(NotFound):
            await cluster.call("DELETE", f"{services_path}/{name}")
        found += 1
    if found:
        log.warning("%d Services and EndpointSlices of an earlier process were removed", found)
    return found


def _is_mine(item: Object, owner: Owner | None) -> bool:
    owners = [one["uid"] for one in item["metadata"].get("ownerReferences") or ()]
    return not owners or (owner is not None and owner.uid in owners)


def _labels(run: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "netmesh",
        "app.kubernetes.io/component": COMPONENT,
        "netmesh.io/run": run,
    }


def _service_ports() -> list[Object]:
    wanted = [("TCP", port) for port in POOL] + [("UDP", port) for port in (STAMP_PORT, *POOL)]
    return [
        {"name": f"{protocol.lower()}-{port}", "protocol": protocol, "port": port, "targetPort": port}
        for protocol, port in wanted
    ]


def _slices(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-{family}" for family in (4, 6))


def _slice_path(cluster: Cluster) -> str:
    return f"/apis/discovery.k8s.io/v1/namespaces/{cluster.namespace}/endpointslices"
