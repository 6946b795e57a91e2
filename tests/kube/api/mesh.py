"""Writes into a real API server what kubelets and the DaemonSet controller would: nodes, agents' pods, their status."""

from __future__ import annotations

import copy
from typing import Any

from tests.deploy.render import BASE, HOST, named, pod_of, render

from netmesh_controller.clients.cluster import Cluster

_WORKLOADS = {
    "pod": (BASE, "netmesh-agent", "netmesh"),
    "peer": (BASE, "netmesh-peer", "netmesh"),
    "host": (HOST, "netmesh-host", "netmesh-host"),
}


async def put_node(admin: Cluster, name: str, *, zone: str = "a", ready: str = "True", **labels: str) -> None:
    """A Linux node, as its kubelet registers it."""
    wanted = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
    node: dict[str, Any] = {"metadata": {"name": name, "labels": {**wanted, **labels}}}
    made = await admin.call("POST", "/api/v1/nodes", body=node)
    made["status"] = {
        "conditions": [{"type": "Ready", "status": ready, "reason": "KubeletReady"}],
        "nodeInfo": {**dict.fromkeys(_NODE_INFO, ""), "kernelVersion": "6.1.0", "kubeletVersion": "v1.36.4"},
    }
    await admin.call("PUT", f"/api/v1/nodes/{name}/status", body=made)


_NODE_INFO = (
    "architecture",
    "bootID",
    "containerRuntimeVersion",
    "kernelVersion",
    "kubeProxyVersion",
    "kubeletVersion",
    "machineID",
    "operatingSystem",
    "osImage",
    "systemUUID",
)  # fmt: skip


async def patch_node(admin: Cluster, name: str, change: Any) -> None:
    """Reads, changes and writes a node."""
    node = await admin.call("GET", f"/api/v1/nodes/{name}")
    change(node)
    await admin.call("PUT", f"/api/v1/nodes/{name}", body=node)


async def put_agent(admin: Cluster, name: str, node: str, role: str, *addresses: str, ready: bool = True) -> None:
    """An agent's pod made from the manifest's own template, as the DaemonSet controller would, and its status."""
    folder, workload, namespace = _WORKLOADS[role]
    template = copy.deepcopy(pod_of(named(render(folder), "DaemonSet", workload)))
    metadata = {**template["metadata"], "name": name, "namespace": namespace}
    pod = {"metadata": metadata, "spec": {**template["spec"], "nodeName": node}}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = await admin.call("POST", path, body=pod)
    made["status"] = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "podIP": addresses[0],
        "podIPs": [{"ip": address} for address in addresses],
    }
    await admin.call("PUT", f"{path}/{name}/status", body=made)


async def remove(admin: Cluster, path: str) -> None:
    """Deletes at once, as a kubelet does at the end of the grace."""
    await admin.call("DELETE", path, query={"gracePeriodSeconds": "0"})
