"""A switch, the control plane's namespace and one a node, joined by veth pairs; the machine is on the switch too."""

from __future__ import annotations

from pathlib import Path

from .processes import run
from .settings import (
    CONTROL_PLANE_V4,
    CONTROL_PLANE_V6,
    NODE_NET_V4_BITS,
    NODE_NET_V6_BITS,
    OUTSIDE_V4,
    OUTSIDE_V6,
    PREFIX,
    NodeAddresses,
)

SWITCH, CONTROL_PLANE = f"{PREFIX}-switch", f"{PREFIX}-cp"
BRIDGE = "br0"
OUTSIDE = f"{PREFIX}-out"
"""The machine's own end, so that kubectl works without entering a namespace."""


def enter(namespace: str) -> list[str]:
    """The start of a command that runs in a network namespace.

    Not `ip netns exec`, which mounts /sys anew and hides the control groups from runc.
    """
    return ["nsenter", f"--net=/run/netns/{namespace}", "--"]


def make() -> None:
    """Makes the switch with the control plane and the machine on it."""
    run("ip", "netns", "add", SWITCH)
    _ip(SWITCH, "link set lo up")
    _ip(SWITCH, f"link add {BRIDGE} type bridge")
    _ip(SWITCH, f"link set {BRIDGE} up")
    # Else the switch would filter what it forwards with the rules of its own namespace.
    _sysctl(SWITCH, "net/bridge/bridge-nf-call-iptables=0", "net/bridge/bridge-nf-call-ip6tables=0")
    run("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", f"{PREFIX}-p-out", "netns", SWITCH)
    run("ip", "address", "add", f"{OUTSIDE_V4}/{NODE_NET_V4_BITS}", "dev", OUTSIDE)
    run("ip", "address", "add", f"{OUTSIDE_V6}/{NODE_NET_V6_BITS}", "dev", OUTSIDE, "nodad")
    run("ip", "link", "set", OUTSIDE, "up")
    _ip(SWITCH, f"link set {PREFIX}-p-out master {BRIDGE} up")
    _plug(CONTROL_PLANE, "cp", CONTROL_PLANE_V4, CONTROL_PLANE_V6)


def add_node(node: NodeAddresses, others: list[NodeAddresses]) -> None:
    """Makes a node's namespace, and routes to its pods from everywhere and back."""
    _plug(node.namespace, f"n{node.index}", node.v4, node.v6)
    _sysctl(
        node.namespace,
        "net/ipv4/ip_forward=1",
        "net/ipv6/conf/all/forwarding=1",
        "net/bridge/bridge-nf-call-iptables=1",
        "net/bridge/bridge-nf-call-ip6tables=1",
    )
    # A kubelet wants a default route on the device of its address.
    _ip(node.namespace, f"route add default via {CONTROL_PLANE_V4}")
    _ip(node.namespace, f"-6 route add default via {CONTROL_PLANE_V6}")
    for namespace in (CONTROL_PLANE, *(other.namespace for other in others)):
        _route_to_pods(namespace, node)
    for other in others:
        _route_to_pods(node.namespace, other)


def remove_node(node: NodeAddresses) -> None:
    """Takes a node's namespace away; routes to its pods go with the devices or are replaced when it comes back."""
    run("ip", "netns", "delete", node.namespace)


def plug(node: NodeAddresses, *, up: bool) -> None:
    """Cuts or mends the switch port of a node."""
    _ip(SWITCH, f"link set {PREFIX}-p-n{node.index} {'up' if up else 'down'}")


def remove() -> None:
    """Removes all namespaces and devices of the cluster, also of one that was left."""
    # First, since it goes by itself a moment after the namespace that its other end is in.
    if Path(f"/sys/class/net/{OUTSIDE}").exists():
        run("ip", "link", "delete", OUTSIDE)
    for name in sorted(Path("/run/netns").glob(f"{PREFIX}-*")):
        run("ip", "netns", "delete", name.name)


def _plug(namespace: str, port: str, v4: str, v6: str) -> None:
    run("ip", "netns", "add", namespace)
    _ip(namespace, "link set lo up")
    run(
        "ip",
        "link",
        "add",
        "eth0",
        "netns",
        namespace,
        "type",
        "veth",
        "peer",
        "name",
        f"{PREFIX}-p-{port}",
        "netns",
        SWITCH,
    )
    _ip(namespace, f"address add {v4}/{NODE_NET_V4_BITS} dev eth0")
    _ip(namespace, f"address add {v6}/{NODE_NET_V6_BITS} dev eth0 nodad")
    _ip(namespace, "link set eth0 up")
    _ip(SWITCH, f"link set {PREFIX}-p-{port} master {BRIDGE} up")


def _route_to_pods(namespace: str, node: NodeAddresses) -> None:
    _ip(namespace, f"route replace {node.pods_v4} via {node.v4}")
    _ip(namespace, f"-6 route replace {node.pods_v6} via {node.v6}")


def _ip(namespace: str, command: str) -> None:
    run("ip", "-n", namespace, *command.split())


def _sysctl(namespace: str, *settings: str) -> None:
    run(*enter(namespace), "sysctl", "-qw", *(setting.replace("/", ".") for setting in settings))
