"""Time stamps of the Linux kernel on UDP sockets (Documentation/networking/timestamping.rst).

SO_TIMESTAMPING alone, never with SO_TIMESTAMP or SO_TIMESTAMPNS beside it: with one of those the kernel takes the time
of recvmsg(2) for a packet that has no stamp, and calls that its arrival. Software stamps only: they are CLOCK_REALTIME,
as the times that this process takes. A device's own stamps run on a clock of the device's, whose distance from UTC the
packet cannot tell.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

# asm-generic/socket.h; the option's and its control message's number are one.
SO_TIMESTAMPING = 37

# linux/net_tstamp.h
_TX_SOFTWARE = 1 << 1
_RX_SOFTWARE = 1 << 3
_SOFTWARE = 1 << 4
_OPT_ID = 1 << 7
_OPT_TSONLY = 1 << 11
_RECEIVE = _RX_SOFTWARE | _SOFTWARE
# A stamp comes back alone (OPT_TSONLY), named by the number of its sendmsg(2) since the option was set (OPT_ID).
_BOTH = _RECEIVE | _TX_SOFTWARE | _OPT_ID | _OPT_TSONLY

# linux/errqueue.h
_ENOMSG = 42
_SO_EE_ORIGIN_TIMESTAMPING = 4
_SCM_TSTAMP_SND = 0

# linux/in.h, linux/in6.h: which header fields come with a packet, and how they come.
_IP_RECVTOS, _IP_TOS, _IP_TTL, _IP_RECVTTL, _IP_RECVERR = 13, 1, 2, 12, 11
_IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT, _IPV6_RECVTCLASS, _IPV6_TCLASS, _IPV6_RECVERR = 51, 52, 66, 67, 25

# asm-generic/socket.h, linux/sock_diag.h
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_SK_MEMINFO_DROPS = 8

_NANOSECONDS = 1_000_000_000

# A control message's header, and the two that matter with it: three struct timespec of which the first is the software
# stamp, and struct sock_extended_err.
CMSG = struct.Struct("@Nii")
_CMSG_ALIGN = struct.calcsize("@N")
_TIMES = struct.Struct("@ll")
_EXTENDED_ERROR = struct.Struct("@IBBBxII")
_INT = struct.Struct("@i")


class Ancillary(NamedTuple):
    """What came beside a packet: its stamp in nanoseconds (0: none), TTL or hop limit, TOS or traffic class."""

    stamp: int
    ttl: int
    tos: int


class Features(NamedTuple):
    """What the kernel agreed to on a socket. Whether stamps then come is the device's matter."""

    receive: bool
    transmit: bool


def _option(sock: socket.socket, flags: int) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, flags)
    except OSError:
        return False
    return True


def enable_stamps(sock: socket.socket) -> Features:
    """Asks for receive and transmit stamps; what the kernel refuses is absent from the answer."""
    if _option(sock, _BOTH):
        return Features(receive=True, transmit=True)
    return Features(receive=_option(sock, _RECEIVE), transmit=False)


def restart_numbering(sock: socket.socket) -> None:
    """Lets the numbers of transmit stamps begin at 0 again.

    Whether a sendmsg(2) that failed took a number depends on the kernel and on where it failed; after this it does
    not matter.
    """
    _option(sock, _RECEIVE)
    _option(sock, _BOTH)


def enable_header_fields(sock: socket.socket) -> None:
    """Asks for TTL and TOS of each packet, or hop limit and traffic class."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)


def enlarge_buffer(sock: socket.socket, wanted_bytes: int) -> None:
    """Makes room for packets and stamps that wait while the process does not run; the limit needs CAP_NET_ADMIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted_bytes)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)


def dropped(sock: socket.socket) -> int:
    """Packets that the socket had no room for since it was made: a loss in this host, not in the network."""
    information = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
    count: int = struct.unpack_from("=I", information, 4 * _SK_MEMINFO_DROPS)[0]
    return count


def tos_message(family: int, tos: int) -> bytes:
    """The control message that sends one packet with that TOS byte or traffic class (ip(7), ipv6(7))."""
    level, kind = (socket.IPPROTO_IP, _IP_TOS) if family == socket.AF_INET else (socket.IPPROTO_IPV6, _IPV6_TCLASS)
    message = CMSG.pack(CMSG.size + _INT.size, level, kind) + _INT.pack(tos)
    return message.ljust(_aligned(len(message)), b"\0")


def _aligned(length: int) -> int:
    return (length + _CMSG_ALIGN - 1) & ~(_CMSG_ALIGN - 1)


def _messages(control: bytes) -> list[tuple[int, int, bytes]]:
    """Level, type and data of each control message (cmsg(3))."""
    found = []
    start = 0
    while start + CMSG.size <= len(control):
        length, level, kind = CMSG.unpack_from(control, start)
        if length < CMSG.size or start + length > len(control):
            break
        found.append((level, kind, control[start + CMSG.size : start + length]))
        start += _aligned(length)
    return found


def read_ancillary(control: bytes) -> Ancillary:
    """What the control messages of a received packet say. A TTL that did not come is 0, and so is a TOS."""
    stamp = ttl = tos = 0
    for level, kind, data in _messages(control):
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING and len(data) >= _TIMES.size:
            seconds, rest = _TIMES.unpack_from(data)
            stamp = seconds * _NANOSECONDS + rest
        elif (level, kind) in {(socket.IPPROTO_IP, _IP_TTL), (socket.IPPROTO_IPV6, _IPV6_HOPLIMIT)}:
            ttl = _INT.unpack_from(data)[0] if len(data) >= _INT.size else 0
        elif (level, kind) == (socket.IPPROTO_IP, _IP_TOS) and data:
            tos = data[0]
        elif (level, kind) == (socket.IPPROTO_IPV6, _IPV6_TCLASS) and len(data) >= _INT.size:
            tos = _INT.unpack_from(data)[0]
    return Ancillary(stamp, ttl, tos)


def read_transmit_stamp(control: bytes) -> tuple[int, int] | None:
    """Number of the sendmsg(2) and stamp in nanoseconds, from a message of the error queue; None for any other."""
    number = None
    stamp = 0
    for level, kind, data in _messages(control):
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING and len(data) >= _TIMES.size:
            seconds, rest = _TIMES.unpack_from(data)
            stamp = seconds * _NANOSECONDS + rest
        elif (level, kind) in {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}:
            if len(data) < _EXTENDED_ERROR.size:
                continue
            errno, origin, _, _, which, key = _EXTENDED_ERROR.unpack_from(data)
            if (errno, origin, which) == (_ENOMSG, _SO_EE_ORIGIN_TIMESTAMPING, _SCM_TSTAMP_SND):
                number = key
    return None if number is None or stamp == 0 else (number, stamp)
