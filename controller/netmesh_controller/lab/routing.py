"""Routes between the nodes of a lab, and the fabric as a router on them where packets may not be too large."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6
from typing import Any

from pyroute2 import IPRoute

from netmesh_controller.lab import namespaces
from netmesh_controller.lab.addressing import Addresses, LabAddresses, NodeAddresses
from netmesh_controller.lab.shaping import BRIDGE, Shape

_FIRST_TABLE, _PRIORITY = 1000, 1000


def route(ip: IPRoute, via: Addresses, v4: IPv4Network, v6: IPv6Network, **options: Any) -> None:
    """A route of both families."""
    ip.route("replace", dst=str(v4), gateway=str(via.v4.ip), **options)
    if namespaces.has_ipv6():
        ip.route("replace", dst=str(v6), gateway=str(via.v6.ip), **options)


def send(ip: IPRoute, addresses: LabAddresses, target: str, *, routed: bool) -> None:
    """On a node: sends what is for another node and its pods to the fabric (`routed`), or to that node itself."""
    each = addresses.nodes[target]
    if routed:
        route(ip, addresses.fabric, *_alone(each))
    else:
        # First the node itself is on the link again, or it cannot be a gateway.
        _remove_alone(ip, each)
    route(ip, addresses.fabric if routed else each.uplink, each.pods_v4, each.pods_v6)


def make_router(ip: IPRoute, old: Shape, new: Shape, addresses: LabAddresses) -> None:
    """In the fabric: the room on the way to each node, in the main table, and from certain others, in tables of theirs.

    Larger packets are answered with the ICMP error of a router; those of IPv4 that allow it are cut up.
    """
    bridge = ip.link_lookup(ifname=BRIDGE)[0]
    for node in old.room.keys() - new.room.keys():
        each = addresses.nodes[node]
        _remove_alone(ip, each)
        route(ip, each.uplink, each.pods_v4, each.pods_v6)
    for node, mtu in new.room.items():
        _room(ip, bridge, addresses.nodes[node], mtu)
    for table in range(_FIRST_TABLE, _FIRST_TABLE + len(old.narrow)):
        for family in _families():
            ip.flush_rules(family=family, table=table)
            ip.flush_routes(family=family, table=table)
    for table, ((source, target), mtu) in enumerate(new.narrow.items(), start=_FIRST_TABLE):
        _room(ip, bridge, addresses.nodes[target], mtu, table=table)
        sender = addresses.nodes[source]
        for family, prefixes in zip(_families(), (sender.here_v4(), sender.here_v6()), strict=False):
            for prefix in prefixes:
                ip.rule("add", family=family, src=prefix, iifname=BRIDGE, table=table, priority=_PRIORITY)


def _room(ip: IPRoute, bridge: int, node: NodeAddresses, mtu: int, **options: int) -> None:
    """Routes to a node and its pods with a locked MTU: only that holds for packets of others, too."""
    locked = {"metrics": {"mtu": mtu, "lock": 1 << 2}, **options}  # 1 << RTAX_MTU
    # The node first, without a gateway, so that it can be one.
    for _, prefix in zip(_families(), _alone(node), strict=False):
        ip.route("replace", dst=str(prefix), oif=bridge, **locked)
    route(ip, node.uplink, node.pods_v4, node.pods_v6, **locked)


def _alone(node: NodeAddresses) -> tuple[IPv4Network, IPv6Network]:
    """The prefixes of a node without its pods."""
    return IPv4Network(node.uplink.v4.ip), IPv6Network(node.uplink.v6.ip)


def _remove_alone(ip: IPRoute, node: NodeAddresses) -> None:
    for _, prefix in zip(_families(), _alone(node), strict=False):
        ip.route("del", dst=str(prefix))


def _families() -> tuple[int, ...]:
    """The families that this kernel speaks, IPv4 first."""
    return (AF_INET, AF_INET6) if namespaces.has_ipv6() else (AF_INET,)
