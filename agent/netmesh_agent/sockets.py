"""The sockets of this network namespace: which ports are listened on, and what a live TCP connection uses.

Who listens is asked of the kernel, by sock_diag(7) or from /proc/self/net/{tcp,udp}{,6} (proc(5)): a connect would
use up a server that serves one test only. Neither needs rights.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netmesh_agent import netlink

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TABLES = Path("/proc/self/net")
_TCP_LISTEN = 0x0A  # include/net/tcp_states.h

# linux/sock_diag.h, linux/inet_diag.h
_SOCK_DIAG_BY_FAMILY = 20
_INET_DIAG_CONG = 4
_TCP_ESTABLISHED = 1
_NO_COOKIE = 0xFFFFFFFF
# struct inet_diag_sockid: ports and addresses in network order, interface, cookie.
_SOCKET_ID = struct.Struct("!HH16s16sI2I")
# struct inet_diag_req_v2 before its id: family, protocol, extensions, padding, states.
_REQUEST = struct.Struct("=BBBBI")
_MESSAGE_BYTES = 72  # struct inet_diag_msg; its id stands at 4


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A line of /proc/net/tcp or udp: the local port, the state's number and the socket's inode."""

    port: int
    state: int
    inode: int


def parse_table(text: str) -> Iterator[BoundSocket]:
    """The sockets of a /proc/net/{tcp,udp}{,6}; ValueError where a line is not one of such a table."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10:
            raise ValueError(f"not a line of a socket table: {line!r}")
        yield BoundSocket(
            port=int(fields[1].rpartition(":")[2], 16),
            state=int(fields[3], 16),
            inode=int(fields[9]),
        )


def listening_inodes(protocol: str, port: int) -> frozenset[int]:
    """The inodes of the sockets that listen on `port`, over IPv4 or IPv6, on whichever address.

    `protocol` is "tcp" or "udp"; a UDP socket listens as soon as it is bound. Raises OSError where the kernel does
    not tell.
    """
    if protocol == "tcp":
        try:
            bound = _diagnosed_listeners()
        except OSError:  # no sock_diag in this kernel
            bound = _tabled("tcp")
        return frozenset(one.inode for one in bound if one.port == port and one.state == _TCP_LISTEN)
    if protocol == "udp":
        return frozenset(one.inode for one in _tabled("udp") if one.port == port)
    raise ValueError(f"no table of {protocol} sockets")


def _tabled(protocol: str) -> list[BoundSocket]:
    found: list[BoundSocket] = []
    for table in (_TABLES / protocol, _TABLES / f"{protocol}6"):
        # A kernel without IPv6 has no second table.
        if table.name == protocol or table.exists():
            found.extend(parse_table(table.read_text()))
    return found


def _diagnosed_listeners() -> list[BoundSocket]:
    """The listening TCP sockets by sock_diag: the kernel walks them alone, in some 0.05 ms.

    /proc/net/tcp walks the hash table of all connections of the machine, several ms where memory is large.
    """
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        request = diagnosis_request(family, states=1 << _TCP_LISTEN)
        for message in netlink.dump(netlink.NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request):
            found.append(parse_bound(message))
    return found


def listening(protocol: str, port: int) -> bool:
    """Whether any socket of this network namespace listens on `port`; see `listening_inodes`."""
    return bool(listening_inodes(protocol, port))


def inodes_of(pid: int) -> frozenset[int]:
    """The inodes of the sockets that a process holds open; none where the process is gone or is another user's."""
    found: set[int] = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith("socket:["):
                found.add(int(target.removeprefix("socket:[").removesuffix("]")))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return frozenset()
    return frozenset(found)


def diagnosis_request(family: int, *, states: int, remote_port: int = 0) -> bytes:
    """The struct inet_diag_req_v2 for a family's TCP sockets in `states` (bits), towards a remote port (0: any)."""
    identity = _SOCKET_ID.pack(0, remote_port, bytes(16), bytes(16), 0, _NO_COOKIE, _NO_COOKIE)
    extensions = 1 << (_INET_DIAG_CONG - 1)
    return _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, 0, states) + identity


def parse_bound(message: bytes) -> BoundSocket:
    """Local port, state and inode of a struct inet_diag_msg."""
    if len(message) < _MESSAGE_BYTES:
        raise ValueError(f"a socket's diagnosis of {len(message)} bytes")
    port, *_ = _SOCKET_ID.unpack_from(message, 4)
    return BoundSocket(port=port, state=message[1], inode=struct.unpack_from("=I", message, _MESSAGE_BYTES - 4)[0])


def parse_diagnosis(message: bytes) -> tuple[Address, int, str | None]:
    """Remote address, remote port and congestion control (None: not told) of a struct inet_diag_msg."""
    if len(message) < _MESSAGE_BYTES:
        raise ValueError(f"a socket's diagnosis of {len(message)} bytes")
    _, port, _, remote, *_ = _SOCKET_ID.unpack_from(message, 4)
    address: Address
    if message[0] == socket.AF_INET:
        address = ipaddress.IPv4Address(remote[:4])
    else:
        address = _unmapped(ipaddress.IPv6Address(remote))
    name = netlink.attributes(message[_MESSAGE_BYTES:]).get(_INET_DIAG_CONG)
    return address, port, name.rstrip(b"\0").decode("ascii") if name else None


def congestion_control_of(address: str, port: int) -> str | None:
    """The congestion control of this namespace's established TCP connections to `address` (an IP) and `port`.

    None where there is no such connection, where several differ (a tool's control connection keeps the default,
    whatever its data connections are told), or where the kernel has no sock_diag.
    """
    wanted = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
    names: set[str | None] = set()
    # A connection to an IPv4 address may be an IPv6 socket's, with a mapped address.
    for family in (socket.AF_INET, socket.AF_INET6) if wanted.version == 4 else (socket.AF_INET6,):
        request = diagnosis_request(family, states=1 << _TCP_ESTABLISHED, remote_port=port)
        try:
            answer = netlink.dump(netlink.NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, request)
        except OSError:
            return None
        for message in answer:
            remote, remote_port, name = parse_diagnosis(message)
            if remote == wanted and remote_port == port:
                names.add(name)
    return names.pop() if len(names) == 1 else None


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
