"""Which CNI a node's marks tell, and what a mesh says where its nodes differ."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.network import agreed, cni_of


@pytest.mark.parametrize(
    ("marks", "reason", "cni"),
    [
        (["flannel.alpha.coreos.com/backend-type", "kubernetes.io/hostname"], None, "flannel"),
        (["projectcalico.org/IPv4Address"], "CalicoIsUp", "calico"),
        (["network.cilium.io/ipv4-cilium-host"], None, "cilium"),
        (["io.cilium.network.ipv4-pod-cidr"], None, "cilium"),
        (["k8s.ovn.org/node-subnets"], None, "ovn-kubernetes"),
        (["kubernetes.io/hostname"], "WeaveIsUp", "weave"),
        (["kubernetes.io/hostname"], "KubeletReady", None),
        ([], None, None),
    ],
)
def test_marks_tell_the_cni(marks: list[str], reason: str | None, cni: str | None) -> None:
    assert cni_of(marks, reason) == cni


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, None),
        ({"n1": None, "n2": None}, None),
        ({"n1": "calico", "n2": None}, "calico"),
        ({"n2": "calico", "n1": "cilium", "n3": "calico"}, "calico on n2, n3; cilium on n1"),
    ],
)
def test_what_nodes_agree_on(values: dict[str, str | None], said: str | None) -> None:
    assert agreed(values) == said
