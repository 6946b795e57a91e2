"""Nodes and agents' pods as the Kubernetes API describes them, read from its objects. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ROLES = {"agent": "pod", "peer": "peer", "host": "host"}
COMPONENT_LABEL = "app.kubernetes.io/component"
# What selects the agents' pods in a watch.
AGENTS_SELECTOR = f"app.kubernetes.io/name=netmesh,{COMPONENT_LABEL} in ({','.join(ROLES)})"
ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OS_LABEL = "kubernetes.io/os"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A node. `ready` None: nobody has said yet. `taints` as KEY=VALUE:EFFECT."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    ready: bool | None = None
    cordoned: bool = False
    deleting: bool = False
    taints: tuple[str, ...] = ()
    system: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None

    @property
    def zone(self) -> str | None:
        """Its topology zone."""
        return next((self.labels[name] for name in ZONE_LABELS if self.labels.get(name)), None)

    @property
    def measurable(self) -> bool:
        """Whether an agent could run there at all: agents are Linux programs."""
        return self.labels.get(OS_LABEL, "linux") == "linux"

    @property
    def control_plane(self) -> bool:
        """Whether it runs the cluster's own control plane."""
        return any(name in self.labels for name in CONTROL_PLANE_LABELS)

    @property
    def away(self) -> str | None:
        """Why nothing is started on it any more; None where something may be."""
        return f"{self.name} is being deleted" if self.deleting else None

    @property
    def excuse(self) -> str | None:
        """Why it is no failure if its agent does not answer: it was taken out of service on purpose."""
        return self.away or (f"{self.name} is cordoned" if self.cordoned else None)


@dataclass(frozen=True, slots=True)
class AgentPod:
    """A pod of an agent. `addresses` are its IP addresses, one a family; empty before it has one."""

    namespace: str
    name: str
    uid: str
    node: str
    role: str
    addresses: tuple[str, ...] = ()
    ready: bool = False
    deleting: bool = False
    created: str = ""


def member_from(node: Object) -> Member:
    """A Node object."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    ready = conditions.get("Ready", {}).get("status")
    network = conditions.get("NetworkUnavailable")
    return Member(
        name=metadata["name"],
        labels=dict(metadata.get("labels") or {}),
        annotations=dict(metadata.get("annotations") or {}),
        ready=None if ready is None else ready == "True",
        cordoned=bool(spec.get("unschedulable")),
        deleting=metadata.get("deletionTimestamp") is not None,
        taints=tuple(_taint(one) for one in spec.get("taints") or ()),
        system=dict(status.get("nodeInfo") or {}),
        network=network.get("reason") if network is not None and network.get("status") == "False" else None,
    )


def pod_from(pod: Object) -> AgentPod | None:
    """A Pod object of an agent; None where it is on no node yet, or has ended, or is no agent's."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    role = ROLES.get((metadata.get("labels") or {}).get(COMPONENT_LABEL, ""))
    node = spec.get("nodeName")
    if role is None or not node or status.get("phase") in ("Succeeded", "Failed"):
        return None
    addresses = [one.get("ip", "") for one in status.get("podIPs") or ()]
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
    return AgentPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        node=node,
        role=role,
        addresses=tuple(address for address in addresses if _is_address(address)),
        ready=ready,
        deleting=metadata.get("deletionTimestamp") is not None,
        created=metadata.get("creationTimestamp") or "",
    )


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
