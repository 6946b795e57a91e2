"""What is known of a mesh in Kubernetes after any events of its watches. Pure: events in, agents out.

Events come from several watches, each in its own order and in none among them; what is known depends on the last
word on each object alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.members import AgentPod, Member, Object, member_from, pod_from

GRPC_PORT = 9410
_ROLE_ORDER = ("pod", "peer", "host")
_NODE_FACTS = {
    "kubeletVersion": "kubelet_version",
    "osImage": "os_image",
    "containerRuntimeVersion": "container_runtime",
    "kernelVersion": "kernel",
}


@dataclass(frozen=True, slots=True)
class Known:
    """Nodes by name, agents' pods by (namespace, name)."""

    nodes: Mapping[str, Member] = field(default_factory=dict)
    pods: Mapping[tuple[str, str], AgentPod] = field(default_factory=dict)

    def nodes_listed(self, items: tuple[Object, ...]) -> Known:
        """All nodes that there are."""
        return replace(self, nodes={item["metadata"]["name"]: member_from(item) for item in items})

    def node_changed(self, kind: Literal["ADDED", "MODIFIED", "DELETED"], item: Object) -> Known:
        """A node that came, changed or went."""
        nodes = {**self.nodes}
        nodes.pop(item["metadata"]["name"], None)
        if kind != "DELETED":
            nodes[item["metadata"]["name"]] = member_from(item)
        return replace(self, nodes=nodes)

    def pods_listed(self, namespace: str, items: tuple[Object, ...]) -> Known:
        """All agents' pods that there are in a namespace."""
        others = {key: pod for key, pod in self.pods.items() if key[0] != namespace}
        pods = [pod for pod in map(pod_from, items) if pod is not None]
        return replace(self, pods={**others, **{(pod.namespace, pod.name): pod for pod in pods}})

    def pod_changed(self, kind: Literal["ADDED", "MODIFIED", "DELETED"], item: Object) -> Known:
        """An agent's pod that came, changed or went."""
        pods = {**self.pods}
        pods.pop((item["metadata"]["namespace"], item["metadata"]["name"]), None)
        pod = pod_from(item)
        if kind != "DELETED" and pod is not None:
            pods[pod.namespace, pod.name] = pod
        return replace(self, pods=pods)


def away(known: Known, node: str) -> str | None:
    """Why a node was or is being removed, so that nothing is started on it; None where it is in the cluster."""
    member = known.nodes.get(node)
    return f"{node} was removed from the cluster" if member is None else member.away


def excuse(known: Known, node: str) -> str | None:
    """Why it is no failure that a node's agent does not answer: removed, or cordoned (as one that is drained is)."""
    member = known.nodes.get(node)
    return away(known, node) if member is None else member.excuse


def located(known: Known) -> list[Located]:
    """The agents of all nodes, by name of the node, then role.

    A node that is being deleted, or whose agents are not there or not ready, has entries that say why in `away`. One
    that is cordoned is asked as any other: racks are measured before they take pods, and suspects after.
    """
    pods: dict[str, dict[str, AgentPod]] = {}
    for pod in known.pods.values():
        of_node = pods.setdefault(pod.node, {})
        of_node[pod.role] = max(of_node.get(pod.role, pod), pod, key=_better)
    entries: list[Located] = []
    for name in sorted(known.nodes):
        member = known.nodes[name]
        if member.measurable:
            entries += _entries(member, pods.get(name, {}))
    return entries


def agent(known: Known, node: str, role: str) -> Located | None:
    """One agent as it is now; None where there is none that could be asked."""
    member = known.nodes.get(node)
    pods = [pod for pod in known.pods.values() if (pod.node, pod.role) == (node, role)]
    if member is None or not pods:
        return None
    entry = _entry(member, max(pods, key=_better))
    return None if entry.away is not None else entry


def _better(pod: AgentPod) -> tuple[bool, bool, str, str]:
    # While a DaemonSet replaces a pod there are two for a moment.
    return not pod.deleting, pod.ready, pod.created, pod.name


def _entries(member: Member, pods: Mapping[str, AgentPod]) -> list[Located]:
    entries = [_entry(member, pods[role]) for role in _ROLE_ORDER if role in pods]
    if "pod" not in pods:
        reason = member.away or f"no agent runs on {member.name}" + (", which is cordoned" if member.cordoned else "")
        entries.insert(0, _absent(member, "pod", reason))
    return entries


def _entry(member: Member, pod: AgentPod) -> Located:
    why = member.away
    if why is None and pod.deleting:
        why = f"the {pod.role} agent of {member.name} is ending"
    # A node that is not Ready is asked all the same, and so is its agent: it failed, and was not taken away.
    if why is None and not pod.addresses:
        why = f"the {pod.role} agent of {member.name} has not started"
    if why is None and not pod.ready and member.ready is not False:
        why = f"the {pod.role} agent of {member.name} is not ready"
    if why is not None:
        return _absent(member, pod.role, why)
    return Located(
        _join(pod.addresses[0]),
        member.name,
        pod.role,
        member.zone,
        labels=member.labels,
        facts=facts_of(member),
        excuse=member.excuse,
    )


def _absent(member: Member, role: str, why: str) -> Located:
    return Located("", member.name, role, member.zone, labels=member.labels, facts=facts_of(member), away=why)


def facts_of(member: Member) -> dict[str, object]:
    """What Kubernetes knows of a node and its agents do not."""
    facts: dict[str, object] = {
        ours: member.system[theirs] for theirs, ours in _NODE_FACTS.items() if member.system.get(theirs)
    }
    facts["control_plane"] = member.control_plane
    facts["kubernetes_ready"] = member.ready
    facts["cordoned"] = member.cordoned
    facts["taints"] = list(member.taints)
    return facts


def _join(address: str) -> str:
    return f"[{address}]:{GRPC_PORT}" if ":" in address else f"{address}:{GRPC_PORT}"
