"""What a cluster says of itself, as far as this account may read it."""

from __future__ import annotations

from typing import Any

import yaml

from netmesh_controller.clients.cluster.connection import Cluster
from netmesh_controller.clients.cluster.errors import ClusterError

_PROXY = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
# kube-proxy's own default on Linux where its configuration names no mode.
_DEFAULT_MODE = "iptables"


async def server_version(cluster: Cluster) -> str | None:
    """The API server's version, such as v1.36.4; every account may read it. None where it does not answer."""
    try:
        return str((await cluster.call("GET", "/version"))["gitVersion"])
    except ClusterError:
        return None


async def configured_proxy_mode(cluster: Cluster) -> str | None:
    """kube-proxy's mode by its ConfigMap, where kubeadm or its like made one; None: not known."""
    try:
        found = await cluster.call("GET", _PROXY)
    except ClusterError:
        return None
    return mode_from(found)


def mode_from(config_map: dict[str, Any]) -> str | None:
    """The mode that kube-proxy's ConfigMap names; None where it is not understood."""
    text = (config_map.get("data") or {}).get("config.conf")
    try:
        content = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:
        return None
    if not isinstance(content, dict) or content.get("kind") != "KubeProxyConfiguration":
        return None
    return str(content.get("mode") or _DEFAULT_MODE)
