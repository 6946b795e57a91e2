"""What the kernel counts, against what is known to have happened."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from pyroute2 import IPRoute

from netmesh_agent.inspection import (
    inspect,
    memory_pressure,
    parse_neighbours,
    parse_periods,
    parse_snmp,
    parse_softnet,
)


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


def test_waiting_for_memory_is_counted() -> None:
    text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=65123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99\n"
    assert memory_pressure(text) == {"memory_pressure_milliseconds": 65}
    assert memory_pressure("") == {}


def test_datagrams_that_find_no_room_are_counted() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
        full.bind(("127.0.0.1", 0))
        before = inspect("lo").counters["Udp.RcvbufErrors"]
        for _ in range(100):
            sender.sendto(b"x" * 1000, full.getsockname())
        full.setblocking(False)
        arrived = 0
        try:
            while full.recv(2000):
                arrived += 1
        except BlockingIOError:
            pass
        assert inspect("lo").counters["Udp.RcvbufErrors"] - before == 100 - arrived > 0


def test_periods_of_a_limited_group() -> None:
    text = "usage_usec 5\nnr_periods 40\nnr_throttled 30\nthrottled_usec 999\n"
    assert parse_periods(text) == {"cgroup.periods": 40, "cgroup.throttled_periods": 30}
    assert parse_periods("usage_usec 5\n") == {}


def test_a_device_tells_its_queue_its_offloads_and_what_it_dropped() -> None:
    near, far = "nm-near", "nm-far"
    with IPRoute() as routes:
        routes.link("add", ifname=near, kind="veth", peer=far)
        try:
            here, there = (routes.link_lookup(ifname=name)[0] for name in (near, far))
            routes.addr("add", index=here, address="192.0.2.1", prefixlen=30)
            for index in (here, there):
                routes.link("set", index=index, state="up", mtu=1400)
            # A queue with room for one packet that lets out a kilobit a second.
            queue = ("tbf", "rate", "1kbit", "burst", "1600", "limit", "1")
            subprocess.run(("tc", "qdisc", "replace", "dev", near, "root", *queue), check=True)
            before = inspect(near)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                for _ in range(20):
                    sender.sendto(b"x" * 500, ("192.0.2.3", 9))
            after = inspect(near)
        finally:
            routes.link("del", ifname=near)
    assert (after.settings["device.mtu"], after.settings["device.qdisc"]) == ("1400", "tbf")
    assert "tso on" in after.settings["device.offloads"]
    # What veth says of its speed is nobody's.
    assert "device.speed" not in after.settings
    dropped = after.counters["device.queue_drops"] - before.counters["device.queue_drops"]
    # The tokens at rest let three of them out; what IPv6 says of itself is dropped, too.
    assert dropped >= 20 - 3
    assert inspect("nm-none").settings["device"] == "nm-none"
    assert "device.mtu" not in inspect("nm-none").settings


def test_settings_are_the_kernels_words() -> None:
    settings = inspect("lo").settings
    assert settings["tcp_rmem"] == Path("/proc/sys/net/ipv4/tcp_rmem").read_text().strip()
    assert "nf_conntrack_max" not in settings or settings["nf_conntrack_max"].isdecimal()
