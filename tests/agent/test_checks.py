"""Checks against real sockets: what answers has a time, what does not has its reason."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_agent import dns
from netmesh_agent.checks import MOST_CHECKS, Answer, Check, Checks, ask, verify
from netmesh_agent.errors import Refused


class NameServer(asyncio.DatagramProtocol):
    """Answers with a code; first with a packet that is none of its own."""

    def __init__(self, code: int) -> None:
        self._code = code
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        number = struct.unpack_from("!H", data)[0]
        for answer in ((number + 1) & 0xFFFF, number):
            self._transport.sendto(struct.pack("!HHHHHH", answer, 0x8180 | self._code, 1, 0, 0, 0) + data[12:], addr)


async def listening() -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def closed_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_connection_has_its_time_and_a_closed_port_its_reason() -> None:
    server, port = await listening()
    async with server:
        answer = await ask(Check("a", "tcp-connect", "127.0.0.1", port))
    assert answer.seconds is not None
    assert 0 < answer.seconds < 2
    refused = await ask(Check("a", "tcp-connect", "127.0.0.1", closed_port(socket.SOCK_STREAM)))
    assert (refused.seconds, refused.code) == (None, "refused")
    # Its queue is full, and further ones are not answered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        silent = await ask(Check("a", "tcp-connect", *full.getsockname()), 0.2)
        for one in waiting:
            one.close()
    assert (silent.seconds, silent.code) == (None, "timeout")
    # Only the loopback is there: no way leads out.
    away = await ask(Check("a", "tcp-connect", "192.0.2.1", 80))
    assert (away.seconds, away.code) == (None, "unreachable")


@pytest.mark.parametrize(("code", "said"), [(0, ""), (3, "NXDOMAIN"), (2, "SERVFAIL"), (11, "code 11")])
async def test_a_name_server_s_answer(code: int, said: str) -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: NameServer(code), ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    answer = await ask(Check("a", "dns", "127.0.0.1", port, "kubernetes.default.svc.cluster.local."))
    transport.close()
    assert server.asked[0][12:] == b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
    if said:
        assert (answer.seconds, answer.code) == (None, "refused")
        assert said in answer.message
    else:
        assert answer.seconds is not None
    gone = await ask(Check("a", "dns", "127.0.0.1", closed_port(socket.SOCK_DGRAM), "a.b"))
    assert (gone.seconds, gone.code) == (None, "refused")


async def test_the_api_server_is_the_pods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert (await ask(Check("a", "api-server"))).code == "not_supported"
    server, port = await listening()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    async with server:
        assert (await ask(Check("a", "api-server"))).seconds is not None


async def test_windows_have_what_became_of_each_check_once() -> None:
    heard: asyncio.Queue[tuple[Check, Answer]] = asyncio.Queue()
    checks = Checks(lambda check, answer: heard.put_nowait((check, answer)))
    server, port = await listening()
    good = Check("good", "tcp-connect", "127.0.0.1", port)
    bad = Check("bad", "tcp-connect", "127.0.0.1", closed_port(socket.SOCK_STREAM))
    async with server:
        checks.configure((good, bad), 0.05)
        told = [await heard.get() for _ in range(6)]
        results = {one.name: one for one in checks.take()}
        assert {check.name for check, _ in told} == {"good", "bad"}
        assert results["good"].count == sum(check is good for check, _ in told)
        assert (results["bad"].count, results["bad"].code) == (results["bad"].failed, "refused")
        assert 0 < results["good"].p50_seconds <= results["good"].max_seconds
        assert (results["good"].failed, results["good"].code) == (0, "")
        assert not results["bad"].HasField("p50_seconds")
        assert [one.count for one in checks.take()] == [0, 0]
        checks.configure((good,), 0.05)
        assert [one.name for one in checks.take()] == ["good"]
    checks.close()
    assert checks.take() == []


@pytest.mark.parametrize(
    ("checks", "interval"),
    [
        ((Check("a", "ping", "127.0.0.1"),), 10),
        ((Check("a", "tcp-connect", "127.0.0.1", 0),), 10),
        ((Check("a", "dns", "", 0, "a..b"),), 10),
        ((Check("a", "api-server"), Check("a", "api-server")), 10),
        ((Check("a", "api-server"),), 0.5),
        ((Check("a", "api-server"),), float("nan")),
        (tuple(Check(str(n), "api-server") for n in range(MOST_CHECKS + 1)), 10),
    ],
)
def test_what_cannot_be_asked_is_refused(checks: tuple[Check, ...], interval: float) -> None:
    with pytest.raises(Refused):
        verify(checks, interval)


@given(st.binary(max_size=40), st.integers(0, 65535))
def test_any_packet_is_an_answer_or_none(packet: bytes, number: int) -> None:
    code = dns.code_of(packet, number)
    assert code is None or packet[:2] == number.to_bytes(2, "big")
