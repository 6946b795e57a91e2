"""Names and addresses of a lab. Pure.

IPv4 comes from 198.18.0.0/15, the block for benchmarks (RFC 2544 appendix C.2.2, RFC 6890), a /21 a lab: the first
/24 is the segment that joins the nodes, then a /29 a node for its pods, and the last /25 is for Services. IPv6 is a ULA
/48 a lab (RFC 4193): subnet 0 joins the nodes, then a /60 a node; the last subnet is for Services. A pod's link is a
subnet of its own (/30, /64): .1 at the node, .2 in the pod. A Service's address is on no link and no device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Literal

from netmesh_controller.lab.errors import LabInputError
from netmesh_controller.lab.spec import MAX_NODES, MAX_SERVICE_NODES

PodRole = Literal["pod", "peer"]
Role = Literal["pod", "peer", "host"]
Where = Literal["agent", "peer", "host"]
POD_ROLES: tuple[PodRole, ...] = ("pod", "peer")
ROLES: tuple[Role, ...] = (*POD_ROLES, "host")
# What the namespaces, devices and logs of the two pods, and the log of the host, are called.
PLACE_NAMES: dict[Role, Where] = {"pod": "agent", "peer": "peer", "host": "host"}

_V4 = IPv4Network("198.18.0.0/15")
_V4_LAB_PREFIX = 21
_V6 = IPv6Network("fd6e:6574:6d00::/40")  # "net", "m"
MAX_LABS = 1 << (_V4_LAB_PREFIX - _V4.prefixlen)
_FABRIC_HOST = 254
_SERVICES_V4_OFFSET = 2048 - 128
_SERVICES_V6_SUBNET = 0xFFFF

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Addresses:
    """One device's addresses, each with the prefix length of its link."""

    v4: IPv4Interface
    v6: IPv6Interface

    def both(self) -> tuple[IPv4Interface, IPv6Interface]:
        """IPv4 first."""
        return self.v4, self.v6


@dataclass(frozen=True)
class PodLink:
    """The link between a node and one of its pods."""

    node: Addresses
    pod: Addresses


@dataclass(frozen=True)
class Service:
    """The addresses of a Service in front of one pod."""

    v4: IPv4Address
    v6: IPv6Address


@dataclass(frozen=True)
class NodeAddresses:
    """A node: its uplink, its pods' links, the prefixes that lead to its pods, and its pods' Services.

    `services` is empty in labs of more than MAX_SERVICE_NODES nodes.
    """

    uplink: Addresses
    pods: dict[PodRole, PodLink]
    pods_v4: IPv4Network
    pods_v6: IPv6Network
    services: dict[PodRole, Service]

    def here_v4(self) -> tuple[str, str]:
        """The prefixes of all that is on this node: its pods, and itself."""
        return str(self.pods_v4), f"{self.uplink.v4.ip}/32"

    def here_v6(self) -> tuple[str, str]:
        """As `here_v4`."""
        return str(self.pods_v6), f"{self.uplink.v6.ip}/128"


@dataclass(frozen=True)
class LabAddresses:
    """The addresses of one lab; `fabric` is where the controller stands."""

    fabric: Addresses
    nodes: dict[str, NodeAddresses]


def lab_addresses(index: int, nodes: int) -> LabAddresses:
    """The addresses of the lab with this index (0 … MAX_LABS - 1) and `nodes` nodes (1 … MAX_NODES)."""
    if not (0 <= index < MAX_LABS and 1 <= nodes <= MAX_NODES):
        raise ValueError(f"no addresses for lab {index} with {nodes} nodes")
    v4 = IPv4Network((int(_V4.network_address) + (index << (32 - _V4_LAB_PREFIX)), _V4_LAB_PREFIX))
    v6 = IPv6Network((int(_V6.network_address) + (index << 80), 48))
    return LabAddresses(
        fabric=_host(IPv4Network((v4.network_address, 24)), _subnet(v6, 0, 64), _FABRIC_HOST),
        nodes={
            f"node-{number}": _node(v4, v6, number, services=nodes <= MAX_SERVICE_NODES)
            for number in range(1, nodes + 1)
        },
    )


def _node(v4: IPv4Network, v6: IPv6Network, number: int, *, services: bool) -> NodeAddresses:
    pods_v4 = IPv4Network((int(v4.network_address) + 256 + 8 * number, 29))
    pods_v6 = _subnet(v6, 16 * number, 60)
    links = {}
    for role, link_v4, link_v6 in zip(POD_ROLES, pods_v4.subnets(new_prefix=30), _lines(pods_v6), strict=False):
        links[role] = PodLink(node=_host(link_v4, link_v6, 1), pod=_host(link_v4, link_v6, 2))
    uplink = _host(IPv4Network((v4.network_address, 24)), _subnet(v6, 0, 64), number)
    return NodeAddresses(uplink, links, pods_v4, pods_v6, _services(v4, v6, number) if services else {})


def _services(v4: IPv4Network, v6: IPv6Network, number: int) -> dict[PodRole, Service]:
    """Two a node, from .128 and ::2 on."""
    first_v4 = v4[_SERVICES_V4_OFFSET + 2 * (number - 1)]
    first_v6 = _subnet(v6, _SERVICES_V6_SUBNET, 64)[2 * number]
    return {role: Service(first_v4 + place, first_v6 + place) for place, role in enumerate(POD_ROLES)}


def _subnet(v6: IPv6Network, number: int, prefix: int) -> IPv6Network:
    return IPv6Network((int(v6.network_address) + (number << 64), prefix))


def _lines(v6: IPv6Network) -> Iterator[IPv6Network]:
    return v6.subnets(new_prefix=64)


def _host(v4: IPv4Network, v6: IPv6Network, number: int) -> Addresses:
    return Addresses(
        v4=IPv4Interface((int(v4.network_address) + number, v4.prefixlen)),
        v6=IPv6Interface((int(v6.network_address) + number, v6.prefixlen)),
    )


def check_name(name: str) -> str:
    """The lab's name, if it can be one: it becomes a part of file names. LabInputError otherwise."""
    if not NAME.fullmatch(name):
        raise LabInputError(
            f"name: {name!r} cannot be a lab's name; it has 1 to 32 small letters, digits and inner hyphens."
        )
    return name


def fabric_namespace(lab: str) -> str:
    """The namespace with the bridge that joins the nodes."""
    return f"nm-{lab}-fabric"


def node_namespace(lab: str, node: str) -> str:
    """The namespace of a node itself, where its host network is."""
    return f"nm-{lab}-{node}"


def pod_namespace(lab: str, node: str, role: PodRole) -> str:
    """The namespace of one of a node's pods."""
    return f"nm-{lab}-{node}-{PLACE_NAMES[role]}"


def agent_namespace(lab: str, node: str, role: Role) -> str:
    """The namespace of one of a node's agents."""
    return node_namespace(lab, node) if role == "host" else pod_namespace(lab, node, role)


def namespaces(lab: str, nodes: list[str]) -> list[str]:
    """Every namespace of a lab."""
    return [
        fabric_namespace(lab),
        *(node_namespace(lab, node) for node in nodes),
        *(pod_namespace(lab, node, role) for node in nodes for role in POD_ROLES),
    ]


def belongs(namespace: str, lab: str) -> bool:
    """Whether a namespace is this lab's: by its whole name, since one lab's name may begin with another's."""
    return re.fullmatch(rf"nm-{re.escape(lab)}-(fabric|node-\d+(-agent|-peer)?)", namespace) is not None
