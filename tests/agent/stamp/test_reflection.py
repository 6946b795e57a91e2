"""What a reflector makes of a request: lengths, sequences, TLVs, and bytes that mean harm."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import cases

from netmesh_agent.stamp import packets, timestamps, tlvs
from netmesh_agent.stamp.reflection import Received, Session

KEY = b"s" * 32
NOW = 1_795_000_000_000_000_000
RECEIVED = Received(NOW - 5_000, kernel=True, ttl=61, tos=0xB9)
ERROR = timestamps.encode_error_estimate(0.001)
REQUEST = packets.Request(41, timestamps.ntp_from_nanoseconds(NOW - 10_000), 0x8101, 9)


def reflect(session: Session, packet: bytes, received: Received = RECEIVED, error: int = ERROR) -> bytes:
    room = bytearray(b"\xaa" * 8 + packet.ljust(44, b"\xaa") + b"\xaa" * 8)
    length = session.reflect(room, 8, len(packet), received, error, NOW)
    assert room[:8] == room[8 + max(len(packet), 44) :] == b"\xaa" * 8
    assert length == 0 or length == max(len(packet), 44)
    return bytes(room[8 : 8 + length])


def read(reply: bytes, key: bytes | None = None) -> packets.Reply:
    found = packets.decode_reply(reply, key=key)
    assert found is not None
    return found


@pytest.mark.parametrize(("length", "answer"), [(13, 0), (14, 44), (43, 44), (44, 44), (60, 60), (1400, 1400)])
def test_lengths(length: int, answer: int) -> None:
    packet = packets.encode_request(REQUEST, tlvs=bytes(1400))[:length]
    reply = reflect(Session(), packet)
    assert len(reply) == answer
    if answer:
        assert read(reply).sender_sequence == 41
        # What a short request lacks counts as zero, whatever the memory behind it holds.
        assert read(reply).ssid == (9 if length >= 16 else 0)


def test_reply_carries_what_the_request_said() -> None:
    reply = read(reflect(Session(), packets.encode_request(REQUEST)))
    assert reply == packets.Reply(
        sequence=0,
        stamp=timestamps.ntp_from_nanoseconds(NOW),
        error_estimate=ERROR,
        ssid=9,
        received_stamp=timestamps.ntp_from_nanoseconds(NOW - 5_000),
        sender_sequence=41,
        sender_stamp=REQUEST.stamp,
        sender_error_estimate=0x8101,
        sender_ttl=61,
    )


def test_must_be_zero_is_zero_whatever_came() -> None:
    packet = packets.encode_request(REQUEST)[:16] + b"\xff" * 28
    assert reflect(Session(), packet) == reflect(Session(), packets.encode_request(REQUEST))


def test_stateful_sequence_counts_and_wraps() -> None:
    session = Session()
    assert [read(reflect(session, packets.encode_request(REQUEST))).sequence for _ in range(3)] == [0, 1, 2]
    session.sequence = 0xFFFFFFFF
    assert [read(reflect(session, packets.encode_request(REQUEST))).sequence for _ in range(2)] == [0xFFFFFFFF, 0]


def test_stateless_sequence_is_the_senders() -> None:
    assert read(reflect(Session(stateful=False), packets.encode_request(REQUEST))).sequence == 41


def test_mixed_formats() -> None:
    # The sender's stamp goes back as it came; the reflector's are in its own format.
    request = REQUEST._replace(stamp=timestamps.ptp_from_nanoseconds(NOW - 10_000), error_estimate=0x4101)
    reply = read(reflect(Session(), packets.encode_request(request)))
    assert (reply.sender_stamp, reply.sender_error_estimate) == (request.stamp, 0x4101)
    assert timestamps.nanoseconds_from_stamp(reply.received_stamp, reply.error_estimate, NOW) == NOW - 5_000
    ptp = timestamps.encode_error_estimate(None, ptp=True)
    reply = read(reflect(Session(), packets.encode_request(REQUEST), error=ptp))
    assert reply.received_stamp == timestamps.ptp_from_nanoseconds(NOW - 5_000)


def test_follow_up_tells_the_true_t3_of_an_earlier_reply() -> None:
    session = Session()
    packet = packets.encode_request(REQUEST, tlvs=tlvs.request_tlvs(None))
    assert tlvs.read_answer(reflect(session, packet)[44:]) == (0, 0, tlvs.SW_LOCAL)
    session.follow_ups.append((0, NOW + 777))
    told = tlvs.read_answer(reflect(session, packet)[44:])
    assert told == (0, timestamps.ntp_from_nanoseconds(NOW + 777), tlvs.SW_LOCAL)
    # It is told once: what is not known is zero (RFC 8972 §4.7).
    assert tlvs.read_answer(reflect(session, packet)[44:]) == (0, 0, tlvs.SW_LOCAL)


def test_a_stateless_reflector_tells_no_follow_up() -> None:
    session = Session(stateful=False)
    session.follow_ups.append((0, NOW))
    told = tlvs.read_answer(reflect(session, packets.encode_request(REQUEST, tlvs=tlvs.request_tlvs(None)))[44:])
    assert told == (0, 0, tlvs.SW_LOCAL)


def test_a_t2_of_the_process_is_called_so() -> None:
    packet = packets.encode_request(REQUEST, tlvs=tlvs.request_tlvs(None))
    told = tlvs.read_answer(reflect(Session(), packet, RECEIVED._replace(kernel=False))[44:])
    assert told == (0, 0, tlvs.CONTROL_PLANE)


def tlv(kind: int, value: bytes, flags: int = 0x80, length: int | None = None) -> bytes:
    return struct.pack(">BBH", flags, kind, len(value) if length is None else length) + value


def test_unknown_tlvs_come_back_flagged_u() -> None:
    area = tlv(2, bytes(4)) + tlv(200, b"abc", flags=0) + tlv(tlvs.EXTRA_PADDING, b"\x11" * 5, flags=0xE0)
    answer = reflect(Session(), packets.encode_request(REQUEST, tlvs=area))[44:]
    assert answer == tlv(2, bytes(4)) + tlv(200, b"abc") + tlv(tlvs.EXTRA_PADDING, b"\x11" * 5, flags=0)


@pytest.mark.parametrize(
    "bad",
    [
        tlv(tlvs.CLASS_OF_SERVICE, bytes(5)),
        tlv(tlvs.TIMESTAMP_INFORMATION, bytes(3)),
        tlv(tlvs.FOLLOW_UP_TELEMETRY, bytes(4)),
        tlv(200, b"", length=500),
    ],
)
def test_a_malformed_tlv_is_flagged_m_and_ends_the_work(bad: bytes) -> None:
    behind = tlv(tlvs.TIMESTAMP_INFORMATION, bytes(4))
    answer = reflect(Session(), packets.encode_request(REQUEST, tlvs=tlv(201, b"x") + bad + behind))[44:]
    assert answer == tlv(201, b"x") + bytes([tlvs.MALFORMED]) + bad[1:] + behind


def test_a_follow_up_of_the_wrong_length_is_emptied() -> None:
    bad = tlv(tlvs.FOLLOW_UP_TELEMETRY, b"\xff" * 15)
    answer = reflect(Session(), packets.encode_request(REQUEST, tlvs=bad))[44:]
    assert answer == bytes([tlvs.MALFORMED]) + bad[1:4] + bytes(12) + b"\xff" * 3


def test_class_of_service() -> None:
    packet = packets.encode_request(REQUEST, tlvs=tlv(tlvs.CLASS_OF_SERVICE, tlvs.encode_service(10)))
    # The request came with TOS 0xb9: DSCP 46, ECN 1.
    refused = Session()
    answer = struct.unpack(">HH", reflect(refused, packet)[48:])
    assert (answer, refused.reply_tos) == ((10 << 10 | 46 << 4 | 1 << 2 | 1, 0), 46 << 2)
    permitted = Session(dscps=frozenset({10}))
    answer = struct.unpack(">HH", reflect(permitted, packet)[48:])
    assert (answer, permitted.reply_tos) == ((10 << 10 | 46 << 4 | 1 << 2, 0), 10 << 2)


def sealed(sequence: int, area: bytes, behind: bytes = b"", key: bytes = KEY) -> bytes:
    seal = packets.seal(key, sequence.to_bytes(4, "big") + area)
    return packets.encode_request(REQUEST, key=KEY, tlvs=area + tlv(tlvs.HMAC, seal) + behind)


def test_authenticated_tlvs() -> None:
    area = tlv(tlvs.TIMESTAMP_INFORMATION, bytes(4))
    session = Session(key=KEY)
    session.sequence = 5
    reply = reflect(session, sealed(41, area, behind=tlv(tlvs.EXTRA_PADDING, bytes(9))))
    assert read(reply, KEY).sequence == 5
    answered = reply[112:120]
    assert answered == tlv(tlvs.TIMESTAMP_INFORMATION, bytes([1, 2, 1, 3]), flags=0)
    # RFC 8972 §4.8: the reply's own sequence number and TLVs.
    assert reply[120:140] == tlv(tlvs.HMAC, packets.seal(KEY, (5).to_bytes(4, "big") + answered), flags=0)


@pytest.mark.parametrize(
    "packet",
    [
        sealed(42, tlv(200, b"abcd")),
        sealed(41, tlv(200, b"abcd"), key=b"another"),
        sealed(41, tlv(200, b"abcd"), behind=tlv(201, b"")),
        packets.encode_request(REQUEST, key=KEY, tlvs=tlv(200, b"abcd")),
    ],
    ids=["sequence", "key", "something behind", "none"],
)
def test_tlvs_that_fail_verification_come_back_flagged_i(packet: bytes) -> None:
    reply = reflect(Session(key=KEY), packet)
    found = tlvs.walk(reply[112:])
    assert found
    assert all(one.flags == tlvs.INTEGRITY for one in found)
    assert [packet[112 + one.start + 1 : 112 + one.end] for one in found] == [
        reply[112 + one.start + 1 : 112 + one.end] for one in found
    ]


def test_padding_alone_needs_no_hmac() -> None:
    packet = packets.encode_request(REQUEST, key=KEY, tlvs=tlv(tlvs.EXTRA_PADDING, bytes(8)))
    assert reflect(Session(key=KEY), packet)[112:] == tlv(tlvs.EXTRA_PADDING, bytes(8), flags=0)


def test_authenticated_short_or_false_packets_are_dropped() -> None:
    good = packets.encode_request(REQUEST, key=KEY)
    assert reflect(Session(key=KEY), good)
    assert reflect(Session(key=KEY), good[:111]) == b""
    assert reflect(Session(key=KEY), good[:-1] + bytes([good[-1] ^ 1])) == b""
    assert reflect(Session(key=KEY), packets.encode_request(REQUEST)) == b""


_TLV = st.builds(
    tlv,
    st.sampled_from([0, 1, 2, 3, 4, 7, 8, 255]),
    st.binary(max_size=24),
    st.integers(0, 255),
    st.none() | st.integers(0, 65535),
)
_HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda head, area: head + b"".join(area), st.binary(min_size=44, max_size=44), st.lists(_TLV, max_size=6)
    ),
    st.builds(lambda area, cut: sealed(41, b"".join(area))[:cut], st.lists(_TLV, max_size=4), st.integers(0, 300)),
)
_SESSIONS = {"open": Session(), "stateless": Session(stateful=False), "sealed": Session(key=KEY)}


def _survives(kind: str, packet: bytes) -> None:
    # Sessions live on between packets, as a reflector's do; `reflect` checks the reply's length and its bounds.
    session = _SESSIONS[kind]
    session.follow_ups.append((1, NOW))
    before = session.sequence
    reply = reflect(session, packet)
    if kind == "sealed" and not packets.sealed_well(packet, KEY):
        assert reply == b""
    assert session.sequence == (before if not reply else session.sequence)
    # What it made of the TLVs has the same TLVs in the same places.
    base = 112 if kind == "sealed" else 44
    if len(reply) > base:
        asked, told = tlvs.walk(packet[base:]), tlvs.walk(reply[base:])
        assert [(one.start, one.type, one.length) for one in told] == [
            (one.start, one.type, one.length) for one in asked
        ]


@settings(max_examples=cases(500), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(_SESSIONS)), _HOSTILE)
@example("open", b"")
@example("open", bytes(44) + struct.pack(">BBH", 0, 7, 65535))
def test_hostile_packets(kind: str, packet: bytes) -> None:
    _survives(kind, packet)


def test_ten_thousand_more_hostile_packets() -> None:
    """Drawn without a search for the smallest that fails, which takes most of the time: the seed names them."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    for number in range(cases(10_000)):
        areas = [
            tlv(
                chance.choice((0, 1, 2, 3, 4, 7, 8, 255)),
                chance.randbytes(chance.randint(0, 24)),
                flags=chance.randint(0, 255),
                length=chance.choice((None, chance.randint(0, 65535))),
            )
            for _ in range(chance.randint(0, 5))
        ]
        head = chance.randbytes(44) if chance.random() < 0.5 else b""
        packet = head + b"".join(areas) if head else sealed(41, b"".join(areas))[: chance.randint(0, 300)]
        kind = chance.choice(sorted(_SESSIONS))
        try:
            _survives(kind, packet)
        except Exception as error:
            raise AssertionError(f"packet {number} of seed {seed}: {kind}, {packet.hex()}") from error
