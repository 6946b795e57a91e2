"""Sender and reflector over real sockets of this host, in one event loop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import cases

from netmesh_agent.stamp import kernel, packets, timestamps, tlvs
from netmesh_agent.stamp.datagrams import SLOT_BYTES
from netmesh_agent.stamp.flow import Flow
from netmesh_agent.stamp.link import Link
from netmesh_agent.stamp.reflection import Received, Session
from netmesh_agent.stamp.reflector import SESSIONS_PER_PEER, Reflector
from netmesh_agent.stamp.sender import Sender
from netmesh_agent.stamp.sending import SendingPort
from netmesh_agent.stamp.window import Window, fold

KEY = b"l" * 32
SSID = 500


async def measure(
    reflector: Reflector, address: str, *, seconds: float = 0.4, ptp: bool = False, **options: object
) -> tuple[Sender, list[Window]]:
    port = reflector.open(address, 0)
    sender = Sender(tick_seconds=0.002, ptp=ptp, clock_error=lambda: 0.001)
    sender.open(address, [0, 0, 0])
    try:
        peer = sender.add(address, port, SSID, interval_seconds=0.002, **options)  # type: ignore[arg-type]  # of each test
        await asyncio.sleep(seconds)
        return sender, await sender.finish(peer)
    finally:
        sender.close()
        reflector.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("key", [None, KEY], ids=["open", "sealed"])
@pytest.mark.parametrize("size", [None, 400])
async def test_a_measurement(address: str, key: bytes | None, size: int | None) -> None:
    reflector = Reflector(clock_error=lambda: 0.002)
    reflector.provision(address, SSID, key=key)
    _, windows = await measure(reflector, address, key=key, packet_bytes=size)
    total = fold(windows)
    assert total.sent == total.received > 20
    assert reflector.counts.reflected >= total.sent
    assert (total.lost, total.forward_lost, total.return_lost, total.duplicates) == (0, 0, 0, 0)
    assert total.transmit_kernel
    assert total.receive_kernel
    assert total.reflector_kernel
    assert total.follow_up
    assert (len(total.network), total.incomplete) == (total.sent, 0)
    assert all(0 < network < trip for network, trip in zip(total.network, total.round_trip, strict=False))
    assert total.one_way_error_nanoseconds is not None
    assert 3_000_000 <= total.one_way_error_nanoseconds < 3_100_000
    assert len({window.sent for window in windows} | {max(window.sent for window in windows) - 1}) <= 2


@pytest.mark.parametrize(("mine", "its"), [(True, False), (False, True), (True, True)])
async def test_mixed_formats(mine: bool, its: bool) -> None:
    reflector = Reflector(clock_error=lambda: 0.002, ptp=its)
    reflector.provision(None, SSID)
    _, windows = await measure(reflector, "127.0.0.1", ptp=mine)
    total = fold(windows)
    assert total.received == total.sent
    assert all(0 < network < 1_000_000_000 for network in total.network)
    # Whether a PTP stamp has the leap seconds in it is not known.
    assert (total.one_way_error_nanoseconds is None) == its


async def test_a_reflector_without_tlvs_or_state() -> None:
    # As a plain RFC 8762 reflector answers: what is behind the base packet comes back untouched, no SSID.
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain.bind(("127.0.0.1", 0))
    plain.setblocking(False)
    stamp = timestamps.ntp_from_nanoseconds

    def answer() -> None:
        packet, source = plain.recvfrom(2048)
        request = packets.decode_request(packet)
        assert request is not None
        now = stamp(time.time_ns())
        reply = packets.Reply(request.sequence, now, 0x0101, 0, now, *request[:3], 64)
        plain.sendto(packets.encode_reply(reply, tlvs=packet[44:]), source)

    asyncio.get_running_loop().add_reader(plain, answer)
    sender = Sender(tick_seconds=0.002)
    sender.open("127.0.0.1", [0])
    try:
        peer = sender.add("127.0.0.1", plain.getsockname()[1], SSID, interval_seconds=0.005)
        await until(lambda: peer.links[0].flow.sequence > 20)
        total = fold(await sender.finish(peer))
    finally:
        sender.close()
        asyncio.get_running_loop().remove_reader(plain)
        plain.close()
    assert total.received == total.sent == len(total.network) > 10
    assert (total.follow_up, total.reflector_kernel) == (False, False)
    assert total.one_way_error_nanoseconds is None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
async def reflector() -> AsyncIterator[Reflector]:
    made = Reflector()
    yield made
    made.close()


def ask(port: int, packet: bytes, source: socket.socket | None = None) -> None:
    with source or socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(packet, ("127.0.0.1", port))


async def exchange(port: int, packet: bytes, *, seconds: float = 10, tos: int = 0) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        sock.sendto(packet, ("127.0.0.1", port))
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 65535), seconds)
        except TimeoutError:
            return None


@pytest.mark.parametrize(("length", "answer"), [(14, 44), (43, 44), (44, 44), (60, 60), (1400, 1400)])
async def test_lengths_on_the_wire(reflector: Reflector, length: int, answer: int) -> None:
    # Below 16 bytes a packet has no SSID, which counts as none.
    reflector.provision("127.0.0.1", SSID if length >= 16 else 0)
    port = reflector.open("127.0.0.1", 0)
    packet = packets.encode_request(packets.Request(1, 2, 0x0101, SSID), tlvs=bytes(1400))[:length]
    reply = await exchange(port, packet)
    assert reply is not None
    assert len(reply) == answer


async def test_only_provisioned_peers_and_ssids_are_answered(reflector: Reflector) -> None:
    reflector.provision("127.0.0.1", SSID)
    reflector.provision("127.0.0.2", SSID + 1)
    reflector.provision("127.0.0.1", SSID + 2, key=KEY)
    port = reflector.open("127.0.0.1", 0)
    request = packets.Request(1, 2, 0x0101, SSID)
    other = request._replace(ssid=SSID + 2)
    assert await exchange(port, packets.encode_request(request)) is not None
    assert await exchange(port, packets.encode_request(other, key=KEY)) is not None
    for refused in (
        packets.encode_request(request._replace(ssid=SSID + 1)),
        packets.encode_request(request._replace(ssid=0)),
        packets.encode_request(other),
        packets.encode_request(other, key=b"wrong"),
        packets.encode_request(request, key=KEY),
        packets.encode_request(request)[:13],
        packets.encode_request(request, tlvs=bytes(SLOT_BYTES)),
    ):
        assert await exchange(port, refused, seconds=0.1) is None
    assert reflector.counts.refused == 7
    reflector.withdraw("127.0.0.1", SSID)
    assert await exchange(port, packets.encode_request(request), seconds=0.1) is None


async def test_sessions_of_a_peer_are_bounded(reflector: Reflector) -> None:
    reflector.provision("127.0.0.1", SSID)
    port = reflector.open("127.0.0.1", 0)
    for _ in range(SESSIONS_PER_PEER + 20):
        ask(port, packets.encode_request(packets.Request(0, 1, 0x0101, SSID)))
    await until(lambda: reflector.counts.reflected >= SESSIONS_PER_PEER + 20)
    assert reflector.counts.reflected == SESSIONS_PER_PEER + 20
    assert len(reflector._sessions) == SESSIONS_PER_PEER


async def test_ttl_and_class_of_service_of_the_real_packet(reflector: Reflector) -> None:
    reflector.provision(None, SSID, dscps=frozenset({10}))
    port = reflector.open("127.0.0.1", 0)
    area = tlvs.encode(tlvs.CLASS_OF_SERVICE, tlvs.encode_service(10))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        kernel.enable_header_fields(sock)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 46 << 2)
        sock.sendto(packets.encode_request(packets.Request(0, 1, 0x0101, SSID), tlvs=area), ("127.0.0.1", port))
        await asyncio.sleep(0.05)
        data, ancillary, _, _ = sock.recvmsg(2048, 256, socket.MSG_DONTWAIT)
    reply = packets.decode_reply(data)
    assert reply is not None
    assert reply.sender_ttl == 33
    # DSCP 46 came, DSCP 10 was wished for and granted.
    assert data[48:50] == (10 << 10 | 46 << 4).to_bytes(2, "big")
    assert (socket.IPPROTO_IP, socket.IP_TOS, bytes([10 << 2])) in ancillary


async def test_a_sender_takes_nothing_from_strangers(reflector: Reflector) -> None:
    reflector.provision(None, SSID)
    port = reflector.open("127.0.0.1", 0)
    sender = Sender(tick_seconds=0.01)
    sender.open("127.0.0.1", [0])
    try:
        peer = sender.add("127.0.0.1", port, SSID, interval_seconds=0.01)
        for number in range(20):
            forged = packets.encode_reply(packets.Reply(number, 1, 0x0101, SSID, 1, number, 1, 0x0101, 64))
            ask(sender.source_ports[0], forged)
            ask(sender.source_ports[0], forged[: number * 2])
            await asyncio.sleep(0.005)
        total = fold(await sender.finish(peer))
        assert sum(one.foreign for one in sender._ports) == 40
    finally:
        sender.close()
    assert total.received == total.sent
    assert (total.duplicates, total.late, total.forward_lost, total.return_lost) == (0, 0, 0, 0)


async def test_impossible_sizes_and_peers() -> None:
    sender = Sender()
    sender.open("127.0.0.1", [0])
    try:
        for size in (43, 50, 75):
            with pytest.raises(ValueError, match="bytes"):
                sender.add("127.0.0.1", 9, SSID, interval_seconds=1, packet_bytes=size)
        sender.add("127.0.0.1", 9, SSID, interval_seconds=1)
        with pytest.raises(ValueError, match="already"):
            sender.add("127.0.0.1", 9, SSID + 1, interval_seconds=1)
    finally:
        sender.close()


async def test_probes_that_the_kernel_refuses_disturb_no_others(
    reflector: Reflector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether a refused probe used up a number of the error queue differs, so that the numbering begins again: what is
    # left in the queue must not keep the process awake.
    woken = 0
    ready = SendingPort._ready

    def counted(port: SendingPort) -> int:
        nonlocal woken
        woken += 1
        return ready(port)

    monkeypatch.setattr(SendingPort, "_ready", counted)
    reflector.provision("127.0.0.1", SSID)
    port = reflector.open("127.0.0.1", 0)
    sender = Sender(tick_seconds=0.01)
    sender.open("127.0.0.1", [0])
    try:
        good = sender.add("127.0.0.1", port, SSID, interval_seconds=0.01, timeout_seconds=20)
        # EACCES: nobody allowed this socket to broadcast.
        bad = sender.add("255.255.255.255", port, SSID, interval_seconds=0.02)
        await until(lambda: sender.unsent() > 5 and good.links[0].flow.sequence > 20)
        sender.remove(bad)
        # From here on no batch has a refused one: the numbering is right again.
        sent = good.links[0].flow.sequence
        await until(lambda: good.links[0].flow.sequence > sent + 20)
        total = fold(await sender.finish(good))
        unsent = sender.unsent()
    finally:
        sender.close()
    assert unsent > 5
    assert total.received == total.sent > 20
    assert len(total.network) > 5
    assert woken < 10 * total.sent


_LINK = Link(
    Flow(capacity=64, timeout_nanoseconds=10**9, settle_nanoseconds=2 * 10**9),
    b"",
    SSID,
    key=None,
    packet_bytes=None,
    error=0x0101,
)
_SEALED_LINK = Link(
    Flow(capacity=64, timeout_nanoseconds=10**9, settle_nanoseconds=2 * 10**9),
    b"",
    SSID,
    key=KEY,
    packet_bytes=None,
    error=0x0101,
)


@settings(max_examples=cases(1000), deadline=None)
@given(
    st.booleans(),
    st.binary(max_size=220),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 159), st.integers(0, 255)), max_size=6),
)
def test_hostile_replies_to_a_sender(sealed: bool, raw: bytes, kind: int, changes: list[tuple[int, int]]) -> None:
    """Whatever comes back, the sender goes on, and counts no more answers than it sent probes."""
    link = _SEALED_LINK if sealed else _LINK
    flow = link.flow
    now = 1_795_000_000_000_000_000 + flow.sequence * 1_000_000
    stamp = timestamps.ntp_from_nanoseconds(now)
    wire = flow.sent(stamp, now)
    buffer = bytearray(512)
    link.write(buffer, 0, wire, stamp)
    received = Received(now + 1000, kernel=True, ttl=64, tos=0)
    length = Session(key=link.key).reflect(buffer, 0, link.length, received, 0x0101, now + 2000)
    if kind == 0:
        buffer[: len(raw)], length = raw, len(raw)
    elif kind == 1:
        length = min(length, len(raw))
    for place, value in changes:
        buffer[place] = value
    link.read(buffer, 0, length, now + 3000, now + 4000)
    flow.settle(now + 10**12)
    window = flow.take(None)
    assert window.received + window.lost == window.sent == 1
    assert window.lost in {0, 1}
    assert len(window.network) + window.incomplete == window.received
