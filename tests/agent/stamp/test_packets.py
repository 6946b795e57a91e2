"""Byte for byte against scapy's STAMP layer, in both directions, and by hand where scapy has no layer."""

from __future__ import annotations

import hashlib
import hmac
import logging
import struct
from typing import Any

import pytest

from netmesh_agent.stamp import packets, timestamps, tlvs

logging.getLogger("scapy").setLevel(logging.ERROR)
stamp = pytest.importorskip("scapy.contrib.stamp", reason="scapy, the packets' oracle, is not installed")

KEY = b"k" * 32
# scapy reads a stamp of the NTP format as seconds since 1900, a binary fraction behind the point.
T1, T2, T3 = 0xEE12345680000000, 0xEE12345681000000, 0xEE12345682000000
REQUEST = packets.Request(0xFFFFFFFF, T1, 0x8A7F, 0x1234)
REPLY = packets.Reply(7, T3, 0x8B01, 0x1234, T2, 0xFFFFFFFF, T1, 0x0101, 63)


def _estimate(field: int) -> Any:
    return stamp.ErrorEstimate(S=field >> 15, Z=field >> 14 & 1, scale=field >> 8 & 0x3F, multiplier=field & 0xFF)


def _seconds(ntp: int) -> float:
    return ntp / 2**32


def _request() -> Any:
    return stamp.STAMPSessionSenderTestUnauthenticated(
        seq=REQUEST.sequence, ts=_seconds(T1), err_estimate=_estimate(REQUEST.error_estimate), ssid=REQUEST.ssid
    )


def _reply() -> Any:
    return stamp.STAMPSessionReflectorTestUnauthenticated(
        seq=REPLY.sequence,
        ts=_seconds(T3),
        err_estimate=_estimate(REPLY.error_estimate),
        ssid=REPLY.ssid,
        ts_rx=_seconds(T2),
        seq_sender=REPLY.sender_sequence,
        ts_sender=_seconds(T1),
        err_estimate_sender=_estimate(REPLY.sender_error_estimate),
        ttl_sender=REPLY.sender_ttl,
    )


def test_scapy_writes_the_same_bytes() -> None:
    assert packets.encode_request(REQUEST) == bytes(_request())
    assert packets.encode_reply(REPLY) == bytes(_reply())


def test_what_scapy_writes_is_read() -> None:
    assert packets.decode_request(bytes(_request())) == REQUEST
    assert packets.decode_reply(bytes(_reply())) == REPLY


def test_scapy_reads_requests_with_their_tlvs() -> None:
    area = tlvs.request_tlvs(100 - packets.OPEN_BYTES)
    read = stamp.STAMPSessionSenderTestUnauthenticated(packets.encode_request(REQUEST, tlvs=area))
    assert (read.seq, read.ssid, read.err_estimate.scale, read.mbz) == (0xFFFFFFFF, 0x1234, 0x0A, 0)
    told = [(int(tlv.flags), tlv.type, tlv.len) for tlv in read.tlv_objects]
    # scapy counts the bits of flags from the lowest: U is the highest, 0x80.
    assert told == [(0x80, 7, 16), (0x80, 3, 4), (0x80, 1, 100 - 44 - 20 - 8 - 4)]


def test_scapy_reads_replies() -> None:
    read = stamp.STAMPSessionReflectorTestUnauthenticated(packets.encode_reply(REPLY))
    assert (read.seq, read.seq_sender, read.ttl_sender, read.ssid) == (7, 0xFFFFFFFF, 63, 0x1234)
    assert (read.err_estimate.S, read.err_estimate_sender.S) == (1, 0)


def test_ptp_stamps_stand_where_scapy_puts_them() -> None:
    moment = 1_795_000_000_000_000_017
    field = timestamps.encode_error_estimate(None, ptp=True)
    made = packets.encode_request(packets.Request(1, timestamps.ptp_from_nanoseconds(moment), field, 2))
    read = stamp.STAMPSessionSenderTestUnauthenticated(made)
    assert read.err_estimate.Z == 1
    assert read.ts == 1_795_000_000 << 32 | 17


def test_sizes() -> None:
    assert len(packets.encode_request(REQUEST)) == len(packets.encode_reply(REPLY)) == 44
    assert len(packets.encode_request(REQUEST, key=KEY)) == len(packets.encode_reply(REPLY, key=KEY)) == 112


def test_authenticated_request_by_hand() -> None:
    # RFC 8762 §4.2.2 with RFC 8972 figure 2.
    made = packets.encode_request(REQUEST, key=KEY)
    assert struct.unpack_from(">I", made)[0] == REQUEST.sequence
    assert made[4:16] == bytes(12)
    assert struct.unpack_from(">QHH", made, 16) == (T1, 0x8A7F, 0x1234)
    assert made[28:96] == bytes(68)
    assert made[96:] == hmac.new(KEY, made[:96], hashlib.sha256).digest()[:16]
    assert packets.decode_request(made, key=KEY) == REQUEST


def test_authenticated_reply_by_hand() -> None:
    # RFC 8762 §4.3.2 with RFC 8972 figure 4.
    made = packets.encode_reply(REPLY, key=KEY)
    assert struct.unpack_from(">QHH", made, 16) == (T3, 0x8B01, 0x1234)
    assert struct.unpack_from(">Q", made, 32)[0] == T2
    assert struct.unpack_from(">I", made, 48)[0] == 0xFFFFFFFF
    assert struct.unpack_from(">QH", made, 64) == (T1, 0x0101)
    assert made[80] == 63
    assert made[96:] == hmac.new(KEY, made[:96], hashlib.sha256).digest()[:16]
    assert packets.decode_reply(made, key=KEY) == REPLY


@pytest.mark.parametrize("place", [0, 16, 95, 96, 111])
def test_a_changed_authenticated_packet_is_none(place: int) -> None:
    made = bytearray(packets.encode_request(REQUEST, key=KEY))
    made[place] ^= 1
    assert packets.decode_request(bytes(made), key=KEY) is None


def test_short_packets() -> None:
    assert packets.decode_request(bytes(13)) is None
    assert packets.decode_request(packets.encode_request(REQUEST)[:14]) == REQUEST._replace(ssid=0)
    assert packets.decode_request(packets.encode_request(REQUEST, key=KEY)[:111], key=KEY) is None
    assert packets.decode_reply(bytes(43)) is None
