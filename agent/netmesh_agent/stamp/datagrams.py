"""Many UDP packets in one system call: recvmmsg(2) and sendmmsg(2) over memory that is laid out once.

Python's socket has neither, and makes several objects a packet where these make one.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator

from netmesh_agent.stamp import kernel

# 64 packets a wake-up: enough to spread the cost of the call, few enough to let others run.
BATCH = 64
# Jumbo frames; a longer packet is cut, seen to be, and dropped.
SLOT_BYTES = 9216

# bits/socket.h
_MSG_CTRUNC, _MSG_TRUNC, _MSG_DONTWAIT, _MSG_ERRQUEUE = 0x08, 0x20, 0x40, 0x2000

# struct mmsghdr: name, its length, iovec, their count, control, its length, flags; then the packet's length.
_HEADER = struct.Struct("@PI4xPNPNi4xI4x")
_HEADER_WORDS = _HEADER.size // 8
_IOVEC = struct.Struct("@PN")
# Of a header, what the kernel wrote.
_ANSWER = struct.Struct("@40xNi4xI4x")
_CONTROL_LENGTH_WORD = 5
if _HEADER.size != 64:
    raise ImportError("batches of packets are laid out for 64-bit Linux")

# How ancillary data stands where all that was asked for came: stamps (64 bytes), TTL (24), TOS (24).
_CONTROL_BYTES = 128
_STAMP = struct.Struct("@NQll96x")
_STAMP_BYTES = 64
_STAMP_AND_FIELDS = {
    socket.AF_INET: struct.Struct("@NQll32xNQi4xNQB7x16x"),
    socket.AF_INET6: struct.Struct("@NQll32xNQi4xNQi4x16x"),
}
_STAMP_AND_FIELDS_BYTES = 112


def _kind(level: int, number: int) -> int:
    """Level and type of a control message as one 64-bit word."""
    word: int = struct.unpack("@Q", struct.pack("@ii", level, number))[0]
    return word


_STAMP_KIND = _kind(socket.SOL_SOCKET, kernel.SO_TIMESTAMPING)
_FIELD_KINDS = {
    socket.AF_INET: (_kind(socket.IPPROTO_IP, socket.IP_TTL), _kind(socket.IPPROTO_IP, socket.IP_TOS)),
    socket.AF_INET6: (
        _kind(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
        _kind(socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ),
}

NAME_BYTES: dict[int, int] = {socket.AF_INET: 16, socket.AF_INET6: 28}

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class _Memory(bytearray):
    """Bytes at an address that stays: while `pin` lives, an attempt to resize them raises BufferError."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.pin = (ctypes.c_char * size).from_buffer(self)
        self.address = ctypes.addressof(self.pin)


def name_of(family: int, address: str, port: int) -> bytes:
    """struct sockaddr_in or sockaddr_in6 for an IP address, link-local ones with their %zone."""
    if family == socket.AF_INET:
        return struct.pack("@H", family) + struct.pack("!H4s8x", port, socket.inet_aton(address))
    host, _, zone = address.partition("%")
    scope = 0 if not zone else int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)
    packed = socket.inet_pton(socket.AF_INET6, host)
    return struct.pack("@H", family) + struct.pack("!HI16s", port, 0, packed) + struct.pack("@I", scope)


class Incoming:
    """Receives up to `BATCH` packets at once into `payload`, a slot of `slot_bytes` each, and their senders' names.

    `header_fields`: whether the socket was asked for TTL and TOS.
    """

    def __init__(self, family: int, *, header_fields: bool, slot_bytes: int = SLOT_BYTES) -> None:
        self.slot_bytes = slot_bytes
        self.name_bytes = NAME_BYTES[family]
        self.payload = _Memory(BATCH * slot_bytes)
        self.names = _Memory(BATCH * self.name_bytes)
        self._control = _Memory(BATCH * _CONTROL_BYTES)
        self._iovecs = _Memory(BATCH * _IOVEC.size)
        self._headers = _Memory(BATCH * _HEADER.size)
        self._fields = _STAMP_AND_FIELDS[socket.AddressFamily(family)] if header_fields else None
        self._ttl_kind, self._tos_kind = _FIELD_KINDS[socket.AddressFamily(family)]
        for slot in range(BATCH):
            _IOVEC.pack_into(self._iovecs, slot * _IOVEC.size, self.payload.address + slot * slot_bytes, slot_bytes)
            _HEADER.pack_into(
                self._headers,
                slot * _HEADER.size,
                self.names.address + slot * self.name_bytes,
                self.name_bytes,
                self._iovecs.address + slot * _IOVEC.size,
                1,
                self._control.address + slot * _CONTROL_BYTES,
                _CONTROL_BYTES,
                0,
                0,
            )
        self._pristine = bytes(self._headers)

    def receive(self, descriptor: int) -> int:
        """How many packets came; 0 where none waits."""
        self._headers[:] = self._pristine
        count: int = _recvmmsg(descriptor, self._headers.address, BATCH, _MSG_DONTWAIT, None)
        return max(count, 0)

    def packets(self, count: int) -> Iterator[tuple[int, int, int, int]]:
        """Of the packets that came, in order of their slots: length (0: was cut), stamp in ns (0: none), TTL, TOS."""
        answers = _ANSWER.iter_unpack(memoryview(self._headers)[: count * _HEADER.size])
        control = memoryview(self._control)[: count * _CONTROL_BYTES]
        if self._fields is None:
            for slot, ((control_length, flags, length), (_, kind, seconds, rest)) in enumerate(
                zip(answers, _STAMP.iter_unpack(control), strict=True)
            ):
                if control_length == _STAMP_BYTES and kind == _STAMP_KIND and not flags & _MSG_TRUNC:
                    yield length, seconds * 1_000_000_000 + rest, 0, 0
                else:
                    yield self._other(slot, control_length, flags, length)
            return
        for slot, (
            (control_length, flags, length),
            (_, kind, seconds, rest, _, ttl_kind, ttl, _, tos_kind, tos),
        ) in enumerate(zip(answers, self._fields.iter_unpack(control), strict=True)):
            if (
                control_length == _STAMP_AND_FIELDS_BYTES
                and kind == _STAMP_KIND
                and ttl_kind == self._ttl_kind
                and tos_kind == self._tos_kind
                and not flags & _MSG_TRUNC
            ):
                yield length, seconds * 1_000_000_000 + rest, ttl, tos
            else:
                yield self._other(slot, control_length, flags, length)

    def _other(self, slot: int, control_length: int, flags: int, length: int) -> tuple[int, int, int, int]:
        """A packet whose ancillary data stands otherwise."""
        if flags & (_MSG_TRUNC | _MSG_CTRUNC):
            return 0, 0, 0, 0
        start = slot * _CONTROL_BYTES
        found = kernel.read_ancillary(bytes(self._control[start : start + control_length]))
        return length, found.stamp, found.ttl, found.tos


class Outgoing:
    """Sends packets out of slots of memory: its own, or those that packets came in by."""

    def __init__(self, family: int, *, shared: Incoming | None = None, slot_bytes: int = SLOT_BYTES) -> None:
        self.family = family
        self.slot_bytes = shared.slot_bytes if shared else slot_bytes
        self.name_bytes = NAME_BYTES[family]
        self.payload = shared.payload if shared else _Memory(BATCH * slot_bytes)
        self.names = shared.names if shared else _Memory(BATCH * self.name_bytes)
        message_bytes = len(kernel.tos_message(family, 0))
        self._control = _Memory(BATCH * message_bytes)
        self._control_bytes = message_bytes
        self._iovecs = _Memory(BATCH * _IOVEC.size)
        self._headers = _Memory(BATCH * _HEADER.size)
        for slot in range(BATCH):
            _IOVEC.pack_into(self._iovecs, slot * _IOVEC.size, self.payload.address + slot * self.slot_bytes, 0)
            _HEADER.pack_into(
                self._headers,
                slot * _HEADER.size,
                self.names.address + slot * self.name_bytes,
                self.name_bytes,
                self._iovecs.address + slot * _IOVEC.size,
                1,
                self._control.address + slot * message_bytes,
                0,
                0,
                0,
            )
        self._header_words = memoryview(self._headers).cast("Q")
        # Word 2 n + 1 is the length of the packet in slot n.
        self.iovec_words = memoryview(self._iovecs).cast("Q")

    def mark(self, slot: int, tos: int) -> None:
        """Sends the packet in `slot` with that TOS byte, this time only."""
        start = slot * self._control_bytes
        self._control[start : start + self._control_bytes] = kernel.tos_message(self.family, tos)
        self._header_words[slot * _HEADER_WORDS + _CONTROL_LENGTH_WORD] = self._control_bytes

    def unmark(self, slot: int) -> None:
        """Takes `mark` back."""
        self._header_words[slot * _HEADER_WORDS + _CONTROL_LENGTH_WORD] = 0

    def send(self, descriptor: int, start: int, count: int) -> list[int]:
        """Sends slots `start` to `start + count`, in order; the answer names those that the kernel refused."""
        failed: list[int] = []
        slot, end = start, start + count
        while slot < end:
            sent = _sendmmsg(descriptor, self._headers.address + slot * _HEADER.size, end - slot, _MSG_DONTWAIT)
            if sent > 0:
                slot += sent
            elif ctypes.get_errno() != errno.EINTR:
                failed.append(slot)
                slot += 1
        return failed


class TransmitStamps:
    """Reads transmit stamps from a socket's error queue, up to `BATCH` at once."""

    # struct scm_timestamping, then struct sock_extended_err: of the latter errno, origin, which stamp, its number.
    _LAYOUT = struct.Struct("@NQll32xNQIB3xII32x")
    _SHORTEST = 64 + 32
    _ENOMSG_SOFTWARE_SENT = (errno.ENOMSG, 4, 0)

    def __init__(self) -> None:
        self._control = _Memory(BATCH * self._LAYOUT.size)
        self._headers = _Memory(BATCH * _HEADER.size)
        for slot in range(BATCH):
            control = self._control.address + slot * self._LAYOUT.size
            _HEADER.pack_into(self._headers, slot * _HEADER.size, 0, 0, 0, 0, control, self._LAYOUT.size, 0, 0)
        self._pristine = bytes(self._headers)

    def read(self, descriptor: int) -> list[tuple[int, int]]:
        """Number of the sendmsg(2) and stamp in nanoseconds of each that waits; nothing where none does."""
        found: list[tuple[int, int]] = []
        count = BATCH
        while count == BATCH:
            self._headers[:] = self._pristine
            count = _recvmmsg(descriptor, self._headers.address, BATCH, _MSG_DONTWAIT | _MSG_ERRQUEUE, None)
            if count <= 0:
                break
            answers = _ANSWER.iter_unpack(memoryview(self._headers)[: count * _HEADER.size])
            control = self._LAYOUT.iter_unpack(memoryview(self._control)[: count * self._LAYOUT.size])
            for slot, ((control_length, _, _), fields) in enumerate(zip(answers, control, strict=True)):
                _, kind, seconds, rest, _, _, error, origin, which, number = fields
                if (
                    control_length >= self._SHORTEST
                    and kind == _STAMP_KIND
                    and (error, origin, which) == self._ENOMSG_SOFTWARE_SENT
                ):
                    found.append((number, seconds * 1_000_000_000 + rest))
                else:
                    found.extend(self._other(slot, control_length))
        return found

    def _other(self, slot: int, length: int) -> list[tuple[int, int]]:
        """A message that stands otherwise."""
        start = slot * self._LAYOUT.size
        stamp = kernel.read_transmit_stamp(bytes(self._control[start : start + length]))
        return [] if stamp is None else [stamp]
