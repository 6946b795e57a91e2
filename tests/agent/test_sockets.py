"""Who listens and what a connection uses, against sockets that the test holds itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from netmesh_agent import sockets

# It drops its rights once it has its modules: others may not be allowed to read them.
PROBE = """
import os, sys
from netmesh_agent import sockets
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(sockets.congestion_control_of(sys.argv[1], int(sys.argv[2])), sockets.listening("tcp", int(sys.argv[2])))
"""
# /proc/net/tcp of an iperf3 server on 61863 with a connection to it, and a listener of another port.
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:F1A7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 81234 1 0000 100 0 0 10 0
   1: 0100007F:24C2 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 70001 1 0000 100 0 0 10 0
   2: 0100007F:F1A7 0100007F:B2C6 01 00000000:00000000 00:00000000 00000000     0        0 81240 1 0000 20 4 30 10 -1
"""


def listener(family: int = socket.AF_INET, address: str = "127.0.0.1") -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind((address, 0))
    made.listen()
    return made


@contextmanager
def connection(
    *names: str, family: int = socket.AF_INET, address: str = "127.0.0.1", server: str = "127.0.0.1"
) -> Iterator[int]:
    """Live connections to one port, each with its congestion control; gives the port."""
    with ExitStack() as held:
        door = held.enter_context(listener(socket.AF_INET6 if ":" in server else socket.AF_INET, server))
        port: int = door.getsockname()[1]
        for name in names:
            client = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
            client.connect((address, port))
            held.enter_context(door.accept()[0])
        yield port


def test_table_of_sockets() -> None:
    found = list(sockets.parse_table(TABLE))
    assert [(one.port, one.state, one.inode) for one in found] == [
        (61863, 0x0A, 81234),
        (9410, 0x0A, 70001),
        (61863, 0x01, 81240),
    ]


def test_table_that_is_none() -> None:
    with pytest.raises(ValueError, match="not a line"):
        list(sockets.parse_table("header\nInter-|   Receive"))


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")])
def test_tcp_listener_is_seen_with_its_inode(family: int, address: str) -> None:
    with listener(family, address) as door:
        port = door.getsockname()[1]
        inode = os.fstat(door.fileno()).st_ino
        assert sockets.listening("tcp", port)
        assert sockets.listening_inodes("tcp", port) == {inode}
        assert inode in sockets.inodes_of(os.getpid())
        assert not sockets.listening("udp", port)
    assert not sockets.listening("tcp", port)


def test_diagnosis_and_table_agree_on_listeners() -> None:
    """What answers where the kernel has no sock_diag is the same."""
    with listener() as one, listener(socket.AF_INET6, "::1") as other:
        ports = {one.getsockname()[1], other.getsockname()[1]}
        diagnosed = {(b.port, b.inode) for b in sockets._diagnosed_listeners() if b.port in ports}
        tabled = {(b.port, b.inode) for b in sockets._tabled("tcp") if b.port in ports and b.state == 0x0A}
        assert len(diagnosed) == 2
        assert diagnosed == tabled


def test_bound_and_connected_tcp_sockets_do_not_listen() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not sockets.listening("tcp", bound.getsockname()[1])
        with listener() as door:
            bound.connect(door.getsockname())
            accepted, _ = door.accept()
            with accepted:
                assert not sockets.listening("tcp", bound.getsockname()[1])
                port = door.getsockname()[1]
                assert sockets.listening_inodes("tcp", port) == {os.fstat(door.fileno()).st_ino}


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_udp_socket_listens_when_bound(family: int, address: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.bind((address, 0))
        port = bound.getsockname()[1]
        assert sockets.listening_inodes("udp", port) == {os.fstat(bound.fileno()).st_ino}
        assert not sockets.listening("tcp", port)
    assert not sockets.listening("udp", port)


def test_unknown_protocol() -> None:
    with pytest.raises(ValueError, match="sctp"):
        sockets.listening("sctp", 1)


def test_sockets_of_a_process_that_is_gone() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert sockets.inodes_of(child.pid) == frozenset()


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_congestion_control_in_use(name: str) -> None:
    with connection(name, name) as port:
        assert sockets.congestion_control_of("127.0.0.1", port) == name
        assert sockets.congestion_control_of("127.0.0.2", port) is None
    assert sockets.congestion_control_of("127.0.0.1", port) is None


def test_congestion_control_over_ipv6() -> None:
    with connection("reno", family=socket.AF_INET6, address="::1", server="::1") as port:
        assert sockets.congestion_control_of("::1", port) == "reno"
        assert sockets.congestion_control_of("127.0.0.1", port) is None


def test_congestion_control_of_a_mapped_address() -> None:
    with connection("reno", family=socket.AF_INET6, address="::ffff:127.0.0.1") as port:
        assert sockets.congestion_control_of("127.0.0.1", port) == "reno"
        assert sockets.congestion_control_of("::ffff:127.0.0.1", port) == "reno"


def test_connections_that_differ_have_no_one_congestion_control() -> None:
    with connection("reno", "cubic") as port:
        assert sockets.congestion_control_of("127.0.0.1", port) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_needs_no_rights() -> None:
    with connection("reno") as port:
        command = [sys.executable, "-c", PROBE, "127.0.0.1", str(port)]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        assert told.stdout.split() == ["reno", "True"]
