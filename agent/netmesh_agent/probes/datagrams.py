"""UDP sockets that send packets whole or not at all, and hear why one was refused.

IP_PMTUDISC_PROBE (ip(7), ipv6(7)) sets Don't Fragment and ignores the path MTU that the kernel remembers, so that only
the device of this node and the path itself limit a packet. IP_RECVERR (ip(7)) queues the refusals: this node's own, and
routers' ICMP "fragmentation needed" (RFC 1191) and "packet too big" (RFC 8201).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping

# linux/in.h and linux/in6.h; the socket module names some of them only from Python 3.14 on.
_IP_MTU_DISCOVER, _IP_RECVERR = 10, 11
_IPV6_MTU_DISCOVER, _IPV6_RECVERR, _IPV6_DONTFRAG = 23, 25, 62
_PMTUDISC_PROBE = 3
_MSG_ERRQUEUE = 0x2000
# struct sock_extended_err of linux/errqueue.h: errno, origin, type, code, padding, info (here: the MTU), data.
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ORIGIN_LOCAL = 1

# IP header without options and UDP header, by address family.
HEADER_BYTES: Mapping[int, int] = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}
# An IPv4 packet's length field has 16 bits; the same bound serves IPv6, where 65,575 would be possible.
LARGEST_PACKET = 65_535


class Refusal:
    """A packet that was refused: the error's number, by this node itself or on the way, the MTU told (0: none), whom
    it was for.
    """

    __slots__ = ("address", "local", "mtu", "number")

    def __init__(self, number: int, mtu: int, address: tuple[str, int], *, local: bool) -> None:
        self.number, self.mtu, self.address, self.local = number, mtu, address, local

    @property
    def too_large(self) -> bool:
        """Whether it is about the packet's size."""
        return self.number == errno.EMSGSIZE


def open_socket(family: int) -> socket.socket:
    """A UDP socket of `family` with Don't Fragment set and its error queue open; it does not block."""
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    return sock


def refusals(sock: socket.socket) -> list[Refusal]:
    """Empties the error queue. An error that waits in it fails the next call on the socket, whatever that is."""
    found: list[Refusal] = []
    while True:
        try:
            _, ancillary, _, address = sock.recvmsg(0, 512, _MSG_ERRQUEUE)
        except BlockingIOError:
            return found
        for level, kind, data in ancillary:
            if (level, kind) in {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}:
                number, origin, _, _, _, mtu, _ = _EXTENDED_ERROR.unpack_from(data)
                found.append(Refusal(number, mtu, address[:2], local=origin == _ORIGIN_LOCAL))


def send(sock: socket.socket, payload: bytes, to: tuple[str, int] | None = None) -> list[Refusal]:
    """Sends one datagram; the refusals met on the way, of which a local one says that this datagram did not leave.

    An error of an earlier packet that is reported now did not keep this one from being sent: it is sent again.
    Raises OSError where this node cannot send for another reason than size.
    """
    met: list[Refusal] = []
    while True:
        try:
            if to is None:
                sock.send(payload)
            else:
                sock.sendto(payload, to)
        except OSError as error:
            waiting = refusals(sock)
            met += waiting
            for one in waiting:
                if one.local and to is not None:
                    one.address = to  # IPv4 tells the port of a connected socket only
            if waiting and not any(one.local for one in waiting):
                continue
            if error.errno != errno.EMSGSIZE:
                raise
            if not waiting:
                # Beyond what a UDP datagram can be: refused before a route, and with it an MTU, is looked up.
                met.append(Refusal(errno.EMSGSIZE, 0, to or ("", 0), local=True))
            return met
        else:
            return met
