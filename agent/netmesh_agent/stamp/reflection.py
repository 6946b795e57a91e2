"""A Session-Reflector's side of one packet (RFC 8762 §4.3, RFC 8972 §4), and of one session. Pure: no I/O, no clock.

A request is turned into its reply in the buffer that it came in, so that nothing is allocated for it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from netmesh_agent.stamp import tlvs
from netmesh_agent.stamp.packets import (
    HMAC_AT,
    HMAC_BYTES,
    MASK_32,
    OPEN_BYTES,
    OPEN_REPLY,
    OPEN_REQUEST,
    SEALED_BYTES,
    SEALED_REPLY,
    SEALED_REQUEST,
    SHORTEST_BYTES,
    seal,
    sealed_well,
)
from netmesh_agent.stamp.timestamps import PTP_FORMAT, SYNCHRONIZED, stamp_from_nanoseconds

# True transmit times that wait for a reply to carry them: two full batches.
_FOLLOW_UPS = 128


class Received(NamedTuple):
    """What the socket said of a request: `stamp` is T2 in nanoseconds, `kernel` whether the kernel took it."""

    stamp: int
    kernel: bool
    ttl: int
    tos: int


class Session:
    """One STAMP test session at its reflector: a sender's address and port, an SSID, and the state between packets.

    `stateful` (RFC 8762 §4.3.1): replies are numbered on their own, which tells a loss on the way there from one on
    the way back, and carry the true transmit time of an earlier reply. With a `key` it is an authenticated session.
    """

    __slots__ = (
        "_area",
        "_plan",
        "answered",
        "dscps",
        "follow_ups",
        "key",
        "reply_tos",
        "seen",
        "sequence",
        "stateful",
    )

    def __init__(self, *, stateful: bool = True, key: bytes | None = None, dscps: frozenset[int] = frozenset()) -> None:
        self.stateful = stateful
        self.key = key
        self.dscps = dscps
        self.sequence = 0
        self.answered = 0
        self.seen = 0
        self.reply_tos = 0
        # (sequence of a reply, its T3 in nanoseconds), oldest first.
        self.follow_ups: deque[tuple[int, int]] = deque(maxlen=_FOLLOW_UPS)
        self._area = b""
        self._plan = tlvs.Plan(b"")

    def reflect(self, buffer: bytearray, start: int, length: int, received: Received, error: int, now: int) -> int:
        """Turns the request at `buffer[start : start + length]` into its reply, and returns the reply's length.

        0 means that none is sent; then nothing was changed. A reply is as long as its request, but never shorter than
        44 bytes: the buffer must have room for them. `error` is this clock's error estimate, `now` is T3 in
        nanoseconds, as near to the sending as the process can tell. `reply_tos` is then the IP TOS byte to send with.
        """
        if self.key is not None:
            return self._reflect_sealed(self.key, buffer, start, length, received, error, now)
        if length < OPEN_BYTES:
            if length < SHORTEST_BYTES:
                return 0
            buffer[start + length : start + OPEN_BYTES] = bytes(OPEN_BYTES - length)
        sequence, stamp, sender_error, ssid = OPEN_REQUEST.unpack_from(buffer, start)
        mine = self.sequence if self.stateful else sequence
        ptp = error & PTP_FORMAT != 0
        OPEN_REPLY.pack_into(
            buffer,
            start,
            mine,
            stamp_from_nanoseconds(now, ptp=ptp),
            error,
            ssid,
            stamp_from_nanoseconds(received.stamp, ptp=ptp),
            sequence,
            stamp,
            sender_error,
            received.ttl,
        )
        self.reply_tos = 0
        if length > OPEN_BYTES:
            self._extend(buffer, start + OPEN_BYTES, start + length, sequence, mine, received, error)
        self.sequence = (mine + 1) & MASK_32
        return max(length, OPEN_BYTES)

    def _reflect_sealed(
        self, key: bytes, buffer: bytearray, start: int, length: int, received: Received, error: int, now: int
    ) -> int:
        """`reflect` in authenticated mode: what is short or has a wrong HMAC is dropped (RFC 8762 §4.3.2, §4.4)."""
        if length < SEALED_BYTES or not sealed_well(memoryview(buffer)[start : start + SEALED_BYTES], key):
            return 0
        sequence, stamp, sender_error, ssid = SEALED_REQUEST.unpack_from(buffer, start)
        mine = self.sequence if self.stateful else sequence
        ptp = error & PTP_FORMAT != 0
        SEALED_REPLY.pack_into(
            buffer,
            start,
            mine,
            stamp_from_nanoseconds(now, ptp=ptp),
            error,
            ssid,
            stamp_from_nanoseconds(received.stamp, ptp=ptp),
            sequence,
            stamp,
            sender_error,
            received.ttl,
        )
        end = start + HMAC_AT
        buffer[end : end + HMAC_BYTES] = seal(key, memoryview(buffer)[start:end])
        self.reply_tos = 0
        if length > SEALED_BYTES:
            self._extend(buffer, start + SEALED_BYTES, start + length, sequence, mine, received, error)
        self.sequence = (mine + 1) & MASK_32
        return length

    def _extend(
        self, buffer: bytearray, start: int, end: int, sequence: int, mine: int, received: Received, error: int
    ) -> None:
        """Answers the TLVs in `buffer[start:end]`; a sender's next packet mostly has the same, and the same plan."""
        area = bytes(buffer[start:end])
        plan = self._plan
        if area != self._area or plan.hmac_at >= 0 or self.key is not None:
            plan = tlvs.plan(area, sequence, key=self.key, required=self.key is not None)
            self._area, self._plan = area, plan
        buffer[start:end] = plan.reply
        if plan.information_at >= 0:
            source = tlvs.SYNCHRONIZED_BY_NTP if error & SYNCHRONIZED else tlvs.FREE_RUNNING
            method = tlvs.SW_LOCAL if received.kernel else tlvs.CONTROL_PLANE
            # T3 of this very packet is the process's; the kernel's follows by telemetry.
            tlvs.INFORMATION.pack_into(buffer, start + plan.information_at, source, method, source, tlvs.CONTROL_PLANE)
        if plan.follow_up_at >= 0:
            number, stamp, method = 0, 0, 0
            if self.stateful and self.follow_ups:
                number, sent = self.follow_ups.popleft()
                stamp = stamp_from_nanoseconds(sent, ptp=error & PTP_FORMAT != 0)
                method = tlvs.SW_LOCAL
            tlvs.FOLLOW_UP.pack_into(buffer, start + plan.follow_up_at, number, stamp, method)
        if plan.service_at >= 0:
            at = start + plan.service_at
            wanted = tlvs.SERVICE.unpack_from(buffer, at)[0]
            answer, self.reply_tos = tlvs.answer_service(wanted, received.tos, self.dscps)
            tlvs.SERVICE.pack_into(buffer, at, answer, 0)
        if plan.hmac_at >= 0 and self.key is not None:
            at = start + plan.hmac_at
            text = mine.to_bytes(4, "big") + buffer[start : at - tlvs.HEADER.size]
            buffer[at : at + HMAC_BYTES] = seal(self.key, text)
