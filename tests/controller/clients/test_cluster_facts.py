"""kube-proxy's mode, out of the ConfigMap that kubeadm writes."""

from __future__ import annotations

import pytest

from netmesh_controller.clients.cluster.facts import mode_from

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        ({"config.conf": HEAD + "mode: nftables\n"}, "nftables"),
        ({"config.conf": HEAD + "mode: ipvs\nipvs: {scheduler: rr}\n"}, "ipvs"),
        # An empty mode means kube-proxy's own default on Linux.
        ({"config.conf": HEAD + 'mode: ""\n'}, "iptables"),
        ({"config.conf": HEAD}, "iptables"),
        ({"config.conf": "kind: SomethingElse\nmode: nftables\n"}, None),
        ({"config.conf": "{not: [yaml"}, None),
        ({"kubeconfig.conf": "x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_mode(data: dict[str, str] | None, mode: str | None) -> None:
    assert mode_from({"data": data}) == mode
