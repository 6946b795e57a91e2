"""A small reader of AF_NETLINK (netlink(7)): one question to the kernel, the messages of its answer.

Only reading, and only what a process without rights may read. Netlink answers for the network namespace of the
process, which /sys does not (a container may show another namespace's /sys).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

# linux/netlink.h
NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_REQUEST = 0x1
_NLM_F_DUMP = 0x300
_NLM_F_DUMP_INTR = 0x10
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE_MASK = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
# The kernel fills dumps by at most 32 KiB a message.
_BUFFER_BYTES = 1 << 16
_DUMP_TRIES = 5


class _Interrupted(Exception):  # noqa: N818  # never leaves this module
    """The table changed while it was dumped (NLM_F_DUMP_INTR)."""


def messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The (type, flags, payload) of each message in what one receive gave; ValueError where it is cut off."""
    position = 0
    while position + _HEADER.size <= len(datagram):
        length, kind, flags, _, _ = _HEADER.unpack_from(datagram, position)
        if length < _HEADER.size or position + length > len(datagram):
            raise ValueError(f"netlink message of {length} bytes at {position} of {len(datagram)}")
        yield kind, flags, datagram[position + _HEADER.size : position + length]
        position += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes (struct nlattr) in `data` by their type; of a type that comes twice, the last."""
    found: dict[int, bytes] = {}
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size or position + length > len(data):
            raise ValueError(f"netlink attribute of {length} bytes at {position} of {len(data)}")
        found[kind & _TYPE_MASK] = data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3
    return found


def dump(protocol: int, kind: int, payload: bytes) -> list[bytes]:
    """The payloads of all messages that the kernel answers a dump request with.

    Raises OSError with the kernel's errno, EAGAIN where the table never stood still for as long as a dump takes.
    """
    for _ in range(_DUMP_TRIES):
        try:
            return _dump_once(protocol, kind, payload)
        except _Interrupted:
            continue
    raise OSError(errno.EAGAIN, "the kernel's table changes faster than it can be read")


def _dump_once(protocol: int, kind: int, payload: bytes) -> list[bytes]:
    request = _HEADER.pack(_HEADER.size + len(payload), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 1, 0) + payload
    answer: list[bytes] = []
    interrupted = False
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as link:
        link.bind((0, 0))
        link.send(request)
        while True:
            for answered, flags, body in messages(link.recv(_BUFFER_BYTES)):
                interrupted = interrupted or bool(flags & _NLM_F_DUMP_INTR)
                if answered in {_NLMSG_DONE, _NLMSG_ERROR}:
                    # Both begin with an int: 0, or the negative errno that ended the dump.
                    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
                    if code:
                        raise OSError(code, os.strerror(code))
                    if interrupted:
                        raise _Interrupted
                    return answer
                answer.append(body)
