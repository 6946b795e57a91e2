"""What the kernel counts, against what is known to have happened."""

from __future__ import annotations

import socket
from pathlib import Path

from netmesh_agent.inspection import inspect, parse_neighbours, parse_snmp, parse_softnet


def test_counters_by_group_and_name() -> None:
    text = (
        "Ip: Forwarding DefaultTTL InDiscards OutDiscards\nIp: 1 64 3 4\n"
        "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 9 8 7 6 5 4\n"
        "UdpLite: InDatagrams RcvbufErrors\nUdpLite: 1 1\n"
    )
    assert parse_snmp(text) == {
        "Ip.InDiscards": 3,
        "Ip.OutDiscards": 4,
        "Udp.NoPorts": 8,
        "Udp.InErrors": 7,
        "Udp.RcvbufErrors": 5,
        "Udp.SndbufErrors": 4,
    }
    assert parse_snmp("") == {}


def test_a_row_a_core_in_hexadecimal() -> None:
    row = "0000{:04x} 0000000a 0000000{} 00000000"
    assert parse_softnet(f"{row.format(16, 1)}\n{row.format(17, 2)}\n") == {
        "softnet.dropped": 20,
        "softnet.squeezed": 3,
    }
    assert parse_softnet("") == {}
    assert parse_softnet("00000001\n") == {}


def test_neighbours_that_do_not_answer_are_incomplete() -> None:
    text = (
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.0.0.1         0x1         0x2         52:54:00:00:00:01     *        eth0\n"
        "10.0.0.9         0x1         0x0         00:00:00:00:00:00     *        eth0\n"
    )
    assert parse_neighbours(text) == {"neighbours.complete": 1, "neighbours.incomplete": 1}


def test_datagrams_that_find_no_room_are_counted() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        full.bind(("127.0.0.1", 0))
        before = inspect().counters["Udp.RcvbufErrors"]
        for _ in range(100):
            sender.sendto(b"x" * 1000, full.getsockname())
        full.setblocking(False)
        arrived = 0
        try:
            while full.recv(2000):
                arrived += 1
        except BlockingIOError:
            pass
        assert inspect().counters["Udp.RcvbufErrors"] - before == 100 - arrived > 0


def test_settings_are_the_kernels_words() -> None:
    settings = inspect().settings
    assert settings["tcp_rmem"] == Path("/proc/sys/net/ipv4/tcp_rmem").read_text().strip()
    assert "nf_conntrack_max" not in settings or settings["nf_conntrack_max"].isdecimal()
