"""The TLVs of RFC 8972 §4. Pure.

A reflector returns every TLV of a request in its place, with its flags set anew. What stands in most of them does not
depend on the packet, so `plan` works the answer out once, and `Plan` says which bytes still have to be filled.
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

from netmesh_agent.stamp.packets import HMAC_BYTES, seal

HEADER = struct.Struct(">BBH")

# Flags (RFC 8972 §5.2). A sender sets U, so that a reflector that knows no TLVs returns it set.
UNRECOGNIZED, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20

# Types (RFC 8972 §5.1).
EXTRA_PADDING, TIMESTAMP_INFORMATION, CLASS_OF_SERVICE, FOLLOW_UP_TELEMETRY, HMAC = 1, 3, 4, 7, 8
_LENGTHS = {TIMESTAMP_INFORMATION: 4, CLASS_OF_SERVICE: 4, FOLLOW_UP_TELEMETRY: 16, HMAC: HMAC_BYTES}

# Synchronization sources (§5.4) and time stamping methods (§5.5). SW_LOCAL is the kernel's stamp, CONTROL_PLANE one
# that the process took itself.
SYNCHRONIZED_BY_NTP, FREE_RUNNING = 1, 5
SW_LOCAL, CONTROL_PLANE = 2, 3

# The reflector's sequence number, the true T3 of that packet, how it was taken (§4.7).
FOLLOW_UP = struct.Struct(">IQB3x")
# Source of synchronization and method of T2, then of T3 (§4.3).
INFORMATION = struct.Struct(">BBBB")
# DSCP1 (6 bits), DSCP2 (6), ECN (2), RP (2), 16 reserved bits (§4.4).
SERVICE = struct.Struct(">HH")
_REVERSE_PATH_REFUSED = 1

# The first two TLVs of `request_tlvs` in a reply, their headers as one word: no flag is set.
_ANSWER = struct.Struct(">IIQB3xIBBBB")
_FOLLOW_UP_UNDERSTOOD = FOLLOW_UP_TELEMETRY << 16 | FOLLOW_UP.size
_INFORMATION_UNDERSTOOD = TIMESTAMP_INFORMATION << 16 | INFORMATION.size
# Where `request_tlvs` has the value of its HMAC TLV.
REQUEST_HMAC_AT = 20 + 8 + 4


class Tlv(NamedTuple):
    """One TLV, `start` being the offset of its header within the TLV area. A malformed one ends the area."""

    start: int
    flags: int
    type: int
    length: int
    malformed: bool

    @property
    def value_start(self) -> int:
        """Where its value begins."""
        return self.start + HEADER.size

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.value_start + self.length


class Plan(NamedTuple):
    """What a reflector answers to one TLV area: `reply` has the same length, its offsets are -1 where there is none.

    `integrity`: the reply must carry an HMAC TLV of its own, at `hmac_at`.
    """

    reply: bytes
    follow_up_at: int = -1
    information_at: int = -1
    service_at: int = -1
    hmac_at: int = -1


def encode(kind: int, value: bytes) -> bytes:
    """A TLV as a sender makes it: U set, M and I not (RFC 8972 §4)."""
    return HEADER.pack(UNRECOGNIZED, kind, len(value)) + value


def request_tlvs(room: int | None, *, sealed: bool = False) -> bytes:
    """The TLVs of a sender: Follow-Up Telemetry and Timestamp Information, both empty; in authenticated mode room for
    an HMAC TLV's value; and Extra Padding that fills `room` bytes in all. None: no padding; 0: no TLVs.

    Raises ValueError where they do not fit.
    """
    if room == 0:
        return b""
    area = encode(FOLLOW_UP_TELEMETRY, bytes(FOLLOW_UP.size)) + encode(TIMESTAMP_INFORMATION, bytes(INFORMATION.size))
    if sealed:
        area += encode(HMAC, bytes(HMAC_BYTES))
    padding = 0 if room is None else room - len(area)
    if padding == 0:
        return area
    if padding < HEADER.size:
        raise ValueError(
            f"{room} bytes behind the base packet hold no TLVs: 0, {len(area)} or more than {len(area) + 3}"
        )
    return area + encode(EXTRA_PADDING, bytes(padding - HEADER.size))


def read_answer(area: bytes | bytearray | memoryview) -> tuple[int, int, int] | None:
    """What a reflector made of `request_tlvs`: the follow-up's sequence number and stamp, the method of T2.

    None where it did not understand them, found them malformed or not authentic, or is another packet's.
    """
    if len(area) < _ANSWER.size:
        return None
    follow_up, number, stamp, _, information, _, method, _, _ = _ANSWER.unpack_from(area)
    if follow_up != _FOLLOW_UP_UNDERSTOOD or information != _INFORMATION_UNDERSTOOD:
        return None
    return number, stamp, method


def walk(area: bytes) -> list[Tlv]:
    """The TLVs of an area, up to the first malformed one: what its length says does not fit its type or the packet.

    An area of zeros only is padding of the kind that RFC 6038 §3 describes, and holds none; nor do fewer than 4 bytes
    at the end.
    """
    found: list[Tlv] = []
    start, size = 0, len(area)
    if not any(area):
        return found
    while start + HEADER.size <= size:
        flags, kind, length = HEADER.unpack_from(area, start)
        wanted = _LENGTHS.get(kind, length)
        malformed = length != wanted or start + HEADER.size + length > size
        tlv = Tlv(start, flags, kind, length, malformed)
        found.append(tlv)
        if malformed:
            break
        start = tlv.end
    return found


def _authentic(area: bytes, tlvs: list[Tlv], sequence: int, key: bytes | None, *, required: bool) -> bool:
    """Whether the extensions pass RFC 8972 §4.8: at most one HMAC TLV, followed by nothing but padding, and right.

    Without an HMAC TLV they pass, unless one is `required` and there is more than a single Extra Padding TLV.
    """
    seals = [number for number, tlv in enumerate(tlvs) if tlv.type == HMAC]
    if not seals:
        return not required or not tlvs or (len(tlvs) == 1 and tlvs[0].type == EXTRA_PADDING)
    if len(seals) > 1 or key is None or any(tlv.type != EXTRA_PADDING for tlv in tlvs[seals[0] + 1 :]):
        return False
    mine = tlvs[seals[0]]
    if mine.malformed:
        return False
    wanted = seal(key, sequence.to_bytes(4, "big") + area[: mine.start])
    return hmac.compare_digest(wanted, area[mine.value_start : mine.end])


def plan(area: bytes, sequence: int, *, key: bytes | None = None, required: bool = False) -> Plan:
    """The answer to the TLV area of a request with that sequence number.

    `key` verifies an HMAC TLV; `required` asks for one, as authenticated mode does. Extensions that fail come back as
    they were, each with the I flag; a malformed TLV with the M flag and all behind it untouched; an unknown one with U.
    """
    tlvs = walk(area)
    reply = bytearray(area)
    if not _authentic(area, tlvs, sequence, key, required=required):
        for tlv in tlvs:
            reply[tlv.start] = INTEGRITY | (MALFORMED if tlv.malformed else 0)
        return Plan(bytes(reply))
    at = {FOLLOW_UP_TELEMETRY: -1, TIMESTAMP_INFORMATION: -1, CLASS_OF_SERVICE: -1, HMAC: -1}
    for tlv in tlvs:
        if tlv.malformed:
            reply[tlv.start] = MALFORMED
            if tlv.type == FOLLOW_UP_TELEMETRY:
                # §4.7: what there is of its sequence number and time stamp goes back as zero.
                stop = min(tlv.end, tlv.value_start + 12, len(area))
                reply[tlv.value_start : stop] = bytes(max(0, stop - tlv.value_start))
        elif tlv.type in at:
            reply[tlv.start] = 0
            at[tlv.type] = tlv.value_start
        else:
            reply[tlv.start] = 0 if tlv.type == EXTRA_PADDING else UNRECOGNIZED
    return Plan(bytes(reply), at[FOLLOW_UP_TELEMETRY], at[TIMESTAMP_INFORMATION], at[CLASS_OF_SERVICE], at[HMAC])


def encode_service(dscp: int) -> bytes:
    """The value of a Class of Service TLV as a sender makes it: it asks for replies with this DSCP."""
    return SERVICE.pack((dscp & 0x3F) << 10, 0)


def answer_service(value: int, tos: int, permitted: frozenset[int]) -> tuple[int, int]:
    """The first 16 bits of a reply's Class of Service TLV, and the IP TOS byte that the reply is to carry.

    `value`: those bits of the request, `tos`: its IP TOS byte. DSCP1 is used where it is among `permitted`, else the
    request's own DSCP, and RP says so (RFC 8972 §4.4 with erratum 8199).
    """
    wanted, received, congestion = value >> 10, tos >> 2, tos & 3
    used = wanted in permitted
    answer = wanted << 10 | received << 4 | congestion << 2 | (0 if used else _REVERSE_PATH_REFUSED)
    return answer, (wanted if used else received) << 2
