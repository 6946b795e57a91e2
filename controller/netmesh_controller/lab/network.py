"""Builds a lab's network, and shapes it anew while it runs. Nothing here touches the machine's own network."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6

from pyroute2 import Ethtool, IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netmesh_controller.lab import namespaces
from netmesh_controller.lab.addressing import (
    PLACE_NAMES,
    POD_ROLES,
    Addresses,
    LabAddresses,
    fabric_namespace,
    node_namespace,
    pod_namespace,
)
from netmesh_controller.lab.addressing import namespaces as all_namespaces
from netmesh_controller.lab.errors import LabError
from netmesh_controller.lab.services import Family, nat_table
from netmesh_controller.lab.shaping import BRIDGE, POD_DEVICE, UPLINK, Device, Shape, fabric_shape, node_shape, table
from netmesh_controller.lab.spec import LabSpec

_NEVER = 100_000_000  # in hundredths of a second: 11 days
_NO_DAD = 0x02  # IFA_F_NODAD, <linux/if_addr.h>
_EVERYWHERE_V4, _EVERYWHERE_V6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")
_FIRST_TABLE, _RULE = 1000, 1000
_FAMILIES = (AF_INET, AF_INET6)
_RESTORE: tuple[tuple[str, Family], ...] = (("iptables-restore", 4), ("ip6tables-restore", 6))
_Narrow = dict[tuple[str, str], int]


def build(lab: str, spec: LabSpec, addresses: LabAddresses) -> None:
    """Makes the namespaces, devices, addresses and routes of a lab and shapes them; LabError where that fails."""
    for name in all_namespaces(lab, spec.names()):
        settings = namespaces.SWITCH | namespaces.ROUTER if name == fabric_namespace(lab) else {}
        if any(name == node_namespace(lab, node) for node in spec.names()):
            settings = namespaces.ROUTER
        namespaces.create(name, settings)
    with_routes(fabric_namespace(lab), lambda ip: _fabric(ip, lab, addresses))
    for node in spec.names():
        with_routes(node_namespace(lab, node), lambda ip, node=node: _node(ip, lab, node, addresses))  # type: ignore[misc]  # mypy does not infer a lambda's default
        for role in POD_ROLES:
            link = addresses.nodes[node].pods[role]
            with_routes(pod_namespace(lab, node, role), lambda ip, link=link: _pod(ip, link.pod, link.node))  # type: ignore[misc]  # as above
    reshape(lab, None, spec, addresses)


def reshape(lab: str, old: LabSpec | None, new: LabSpec, addresses: LabAddresses) -> None:
    """Makes the lab what `new` says, changing only what differs from `old` (None: nothing was shaped yet)."""
    nothing = Shape()
    fabric = fabric_shape(old, addresses) if old else nothing
    _apply(fabric_namespace(lab), fabric, fabric_shape(new, addresses), addresses)
    for node in new.names():
        before = node_shape(old, node, addresses) if old else None
        after = node_shape(new, node, addresses)
        _apply(node_namespace(lab, node), before.node if before else nothing, after.node, addresses)
        for role in POD_ROLES:
            _apply(pod_namespace(lab, node, role), before.pod if before else nothing, after.pod, addresses)
        if old is None or old.services != new.services:
            with_routes(node_namespace(lab, node), lambda _, node=node: _serve(lab, new, node, addresses))  # type: ignore[misc]  # as above


def with_routes(namespace: str, work: Callable[[IPRoute], None]) -> None:
    """Runs `work` with a netlink connection inside of a namespace."""

    def connected() -> None:
        with IPRoute() as ip:
            work(ip)

    try:
        namespaces.inside(namespace, connected)
    except NetlinkError as error:
        raise LabError(f"Cannot set up the network namespace {namespace}: {error}.") from error
    except FileNotFoundError as error:
        raise LabError(f"The network namespace {namespace} is gone; take the lab down and start it again.") from error


def device_indexes(ip: IPRoute) -> dict[str, int]:
    """The numbers of a namespace's devices by name."""
    return {link.get("ifname"): link["index"] for link in ip.get_links()}


def _address(ip: IPRoute, index: int, addresses: Addresses) -> None:
    ip.addr("add", index=index, address=str(addresses.v4.ip), prefixlen=addresses.v4.network.prefixlen)
    if namespaces.has_ipv6():
        prefix = addresses.v6.network.prefixlen
        ip.addr("add", index=index, address=str(addresses.v6.ip), prefixlen=prefix, flags=_NO_DAD)


def _route(ip: IPRoute, via: Addresses, v4: IPv4Network, v6: IPv6Network) -> None:
    """A route of both families."""
    ip.route("replace", dst=str(v4), gateway=str(via.v4.ip))
    if namespaces.has_ipv6():
        ip.route("replace", dst=str(v6), gateway=str(via.v6.ip))


def _fabric(ip: IPRoute, lab: str, addresses: LabAddresses) -> None:
    """The bridge with a port a node, and the way to the pods behind them for the controller that stands here."""
    # Without snooping neighbour discovery needs no multicast querier.
    # Nor are addresses forgotten: a node whose packets go round by a relay may send nothing else for long.
    ip.link("add", ifname=BRIDGE, kind="bridge", br_mcast_snooping=0, br_ageing_time=_NEVER)
    bridge = device_indexes(ip)[BRIDGE]
    ip.link("set", index=device_indexes(ip)["lo"], state="up")
    for node in addresses.nodes:
        peer = {"ifname": UPLINK, "net_ns_fd": node_namespace(lab, node)}
        ip.link("add", ifname=node, kind="veth", peer=peer, master=bridge, state="up")
    ip.link("set", index=bridge, state="up")
    _address(ip, bridge, addresses.fabric)
    for each in addresses.nodes.values():
        _route(ip, each.uplink, each.pods_v4, each.pods_v6)


def _node(ip: IPRoute, lab: str, node: str, addresses: LabAddresses) -> None:
    mine = addresses.nodes[node]
    for role in POD_ROLES:
        peer = {"ifname": POD_DEVICE, "net_ns_fd": pod_namespace(lab, node, role)}
        ip.link("add", ifname=PLACE_NAMES[role], kind="veth", peer=peer, state="up")
    indexes = device_indexes(ip)
    ip.link("set", index=indexes["lo"], state="up")
    ip.link("set", index=indexes[UPLINK], state="up")
    _address(ip, indexes[UPLINK], mine.uplink)
    for role in POD_ROLES:
        _address(ip, indexes[PLACE_NAMES[role]], mine.pods[role].node)
    # As real nodes have one. Programs on a node need it for Services: the kernel looks for a way first, then at rules.
    _route(ip, addresses.fabric, _EVERYWHERE_V4, _EVERYWHERE_V6)
    for other, each in addresses.nodes.items():
        if other != node:
            _route(ip, each.uplink, each.pods_v4, each.pods_v6)


def _pod(ip: IPRoute, mine: Addresses, node: Addresses) -> None:
    indexes = device_indexes(ip)
    ip.link("set", index=indexes["lo"], state="up")
    ip.link("set", index=indexes[POD_DEVICE], state="up")
    _address(ip, indexes[POD_DEVICE], mine)
    _route(ip, node, _EVERYWHERE_V4, _EVERYWHERE_V6)


def _apply(namespace: str, old: Shape, new: Shape, addresses: LabAddresses) -> None:
    """Changes one namespace from the old shape to the new."""
    if old == new:
        return

    def work(ip: IPRoute) -> None:
        indexes = device_indexes(ip)
        queues: list[str] = []
        for name, device in new.devices.items():
            before = old.devices.get(name, Device())
            if device.mtu != before.mtu:
                ip.link("set", index=indexes[name], mtu=device.mtu)
            if device.single_packets != before.single_packets:
                _segment(name, device.single_packets)
            if device.queue != before.queue:
                if before.queue:
                    queues.append(f"qdisc del dev {name} root")
                queues += device.queue
        feed("tc", ["-batch", "-"], "\n".join([*queues, ""]) if queues else "", namespace)
        for target in old.routed ^ new.routed:
            _send(ip, addresses, target, routed=target in new.routed)
        if old.narrow != new.narrow:
            _narrow(ip, old.narrow, new.narrow, addresses)
        if new.rules_v4 != old.rules_v4:
            feed("iptables-restore", ["-w"], table(new.rules_v4, v6=False), namespace)
        if new.rules_v6 != old.rules_v6 and namespaces.has_ipv6():
            feed("ip6tables-restore", ["-w"], table(new.rules_v6, v6=True), namespace)

    with_routes(namespace, work)


def _serve(lab: str, spec: LabSpec, node: str, addresses: LabAddresses) -> None:
    """Writes a node's Services."""
    for program, family in _RESTORE if namespaces.has_ipv6() else _RESTORE[:1]:
        feed(program, ["-w"], nat_table(spec, addresses, node, family), node_namespace(lab, node))


def _send(ip: IPRoute, addresses: LabAddresses, target: str, *, routed: bool) -> None:
    """Sends what is for another node and its pods to the fabric (`routed`), or to that node itself."""
    each = addresses.nodes[target]
    if routed:
        _route(ip, addresses.fabric, IPv4Network(each.uplink.v4.ip), IPv6Network(each.uplink.v6.ip))
    else:
        # First the node itself is on the link again, or it cannot be a gateway.
        ip.route("del", dst=f"{each.uplink.v4.ip}/32")
        if namespaces.has_ipv6():
            ip.route("del", dst=f"{each.uplink.v6.ip}/128")
    _route(ip, addresses.fabric if routed else each.uplink, each.pods_v4, each.pods_v6)


def _narrow(ip: IPRoute, old: _Narrow, new: _Narrow, addresses: LabAddresses) -> None:
    """Makes the fabric a router with less room from one node to another: a table of routes for each such pair.

    A locked MTU holds for forwarded packets, with the ICMP error of a router.
    """
    for position in range(len(old)):
        for family in _FAMILIES:
            ip.flush_rules(family=family, table=_FIRST_TABLE + position)
            ip.flush_routes(family=family, table=_FIRST_TABLE + position)
    for position, ((source, target), mtu) in enumerate(new.items()):
        sender, receiver = addresses.nodes[source], addresses.nodes[target]
        table_ = _FIRST_TABLE + position
        metrics = {"table": table_, "metrics": {"mtu": mtu, "lock": 1 << 2}}  # 1 << RTAX_MTU
        bridge = device_indexes(ip)[BRIDGE]
        ip.route("add", dst=str(receiver.pods_v4), gateway=str(receiver.uplink.v4.ip), **metrics)
        ip.route("add", dst=f"{receiver.uplink.v4.ip}/32", oif=bridge, **metrics)
        if namespaces.has_ipv6():
            ip.route("add", dst=str(receiver.pods_v6), gateway=str(receiver.uplink.v6.ip), **metrics)
            ip.route("add", dst=f"{receiver.uplink.v6.ip}/128", oif=bridge, **metrics)
        for family, prefixes in zip(_FAMILIES, (sender.here_v4(), sender.here_v6()), strict=True):
            if family == AF_INET or namespaces.has_ipv6():
                for prefix in prefixes:
                    ip.rule("add", family=family, src=prefix, iifname=BRIDGE, table=table_, priority=_RULE)


def _segment(device: str, single_packets: bool) -> None:
    """Has the device cut super-packets up before it hands them on, or not (as `ethtool -K DEVICE tso off` does)."""
    with Ethtool() as ethtool:
        features = ethtool.get_features(device)
        for name, feature in features.features.items():
            if feature.available and re.fullmatch(r"tx-(tcp.*|udp)-segmentation", name):
                feature.enable = not single_packets
        ethtool.set_features(device, features)


def feed(program: str, options: list[str], text: str, namespace: str) -> None:
    """Gives a program its commands; it runs in the namespace of the calling thread."""
    if not text:
        return
    ended = subprocess.run([program, *options], input=text, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        said = " ".join(ended.stderr.split()) or f"exit code {ended.returncode}"
        raise LabError(f"{program} refused what it was told in {namespace}: {said}")
