"""One session of a sender as it goes on the wire: its packets' bytes, and what its reflector's bytes mean. No I/O."""

from __future__ import annotations

import hmac
import math
import struct

from netmesh_agent.stamp import tlvs
from netmesh_agent.stamp.flow import Flow
from netmesh_agent.stamp.packets import (
    HMAC_AT,
    HMAC_BYTES,
    OPEN_BYTES,
    OPEN_REPLY,
    OPEN_REQUEST,
    SEALED_BYTES,
    SEALED_REPLY,
    SEALED_REQUEST,
    seal,
    sealed_well,
)
from netmesh_agent.stamp.timestamps import NANOSECONDS, decode_error_estimate, nanoseconds_from_stamp

_OPEN_HEAD = struct.Struct(">IQ")
_SEALED_HEAD = struct.Struct(">I12xQ")
_SEQUENCE = struct.Struct(">I")


class Link:
    """A flow towards the socket address `name`, with an SSID, a packet size, and a key in authenticated mode.

    `error` is the sender's own error estimate. Raises ValueError where a packet of `packet_bytes` has no room for what
    it must hold.
    """

    __slots__ = ("_base_bytes", "_error", "_remote_error", "_ssid", "_template", "flow", "key", "length", "name")

    def __init__(
        self, flow: Flow, name: bytes, ssid: int, *, key: bytes | None, packet_bytes: int | None, error: int
    ) -> None:
        self.flow = flow
        self.name = name
        self.key = key
        self._ssid = ssid
        self._base_bytes = OPEN_BYTES if key is None else SEALED_BYTES
        self._remote_error = 0
        room = None if packet_bytes is None else packet_bytes - self._base_bytes
        if room is not None and room < 0:
            raise ValueError(f"a STAMP packet has at least {self._base_bytes} bytes")
        self._template = bytes(self._base_bytes) + tlvs.request_tlvs(room, sealed=key is not None)
        self.length = len(self._template)
        self.state_error(error)

    def state_error(self, error: int) -> None:
        """Takes another error estimate into the packets to come."""
        self._error = error
        if self.key is None:
            base = OPEN_REQUEST.pack(0, 0, error, self._ssid)
        else:
            base = SEALED_REQUEST.pack(0, 0, error, self._ssid) + bytes(HMAC_BYTES)
        self._template = base + self._template[self._base_bytes :]

    def write(self, buffer: bytearray, start: int, sequence: int, stamp: int) -> None:
        """Puts a probe into `buffer[start : start + length]`."""
        buffer[start : start + self.length] = self._template
        if self.key is None:
            _OPEN_HEAD.pack_into(buffer, start, sequence, stamp)
            return
        _SEALED_HEAD.pack_into(buffer, start, sequence, stamp)
        end = start + HMAC_AT
        buffer[end : end + HMAC_BYTES] = seal(self.key, memoryview(buffer)[start:end])
        if self.length > SEALED_BYTES:
            at = start + SEALED_BYTES + tlvs.REQUEST_HMAC_AT
            buffer[at : at + HMAC_BYTES] = self._seal_of_tlvs(self.key, buffer, start, sequence)

    def _seal_of_tlvs(self, key: bytes, buffer: bytearray, start: int, sequence: int) -> bytes:
        """RFC 8972 §4.8: over the sequence number and the TLVs before."""
        area = start + SEALED_BYTES
        return seal(key, _SEQUENCE.pack(sequence) + buffer[area : area + tlvs.REQUEST_HMAC_AT - tlvs.HEADER.size])

    def read(self, buffer: bytearray, start: int, length: int, t4_kernel: int, t4: int) -> bool:
        """Notes the reply in `buffer[start : start + length]`; False where it is none of this session."""
        if length < self._base_bytes:
            return False
        if self.key is None:
            fields = OPEN_REPLY.unpack_from(buffer, start)
        elif sealed_well(memoryview(buffer)[start : start + SEALED_BYTES], self.key):
            fields = SEALED_REPLY.unpack_from(buffer, start)
        else:
            return False
        reflected, stamp, error, ssid, received, sequence, mine, _, _ = fields
        # A reflector that knows no SSID returns none (RFC 8972 §3).
        if ssid not in {self._ssid, 0}:
            return False
        t2 = nanoseconds_from_stamp(received, error, t4) or 0
        t3 = nanoseconds_from_stamp(stamp, error, t4) or 0
        extension = None
        if self.length > self._base_bytes and length >= self.length:
            extension = self._read_tlvs(buffer, start, reflected)
        method = 0 if extension is None else extension[2]
        if not self.flow.answered(sequence, mine, reflected, t2, t3, t4, t4_kernel, method):
            return False
        self._remote_error = error
        if extension is not None and extension[1]:
            self.flow.followed_up(extension[0], nanoseconds_from_stamp(extension[1], error, t4) or 0)
        return True

    def _read_tlvs(self, buffer: bytearray, start: int, reflected: int) -> tuple[int, int, int] | None:
        area = start + self._base_bytes
        answer = tlvs.read_answer(memoryview(buffer)[area : start + self.length])
        if answer is None or self.key is None:
            return answer
        at = area + tlvs.REQUEST_HMAC_AT
        right = self._seal_of_tlvs(self.key, buffer, start, reflected)
        return answer if hmac.compare_digest(right, bytes(buffer[at : at + HMAC_BYTES])) else None

    def one_way_error(self, clock_error_seconds: float | None) -> int | None:
        """How far T2 - T1 and T4 - T3 may be off, in ns: both clocks' errors. None where either is not known.

        Nor is it from stamps of the PTPv2 format, whose epoch is TAI's: whether its sender adds the leap seconds it
        does not say.
        """
        remote = decode_error_estimate(self._remote_error)
        if clock_error_seconds is None or not remote.synchronized or remote.ptp or remote.error_seconds is None:
            return None
        return math.ceil((clock_error_seconds + remote.error_seconds) * NANOSECONDS)
