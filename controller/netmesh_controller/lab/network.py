"""Builds a lab's network, and shapes it anew while it runs. Nothing here touches the machine's own network."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network, IPv6Network

from pyroute2 import Ethtool, IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netmesh_controller.lab import namespaces, routing
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
_RESTORE: tuple[tuple[str, Family], ...] = (("iptables-restore", 4), ("ip6tables-restore", 6))


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
        # Most of the work of a large lab, and each node's by itself.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda node: _serve(lab, new, node, addresses), new.names()))


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
        routing.route(ip, each.uplink, each.pods_v4, each.pods_v6)


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
    routing.route(ip, addresses.fabric, _EVERYWHERE_V4, _EVERYWHERE_V6)
    for other, each in addresses.nodes.items():
        if other != node:
            routing.route(ip, each.uplink, each.pods_v4, each.pods_v6)


def _pod(ip: IPRoute, mine: Addresses, node: Addresses) -> None:
    indexes = device_indexes(ip)
    ip.link("set", index=indexes["lo"], state="up")
    ip.link("set", index=indexes[POD_DEVICE], state="up")
    _address(ip, indexes[POD_DEVICE], mine)
    routing.route(ip, node, _EVERYWHERE_V4, _EVERYWHERE_V6)


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
            routing.send(ip, addresses, target, routed=target in new.routed)
        if (old.room, old.narrow) != (new.room, new.narrow):
            routing.make_router(ip, old, new, addresses)
        if new.rules_v4 != old.rules_v4:
            feed("iptables-restore", ["-w"], table(new.rules_v4, v6=False), namespace)
        if new.rules_v6 != old.rules_v6 and namespaces.has_ipv6():
            feed("ip6tables-restore", ["-w"], table(new.rules_v6, v6=True), namespace)

    with_routes(namespace, work)


def _serve(lab: str, spec: LabSpec, node: str, addresses: LabAddresses) -> None:
    """Writes a node's Services."""
    namespace = node_namespace(lab, node)

    def write(_: IPRoute) -> None:
        for program, family in _RESTORE if namespaces.has_ipv6() else _RESTORE[:1]:
            feed(program, ["-w"], nat_table(spec, addresses, node, family), namespace)

    with_routes(namespace, write)


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
