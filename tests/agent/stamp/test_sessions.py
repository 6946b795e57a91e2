"""Leased sessions of the agent's reflector: who is answered, and for how long."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest

from netmesh_agent.errors import Refused
from netmesh_agent.stamp import packets
from netmesh_agent.stamp.sessions import Sessions
from netmesh_agent.tools.base import StampSession

KEY = b"l" * 32
REQUEST = packets.Request(1, 2, 0x0101)


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    made = Sessions(["127.0.0.1", "::1"], 0)
    yield made
    made.close()


async def answered(sessions: Sessions, packet: bytes, address: str = "127.0.0.1") -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def seen() -> int:
        counts = sessions.counts()
        return counts["reflected"] + counts["refused"]

    before = seen()
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(packet, (address, sessions.port))
        async with asyncio.timeout(20):
            while seen() == before:
                await asyncio.sleep(0)
        # An answer over the loopback device is there as soon as it was sent.
        try:
            sock.recv(2048)
        except BlockingIOError:
            return False
        return True


async def test_only_what_is_held_is_answered(sessions: Sessions) -> None:
    for address in ("127.0.0.1", "::1"):
        held = sessions.open(StampSession(0, (address,)))
        ssid = held.session.ssid
        assert ssid
        for number, answer in ((ssid, True), (ssid + 1, True), (ssid + 2, False), (0, False)):
            packet = packets.encode_request(REQUEST._replace(ssid=number))
            assert await answered(sessions, packet, address) == answer
        said = json.loads((await held.end()).output.stdout)
        # The warm-up's is not counted.
        assert (said["reflected"], said["refused"], said["socket_drops"]) == (1, 2, 0)
        assert await held.end() == await held.end()
        assert not await answered(sessions, packets.encode_request(REQUEST._replace(ssid=ssid)), address)


async def test_other_addresses_are_not_answered(sessions: Sessions) -> None:
    held = sessions.open(StampSession(7, ("127.0.0.9",)))
    assert not await answered(sessions, packets.encode_request(REQUEST._replace(ssid=7)))
    await held.end()
    sessions.open(StampSession(7))
    assert await answered(sessions, packets.encode_request(REQUEST._replace(ssid=7)))


async def test_a_key_is_needed_and_never_told(sessions: Sessions) -> None:
    held = sessions.open(StampSession(7, (), KEY))
    request = REQUEST._replace(ssid=7)
    assert await answered(sessions, packets.encode_request(request, key=KEY))
    assert not await answered(sessions, packets.encode_request(request, key=b"m" * 32))
    assert not await answered(sessions, packets.encode_request(request))
    for said in (repr(held.session), held.command, (await held.end()).output.stdout):
        assert KEY.decode() not in said
        assert KEY.hex() not in said


async def test_patient_sessions_wait_for_a_tick_unless_a_test_is_held(sessions: Sessions) -> None:
    patient = sessions.open(StampSession(7), prompt=False)
    request = packets.encode_request(REQUEST._replace(ssid=7))
    assert await answered(sessions, request)
    sessions.answer_on_ticks(True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        # More than a batch of them.
        for _ in range(100):
            sock.sendto(request, ("127.0.0.1", sessions.port))
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            sock.recv(2048)
        sessions.answer_waiting()
        for number in range(100):
            reply = packets.decode_reply(sock.recv(2048))
            assert reply is not None
            assert reply.sequence == number
            # When it came is the kernel's word, however late it was read.
            assert reply.received_stamp < reply.stamp
    test = sessions.open(StampSession(9))
    assert await answered(sessions, request)
    await test.end()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(request, ("127.0.0.1", sessions.port))
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            sock.recv(2048)
        # Nobody ticks any more: it is answered at once.
        sessions.answer_on_ticks(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2048), 20)
    assert json.loads((await patient.end()).output.stdout)["reflected"] == 103


async def test_sessions_do_not_meet(sessions: Sessions) -> None:
    sessions.open(StampSession(7))
    for ssid in (6, 7, 8):
        with pytest.raises(Refused) as refused:
            sessions.open(StampSession(ssid))
        assert (refused.value.code, refused.value.field) == ("busy", "stamp.ssid")
    taken = {sessions.open(StampSession(0)).session.ssid for _ in range(50)}
    assert len({number for ssid in taken for number in (ssid, ssid + 1)}) == 100


@pytest.mark.parametrize(
    ("session", "field"),
    [
        (StampSession(65535), "stamp.ssid"),
        (StampSession(0, ("example.org",)), "stamp.peers"),
        (StampSession(0, ("127.0.0.1", "")), "stamp.peers"),
        (StampSession(0, (), b"short"), "stamp.key"),
        (StampSession(0, (), b"l" * 65), "stamp.key"),
    ],
)
async def test_what_makes_no_session_is_refused_by_field(sessions: Sessions, session: StampSession, field: str) -> None:
    with pytest.raises(Refused) as refused:
        sessions.open(session)
    assert (refused.value.code, refused.value.field) == ("refused", field)
    assert "short" not in refused.value.message


async def test_a_port_that_another_holds_is_had_once_it_is_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        sessions = Sessions(["127.0.0.1"], other.getsockname()[1])
        with pytest.raises(Refused) as refused:
            sessions.open(StampSession(0))
        assert refused.value.code == "busy"
    try:
        assert sessions.open(StampSession(7)).session.ssid == 7
        assert await answered(sessions, packets.encode_request(REQUEST._replace(ssid=7)))
    finally:
        sessions.close()
