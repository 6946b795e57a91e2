"""Queues, errors, offloads and neighbours of a device: what a diagnosis reads, without any traffic.

By rtnetlink(7) and the ethtool ioctl (linux/ethtool.h), for this process's network namespace. What a driver does not
say is left out.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from netmesh_agent import netlink
from netmesh_agent.device import describe_device, ethtool, link_settings

# linux/rtnetlink.h, linux/if_link.h, linux/pkt_sched.h, linux/neighbour.h
_RTM_GETLINK, _RTM_GETROUTE, _RTM_GETNEIGH, _RTM_GETQDISC = 18, 26, 30, 38
_IFINFO = struct.Struct("=BxHiII")
_TCMSG = struct.Struct("=BxxxiIII")  # family, index, handle, parent, info
_NDMSG = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_RTMSG = struct.Struct("=BBBBBBBBI")
_IFLA_IFNAME, _IFLA_MTU, _IFLA_QDISC, _IFLA_OPERSTATE, _IFLA_STATS64, _IFLA_CARRIER_CHANGES = 3, 4, 6, 16, 23, 35
_TCA_KIND, _TCA_STATS2, _TCA_STATS_QUEUE = 1, 7, 3
_TC_H_ROOT = 0xFFFFFFFF
_RTA_OIF, _RTA_GATEWAY = 4, 5
_NUD_INCOMPLETE, _NUD_FAILED = 0x01, 0x20
_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")  # RFC 2863
# The first fields of struct rtnl_link_stats64, in their order.
_STATS = (
    *("received_packets", "sent_packets", "received_bytes", "sent_bytes", "received_errors", "sent_errors"),
    *("received_drops", "sent_drops", "multicast", "collisions", "length_errors", "overrun_errors", "crc_errors"),
    *("frame_errors", "fifo_errors", "missed_errors", "aborted_errors", "carrier_errors"),
)
_WANTED_STATS = frozenset(_STATS) - {"multicast", "received_packets", "sent_packets", "length_errors"}
# linux/ethtool.h: `struct ethtool_value`, a command and what is on.
_OFFLOADS = {"rx-checksum": 0x14, "tx-checksum": 0x16, "tso": 0x1E, "gso": 0x23, "gro": 0x2B}
_DUPLEX_AT = 8
_DUPLEX = {0: "half", 1: "full"}


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")


def parse_link(message: bytes) -> tuple[str, int, dict[str, int], dict[str, str]]:
    """A device's name, index, counters and settings from an RTM_NEWLINK message."""
    _, _, index, _, _ = _IFINFO.unpack_from(message)
    found = netlink.attributes(message[_IFINFO.size :])
    stats = found.get(_IFLA_STATS64, b"")
    numbers = struct.unpack_from(f"={min(len(_STATS), len(stats) // 8)}Q", stats)
    counters = {name: number for name, number in zip(_STATS, numbers, strict=False) if name in _WANTED_STATS}
    if _IFLA_CARRIER_CHANGES in found:
        counters["carrier_changes"] = struct.unpack("=I", found[_IFLA_CARRIER_CHANGES])[0]
    settings = {}
    if _IFLA_MTU in found:
        settings["mtu"] = str(struct.unpack("=I", found[_IFLA_MTU])[0])
    if _IFLA_QDISC in found:
        settings["qdisc"] = _text(found[_IFLA_QDISC])
    if _IFLA_OPERSTATE in found and found[_IFLA_OPERSTATE][0] < len(_OPERSTATES):
        settings["state"] = _OPERSTATES[found[_IFLA_OPERSTATE][0]]
    return _text(found[_IFLA_IFNAME]), index, counters, settings


def parse_queue(message: bytes) -> tuple[int, dict[str, int]] | None:
    """The device's index and its root queue's drops, requeues and overlimits from an RTM_NEWQDISC message; None where
    it is no root, or does not say.
    """
    _, index, _, parent, _ = _TCMSG.unpack_from(message)
    stats = netlink.attributes(message[_TCMSG.size :]).get(_TCA_STATS2)
    if parent != _TC_H_ROOT or stats is None:
        return None
    queue = netlink.attributes(stats).get(_TCA_STATS_QUEUE, b"")
    if len(queue) < 20:
        return None
    _, _, drops, requeues, overlimits = struct.unpack_from("=5I", queue)
    return index, {"queue_drops": drops, "queue_requeues": requeues, "queue_overlimits": overlimits}


def parse_neighbour(message: bytes) -> tuple[int, bool]:
    """The device's index, and whether the neighbour did not answer, from an RTM_NEWNEIGH message."""
    _, index, state, _, _ = _NDMSG.unpack_from(message)
    return index, bool(state & (_NUD_INCOMPLETE | _NUD_FAILED))


def _dump(kind: int, header: bytes) -> list[bytes]:
    return netlink.dump(netlink.NETLINK_ROUTE, kind, header)


def state_of(device: str) -> tuple[dict[str, int], dict[str, str]]:
    """Cumulative counters and settings of a device; empty where there is none of that name.

    `queue_…` are of its root queue; `neighbours_failed` are those of it that do not answer now, which is no counter's
    growth but a state. OSError where the kernel does not answer.
    """
    links = (parse_link(message) for message in _dump(_RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0)))
    mine = next((one for one in links if one[0] == device), None)
    if mine is None:
        return {}, {}
    _, index, counters, settings = mine
    queues = (parse_queue(message) for message in _dump(_RTM_GETQDISC, _TCMSG.pack(0, index, 0, 0, 0)))
    counters |= next((queue[1] for queue in queues if queue is not None and queue[0] == index), {})
    failed = [bad for at, bad in map(parse_neighbour, _dump(_RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0))) if at == index]
    settings["neighbours"] = f"{len(failed)}, of which {sum(failed)} do not answer"
    settings |= dict(_ethtool_settings(device))
    gateway = _gateway(index)
    if gateway is not None:
        settings["gateway"] = gateway
    return counters, settings


def _ethtool_settings(device: str) -> Iterator[tuple[str, str]]:
    offloads = []
    for name, command in _OFFLOADS.items():
        answer = ethtool(device, struct.pack("=II", command, 0))
        if answer is not None:
            offloads.append(f"{name} {'on' if struct.unpack('=II', answer)[1] else 'off'}")
    if offloads:
        yield "offloads", ", ".join(offloads)
    # Of a wire only: what veth and virtio say of their speed is nobody's.
    rate = describe_device(device).line_rate_bits_per_second
    if rate:
        yield "speed", f"{rate // 1_000_000} Mbit/s"
        answer = link_settings(device)
        if answer is not None and answer[_DUPLEX_AT] in _DUPLEX:
            yield "duplex", _DUPLEX[answer[_DUPLEX_AT]]


def _gateway(index: int) -> str | None:
    """The default route's next hop by that device, IPv4's."""
    for message in _dump(_RTM_GETROUTE, _RTMSG.pack(socket.AF_INET, *(0,) * 8)):
        family, length, *_ = _RTMSG.unpack_from(message)
        found = netlink.attributes(message[_RTMSG.size :])
        ours = _RTA_OIF in found and struct.unpack("=I", found[_RTA_OIF])[0] == index
        if family == socket.AF_INET and length == 0 and ours and _RTA_GATEWAY in found:
            return socket.inet_ntoa(found[_RTA_GATEWAY])
    return None
