"""Names, addresses and folders of the one test cluster that a machine can have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PREFIX = "nmk"
"""Of network namespaces and devices."""
CGROUP = "netmesh-kube"
"""The control group that everything of the cluster lives below, in every hierarchy: what is in it is the cluster's."""

ZONES = {1: "a", 2: "a", 3: "b", 4: "b"}
"""Zone of each node; node-4 is only there where a test adds it."""

# 198.18.0.0/15 is kept for benchmarks (RFC 2544): the only addresses of the cluster that the machine itself gets.
OUTSIDE_V4, OUTSIDE_V6 = "198.18.79.1", "fd79::1"
CONTROL_PLANE_V4, CONTROL_PLANE_V6 = "198.18.79.10", "fd79::10"
NODE_NET_V4_BITS, NODE_NET_V6_BITS = 24, 64
POD_NETS = "10.79.96.0/19,fd79:0:1::/48"
SERVICE_NETS = "10.79.240.0/24,fd79:0:2::/112"
SERVICE_V4, SERVICE_V6 = "10.79.240.1", "fd79:0:2::1"
NODE_PORTS = "30000-30100"
API_PORT = 6443

PROXY_MODES = ("iptables", "nftables")

SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What a kubelet writes for the whole machine; put back at the end."""


class ClusterError(Exception):
    """The cluster cannot be had: one sentence that says why."""


@dataclass(frozen=True)
class NodeAddresses:
    """Where a node and its pods are."""

    index: int

    @property
    def name(self) -> str:
        return f"node-{self.index}"

    @property
    def namespace(self) -> str:
        return f"{PREFIX}-n{self.index}"

    @property
    def v4(self) -> str:
        return f"198.18.79.{10 + self.index}"

    @property
    def v6(self) -> str:
        return f"fd79::1{self.index}"

    @property
    def pods_v4(self) -> str:
        return f"10.79.{100 + self.index}.0/24"

    @property
    def pods_v6(self) -> str:
        return f"fd79:0:1:{100 + self.index}::/64"

    @property
    def cgroup(self) -> str:
        return f"{CGROUP}/n{self.index}"


def state_folder() -> Path:
    """Everything that the cluster writes; `NETMESH_KUBE_DIR` moves it."""
    return Path(os.environ.get("NETMESH_KUBE_DIR", "/var/tmp/netmesh-kube"))  # noqa: S108  # made by root, its keys in a folder of mode 0700


def cache_folder() -> Path:
    """What is worth keeping between clusters: built programs and the base image."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "netmesh"
