"""Which network a Kubernetes cluster has, by the marks that its CNI leaves on nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Prefixes of annotations and labels on nodes, and what sets them; the first that is found says.
_MARKS = (
    ("network.cilium.io/", "cilium"),
    ("io.cilium.network.", "cilium"),
    ("projectcalico.org/", "calico"),
    ("flannel.alpha.coreos.com/", "flannel"),
    ("node.antrea.io/", "antrea"),
    ("k8s.ovn.org/", "ovn-kubernetes"),
    ("kube-router.io/", "kube-router"),
    ("vpc.amazonaws.com/", "aws-vpc-cni"),
    ("kubernetes.azure.com/podnetwork", "azure-cni"),
    ("networking.gke.io/", "gke"),
)
# The reason of the node condition NetworkUnavailable=False, set by whoever made the network.
_REASONS = {
    "CiliumIsUp": "cilium",
    "CalicoIsUp": "calico",
    "FlannelIsUp": "flannel",
    "WeaveIsUp": "weave",
    "RouteCreated": "cloud routes",
}


def cni_of(marks: Iterable[str], reason: str | None) -> str | None:
    """The CNI that the names of a node's annotations and labels, or its condition's reason, tell; None: none does."""
    names = tuple(marks)
    for prefix, cni in _MARKS:
        if any(name.startswith(prefix) for name in names):
            return cni
    return _REASONS.get(reason or "")


def agreed(values: Mapping[str, str | None]) -> str | None:
    """What all nodes that know it say, by node; where they differ, each value with its nodes. None: nobody knows."""
    known: dict[str, list[str]] = {}
    for node in sorted(values):
        value = values[node]
        if value is not None:
            known.setdefault(value, []).append(node)
    if len(known) < 2:
        return next(iter(known), None)
    return "; ".join(f"{value} on {', '.join(nodes)}" for value, nodes in sorted(known.items()))
