"""The path's MTU, in a network whose MTU is known."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest
from tests.agent.probes.conftest import NARROW_BYTES, WIDE_BYTES, Network
from tests.agent.probes.support import OWN, ask, ended, free_port, read, server

from netmesh_agent.probes import path_mtu
from netmesh_agent.tools.base import Failure, Reading, Spec

_FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])


def search(network: Network, family: int) -> Reading:
    spec, port = Spec("path-mtu", "netmesh", family=family), free_port()
    address = network.address("b", family)
    with server(spec, address, port, network.b):
        return read(spec, address, port, network.a)


def found(reading: Reading) -> tuple[float, float, float, float]:
    there, back = reading.values, reading.reported
    return (
        there["mtu_bytes"].mean,
        there["black_hole"].mean,
        back["reverse_mtu_bytes"],
        back["reverse_black_hole"],
    )


@_FAMILIES
def test_a_narrow_link_that_tells(network: Network, family: int) -> None:
    assert found(search(network, family)) == (NARROW_BYTES, 0, NARROW_BYTES, 0)


@_FAMILIES
def test_a_black_hole_there_alone(network: Network, family: int) -> None:
    network.silence(network.r1)
    assert found(search(network, family)) == (NARROW_BYTES, 1, NARROW_BYTES, 0)


@_FAMILIES
def test_a_black_hole_back_alone(network: Network, family: int) -> None:
    network.silence(network.r2)
    assert found(search(network, family)) == (NARROW_BYTES, 0, NARROW_BYTES, 1)


@_FAMILIES
def test_another_mtu_each_way(network: Network, family: int) -> None:
    route = {
        4: "ip -4 route change 10.211.1.0/24 via 10.211.2.1",
        6: "ip -6 route change fd00:211:1::/64 via fd00:211:2::1",
    }
    network.run(network.r2, f"{route[family]} mtu 1300")
    try:
        assert found(search(network, family)) == (NARROW_BYTES, 0, 1300, 0)
    finally:
        network.run(network.r2, f"{route[family]} mtu {NARROW_BYTES}")


@_FAMILIES
def test_the_device_is_the_limit_where_nothing_else_is(network: Network, family: int) -> None:
    spec, port = Spec("path-mtu", "netmesh", family=family), free_port()
    address = {4: "10.211.1.2", 6: "fd00:211:1::2"}[family]
    with server(spec, address, port, network.r1):
        assert found(read(spec, address, port, network.a)) == (WIDE_BYTES, 0, WIDE_BYTES, 0)


@_FAMILIES
def test_ordinary_loss_is_no_limit(network: Network, family: int) -> None:
    program = {4: "iptables", 6: "ip6tables"}[family]
    network.run(network.r1, f"{program} -A FORWARD -p udp -m statistic --mode random --probability 0.1 -j DROP")
    assert found(search(network, family)) == (NARROW_BYTES, 0, NARROW_BYTES, 0)


@_FAMILIES
def test_failures_have_a_code(network: Network, family: int) -> None:
    spec, address = Spec("path-mtu", "netmesh", family=family), network.address("b", family)
    port = free_port()
    nobody = ask(spec, address, port, network.a)
    assert isinstance(nobody, Failure)
    assert nobody.code == "refused"
    network.run(network.r1, f"{'iptables' if family == 4 else 'ip6tables'} -A FORWARD -p udp -j DROP")
    with server(spec, address, port, network.b):
        silent = ask(spec, address, port, network.a)
    assert isinstance(silent, Failure)
    assert silent.code == "timeout"
    nowhere = ask(spec, {4: "10.212.0.1", 6: "fd00:212::1"}[family], port, network.a)
    assert isinstance(nowhere, Failure)
    assert nowhere.code == "unreachable"


@_FAMILIES
def test_loopback(family: int) -> None:
    spec, port, address = Spec("path-mtu", "netmesh", family=family), free_port(), {4: "127.0.0.1", 6: "::1"}[family]
    with server(spec, address, port) as process:
        assert found(read(spec, address, port)) == (65_535, 0, 65_535, 0)
        counts = counted(spec, process)
    assert counts["server_answered_packets"] >= 3


def counted(spec: Spec, process: subprocess.Popen[str]) -> dict[str, float]:
    reading = OWN.parse_server(spec, ended(process))
    assert isinstance(reading, Reading), reading
    return dict(reading.reported)


def test_the_server_gives_nobody_more_than_it_got() -> None:
    """A padded answer goes only to who shows the token that was sent to its own address and port."""
    spec, port = Spec("path-mtu", "netmesh"), free_port()
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with one, other, server(spec, "127.0.0.1", port):
        for sock in (one, other):
            sock.connect(("127.0.0.1", port))
            sock.settimeout(0.3)

        def answers(sock: socket.socket, payload: bytes) -> bytes | None:
            sock.send(payload)
            try:
                return sock.recv(70_000)
            except TimeoutError:
                return None

        for stray in (b"", b"x", os.urandom(500), path_mtu._write(path_mtu.ASK, os.urandom(8), 9000)):
            assert answers(one, stray) is None
        probe = path_mtu._write(path_mtu.PROBE, bytes(8), 48)
        seen = answers(one, probe)
        assert seen is not None
        assert len(seen) == len(probe)
        message = path_mtu._read(seen)
        assert message is not None
        ask_for = path_mtu._write(path_mtu.ASK, message[1], 9000)
        assert answers(other, ask_for) is None
        padded = answers(one, ask_for)
        assert padded is not None
        assert len(padded) + 28 == 9000
        assert answers(one, path_mtu._write(path_mtu.ASK, message[1], 70_000)) is None
