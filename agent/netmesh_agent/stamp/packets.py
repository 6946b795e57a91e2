"""The packets of STAMP: RFC 8762 §4.2 and §4.3, with the session identifier of RFC 8972 §3. Pure.

Stamps stand here as the 64 bits of the wire; `timestamps` reads them.
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

# Sizes of the base packets, the same in both directions (RFC 8762 §4.2).
OPEN_BYTES = 44
SEALED_BYTES = 112
# What a sender's packet needs at least: sequence number, time stamp and error estimate.
SHORTEST_BYTES = 14
HMAC_BYTES = 16
HMAC_AT = SEALED_BYTES - HMAC_BYTES

# Sequence, time stamp, error estimate, SSID.
OPEN_REQUEST = struct.Struct(">IQHH28x")
SEALED_REQUEST = struct.Struct(">I12xQHH68x")
# Sequence, T3, error estimate, SSID, T2, the sender's sequence, T1, error estimate and TTL.
OPEN_REPLY = struct.Struct(">IQHHQIQH2xB3x")
SEALED_REPLY = struct.Struct(">I12xQHH4xQ8xI12xQH6xB15x")

OPEN_SSID_AT = 14
SEALED_SSID_AT = 26

MASK_32 = 0xFFFFFFFF


class Request(NamedTuple):
    """A Session-Sender's packet. `stamp` is T1."""

    sequence: int
    stamp: int
    error_estimate: int
    ssid: int = 0


class Reply(NamedTuple):
    """A Session-Reflector's packet. `stamp` is T3, `received_stamp` T2, `sender_stamp` T1."""

    sequence: int
    stamp: int
    error_estimate: int
    ssid: int
    received_stamp: int
    sender_sequence: int
    sender_stamp: int
    sender_error_estimate: int
    sender_ttl: int


def seal(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """HMAC-SHA-256 cut to 16 bytes (RFC 8762 §4.4)."""
    return hmac.digest(key, data, "sha256")[:HMAC_BYTES]


def encode_request(request: Request, *, key: bytes | None = None, tlvs: bytes = b"") -> bytes:
    """A sender's packet: 44 bytes, or 112 with a key, and the TLVs behind it."""
    if key is None:
        return OPEN_REQUEST.pack(*request) + tlvs
    base = SEALED_REQUEST.pack(*request)
    return base + seal(key, base) + tlvs


def encode_reply(reply: Reply, *, key: bytes | None = None, tlvs: bytes = b"") -> bytes:
    """A reflector's packet: 44 bytes, or 112 with a key, and the TLVs behind it."""
    if key is None:
        return OPEN_REPLY.pack(*reply) + tlvs
    base = SEALED_REPLY.pack(*reply)
    return base + seal(key, base) + tlvs


def sealed_well(packet: bytes | bytearray | memoryview, key: bytes) -> bool:
    """Whether an authenticated packet carries the right HMAC; False for one that is too short."""
    if len(packet) < SEALED_BYTES:
        return False
    return hmac.compare_digest(seal(key, packet[:HMAC_AT]), bytes(packet[HMAC_AT:SEALED_BYTES]))


def decode_request(packet: bytes, *, key: bytes | None = None) -> Request | None:
    """What a sender's packet says; None for one that is not answered.

    Bytes that a short unauthenticated packet lacks count as zero; below 14 it has no time stamp and is none.
    """
    if key is not None:
        return Request(*SEALED_REQUEST.unpack_from(packet)) if sealed_well(packet, key) else None
    if len(packet) < SHORTEST_BYTES:
        return None
    return Request(*OPEN_REQUEST.unpack_from(packet.ljust(OPEN_BYTES, b"\0")))


def decode_reply(packet: bytes, *, key: bytes | None = None) -> Reply | None:
    """What a reflector's packet says; None for one that is too short, or whose HMAC is wrong."""
    if key is not None:
        return Reply(*SEALED_REPLY.unpack_from(packet)) if sealed_well(packet, key) else None
    return Reply(*OPEN_REPLY.unpack_from(packet)) if len(packet) >= OPEN_BYTES else None
