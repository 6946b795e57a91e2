"""The traffic device: the one that tests go through, what it is, and its counters.

Read by netlink (rtnetlink(7)), ioctl (netdevice(7), linux/ethtool.h) and /proc/self/net, which all answer for this
process's network namespace. Never /sys/class/net: in a pod it may show another one.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netmesh.v1 import agent_pb2
from netmesh_agent import netlink

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# linux/rtnetlink.h
_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE = 18, 22, 26
_IFINFO = struct.Struct("=BxHiII")  # family, device type, index, flags, change
_IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, lengths, tos, table, protocol, scope, type, flags
_RTNEXTHOP = struct.Struct("=HBBi")  # length, flags, hops, index
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 3, 4, 18
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE = 4, 6, 9, 15
_RTN_UNICAST, _RT_TABLE_MAIN, _IFF_LOOPBACK = 1, 254, 0x8

# linux/sockios.h, linux/ethtool.h
_SIOCETHTOOL = 0x8946
_ETHTOOL_GDRVINFO = 0x3
_ETHTOOL_GLINKSETTINGS = 0x4C
_DRIVER_INFO_BYTES = 196
_DRIVER_NAME = slice(4, 36)
_BUS_NAME = slice(100, 132)
_LINK_SETTINGS_BYTES = 48
_MASK_WORDS_AT = 15
_SPEED_UNKNOWN = 0xFFFFFFFF

# What stands on a bus and is no network card: such drivers state a speed that nothing holds them to.
_PARAVIRTUAL = frozenset({"virtio_net", "vmxnet3", "vif", "xen_netfront", "hv_netvsc", "gve", "ena", "e1000"})
_PCI_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]")


@dataclass(frozen=True, slots=True)
class Link:
    """A device of this namespace; `is_made` is true where software made it (veth, bridge, tunnel, bond …)."""

    index: int
    name: str
    mtu_bytes: int | None
    is_loopback: bool
    is_made: bool


@dataclass(frozen=True, slots=True)
class Held:
    """An address that a device holds, with its prefix length."""

    index: int
    address: Address
    prefix_length: int


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of the main table; the least metric wins."""

    version: int
    index: int
    metric: int


def parse_link(message: bytes) -> Link:
    """A device from an RTM_NEWLINK message."""
    _, _, index, flags, _ = _IFINFO.unpack_from(message)
    found = netlink.attributes(message[_IFINFO.size :])
    mtu = found.get(_IFLA_MTU)
    return Link(
        index=index,
        name=found[_IFLA_IFNAME].rstrip(b"\0").decode(),
        mtu_bytes=struct.unpack("=I", mtu)[0] if mtu else None,
        is_loopback=bool(flags & _IFF_LOOPBACK),
        is_made=_IFLA_LINKINFO in found,
    )


def parse_address(message: bytes) -> Held | None:
    """An address from an RTM_NEWADDR message; None where it is neither IPv4 nor IPv6."""
    family, prefix_length, _, _, index = _IFADDR.unpack_from(message)
    found = netlink.attributes(message[_IFADDR.size :])
    # On a point-to-point device IFA_ADDRESS is the other end's.
    raw = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
    if raw is None or family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    return Held(index, ipaddress.ip_address(raw), prefix_length)


def parse_default_route(message: bytes) -> DefaultRoute | None:
    """A default route from an RTM_NEWROUTE message; None where it is another route."""
    family, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(message)
    if length != 0 or kind != _RTN_UNICAST or family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    found = netlink.attributes(message[_RTMSG.size :])
    if (struct.unpack("=I", found[_RTA_TABLE])[0] if _RTA_TABLE in found else table) != _RT_TABLE_MAIN:
        return None
    if _RTA_OIF in found:
        index = struct.unpack("=I", found[_RTA_OIF])[0]
    elif _RTA_MULTIPATH in found:
        index = _RTNEXTHOP.unpack_from(found[_RTA_MULTIPATH])[3]
    else:
        return None
    metric = struct.unpack("=I", found[_RTA_PRIORITY])[0] if _RTA_PRIORITY in found else 0
    return DefaultRoute(4 if family == socket.AF_INET else 6, index, metric)


def choose(listen: Address, links: Iterable[Link], held: Sequence[Held], routes: Iterable[DefaultRoute]) -> Link | None:
    """The device that holds `listen`; for a wildcard the default route's, IPv4's before IPv6's.

    Where there is no default route: the only device with an address besides the loopback; None where that leaves a
    choice. All of 127.0.0.0/8 is held by the device that holds its prefix.
    """
    by_index = {link.index: link for link in links}
    if not listen.is_unspecified:
        exact = [one for one in held if one.address == listen]
        near = [one for one in held if listen.is_loopback and listen in _network(one)]
        return next((by_index.get(one.index) for one in (*exact, *near)), None)
    ordered = sorted(routes, key=lambda route: (route.version, route.metric))
    for route in ordered:
        if route.index in by_index:
            return by_index[route.index]
    others = {one.index for one in held if one.index in by_index and not by_index[one.index].is_loopback}
    return by_index[others.pop()] if len(others) == 1 else None


def _network(held: Held) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network((held.address, held.prefix_length), strict=False)


def _dump(kind: int, header: bytes) -> list[bytes]:
    return netlink.dump(netlink.NETLINK_ROUTE, kind, header)


def _links() -> list[Link]:
    return [parse_link(message) for message in _dump(_RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))]


def _held() -> list[Held]:
    found = (parse_address(message) for message in _dump(_RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)))
    return [one for one in found if one is not None]


def traffic_device(listen_address: str) -> str | None:
    """The name of the device that tests with this agent go through, or None where that cannot be told.

    `listen_address` is an IP address; "::" and "0.0.0.0" mean all of them. Raises ValueError where it is none,
    OSError where the kernel does not answer.
    """
    listen = ipaddress.ip_address(listen_address.partition("%")[0])
    found = (parse_default_route(message) for message in _dump(_RTM_GETROUTE, _RTMSG.pack(*(0,) * 9)))
    link = choose(listen, _links(), _held(), [route for route in found if route is not None])
    return link.name if link is not None else None


def addresses(name: str) -> list[str]:
    """The addresses of a device without link-local ones, IPv4 first; none where there is no such device."""
    index = next((link.index for link in _links() if link.name == name), None)
    mine = [one.address for one in _held() if one.index == index and not one.address.is_link_local]
    return [str(address) for address in sorted(mine, key=lambda address: address.version)]


def describe_device(name: str) -> agent_pb2.Device:
    """What the kernel and the driver say of a device; what they do not say stays unset."""
    described = agent_pb2.Device(name=name)
    link = next((link for link in _links() if link.name == name), None)
    if link is None:
        return described
    if link.mtu_bytes is not None:
        described.mtu_bytes = link.mtu_bytes
    info = ethtool(name, struct.pack("=I", _ETHTOOL_GDRVINFO).ljust(_DRIVER_INFO_BYTES, b"\0"))
    if info is None:
        return described
    described.driver, bus = _text(info[_DRIVER_NAME]), _text(info[_BUS_NAME])
    if is_physical(described.driver, bus, is_made=link.is_made):
        line_rate = _line_rate(name)
        if line_rate is not None:
            described.line_rate_bits_per_second = line_rate
    return described


def is_physical(driver: str, bus: str, *, is_made: bool) -> bool:
    """Whether a driver's speed is that of a wire: a card on a PCI bus, and none that a hypervisor plays.

    veth, bridge, tun and virtio_net state speeds that are nobody's.
    """
    return not is_made and driver not in _PARAVIRTUAL and _PCI_ADDRESS.fullmatch(bus) is not None


def parse_link_settings(answer: bytes) -> int | None:
    """Bits a second from a struct ethtool_link_settings; None where the link has no speed now."""
    speed = struct.unpack_from("=I", answer, 4)[0]
    return None if speed in {0, _SPEED_UNKNOWN} else speed * 1_000_000


def _line_rate(name: str) -> int | None:
    answer = link_settings(name)
    return parse_link_settings(answer) if answer is not None else None


def link_settings(name: str) -> bytes | None:
    """A struct ethtool_link_settings as the driver fills it; None where it does not."""
    # The kernel answers a first request with how many words its three masks take, as a negative number.
    request = bytearray(struct.pack("=I", _ETHTOOL_GLINKSETTINGS).ljust(_LINK_SETTINGS_BYTES, b"\0"))
    answer = ethtool(name, bytes(request))
    if answer is None:
        return None
    words = -struct.unpack_from("=b", answer, _MASK_WORDS_AT)[0]
    if words <= 0:
        return None
    struct.pack_into("=b", request, _MASK_WORDS_AT, words)
    return ethtool(name, bytes(request) + bytes(3 * 4 * words))


def ethtool(name: str, request: bytes) -> bytes | None:
    """The answer of SIOCETHTOOL, which overwrites its request; None where the device has none."""
    buffer = ctypes.create_string_buffer(request, len(request))
    # struct ifreq: the name, then a union of 24 bytes that holds a pointer here.
    ifreq = struct.pack("16sP16x", name.encode(), ctypes.addressof(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        try:
            fcntl.ioctl(door, _SIOCETHTOOL, ifreq)
        except OSError:
            return None
    return buffer.raw


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


def parse_counters(text: str, name: str) -> agent_pb2.DeviceCounters | None:
    """A device's line of /proc/net/dev; None where it has none. Received drops include missed packets."""
    for line in text.splitlines():
        device, colon, rest = line.partition(":")
        if colon and device.strip() == name:
            fields = [int(field) for field in rest.split()]
            return agent_pb2.DeviceCounters(
                name=name,
                received_bytes=fields[0],
                received_packets=fields[1],
                received_errors=fields[2],
                received_drops=fields[3],
                sent_bytes=fields[8],
                sent_packets=fields[9],
                sent_errors=fields[10],
                sent_drops=fields[11],
            )
    return None


def counters(name: str) -> agent_pb2.DeviceCounters | None:
    """A device's counters now, or None where it is gone.

    From /proc and not by netlink: RTM_GETLINK waits for the lock that every change of a device holds.
    """
    return parse_counters(Path("/proc/self/net/dev").read_text(), name)
