"""The traffic device, in network namespaces of the test's own that end with the process in them."""

from __future__ import annotations

import ipaddress
import json
import os
import struct
import subprocess
import sys
from typing import Any

import pytest

from netmesh_agent import device, netlink
from netmesh_agent.device import DefaultRoute, Held, Link

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
eth0:288491035    9408    1    2    0     0          0         7   604843    5699    3    4    0     0       0          0
"""  # noqa: E501  # as the kernel prints it

LINKS = [
    Link(1, "lo", 65536, is_loopback=True, is_made=False),
    Link(2, "eth0", 1500, is_loopback=False, is_made=True),
    Link(3, "eth1", 1500, is_loopback=False, is_made=True),
]
HELD = [
    Held(1, ipaddress.ip_address("127.0.0.1"), 8),
    Held(1, ipaddress.ip_address("::1"), 128),
    Held(2, ipaddress.ip_address("10.1.0.7"), 24),
    Held(3, ipaddress.ip_address("10.2.0.7"), 24),
]


def in_namespace(setup: str, code: str, *arguments: str) -> Any:
    """What `code` prints as JSON in a new network namespace after `setup`; the namespace ends with it."""
    if os.geteuid() != 0:
        pytest.skip("making a network namespace needs root")
    script = f'set -e; {setup}\nexec "$@"'
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-c", code, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(
    ("listen", "routes", "name"),
    [
        ("10.2.0.7", [DefaultRoute(4, 2, 0)], "eth1"),
        ("0.0.0.0", [DefaultRoute(4, 3, 100), DefaultRoute(4, 2, 50)], "eth0"),  # noqa: S104  # what an agent may be told
        ("::", [DefaultRoute(6, 2, 0), DefaultRoute(4, 3, 100)], "eth1"),
        ("::", [DefaultRoute(6, 2, 1024)], "eth0"),
        ("::", [DefaultRoute(4, 9, 0), DefaultRoute(4, 2, 10)], "eth0"),
        ("::", [], None),  # two to choose from
        ("127.0.0.1", [DefaultRoute(4, 2, 0)], "lo"),
        ("127.0.0.9", [DefaultRoute(4, 2, 0)], "lo"),
        ("10.1.0.8", [DefaultRoute(4, 2, 0)], None),  # of the prefix, but nobody's here
    ],
)
def test_which_device(listen: str, routes: list[DefaultRoute], name: str | None) -> None:
    chosen = device.choose(ipaddress.ip_address(listen), LINKS, HELD, routes)
    assert (chosen.name if chosen else None) == name


def test_the_only_device_without_a_route() -> None:
    chosen = device.choose(ipaddress.ip_address("::"), LINKS[:2], HELD[:3], [])
    assert chosen is not None
    assert chosen.name == "eth0"
    assert device.choose(ipaddress.ip_address("::"), LINKS[:1], HELD[:2], []) is None


SETUP = """
ip link set lo up
ip link add nma type veth peer name nmb
ip link add nmc mtu 1280 type veth peer name nmd
ip link add nmbr type bridge
ip address add 10.9.1.1/24 dev nma
ip address add fd09::1/64 dev nma
ip address add 10.9.1.2/32 dev nma
ip address add 10.9.2.1/24 dev nmc
ip link set nma up; ip link set nmb up; ip link set nmc up; ip link set nmd up
ip route add default via 10.9.2.2 metric 50
ip route add default via 10.9.1.9 metric 200
ip route add 10.77.0.0/16 via 10.9.1.9
ip -6 route add default via fd09::9
"""
FIND = """
import json, sys
from netmesh_agent import device
print(json.dumps([device.traffic_device(listen) for listen in sys.argv[1:]]))
"""


def test_the_device_of_an_address_or_of_the_default_route() -> None:
    asked = {
        "0.0.0.0": "nmc",  # noqa: S104  # what an agent may be told
        "::": "nmc",
        "10.9.1.1": "nma",
        "10.9.1.2": "nma",
        "fd09::1": "nma",
        "10.9.2.1": "nmc",
        "127.0.0.1": "lo",
        "::1": "lo",
        "10.9.1.77": None,
    }
    assert dict(zip(asked, in_namespace(SETUP, FIND, *asked), strict=True)) == asked


def test_a_default_route_of_ipv6_or_of_many_ways() -> None:
    only_six = "ip route flush default;"
    assert in_namespace(SETUP + only_six, FIND, "::") == ["nma"]
    many = "ip route flush default; ip route add default nexthop via 10.9.1.9 nexthop via 10.9.2.2;"
    assert in_namespace(SETUP + many, FIND, "::") == ["nma"]
    # Another table's default route is not this agent's.
    policy = "ip route flush default; ip -6 route flush default; ip route add default via 10.9.2.2 table 77;"
    assert in_namespace(SETUP + policy, FIND, "::") == [None]


def test_what_a_device_is() -> None:
    code = """
import json
from netmesh_agent import device
from google.protobuf.json_format import MessageToDict
print(json.dumps([
    [MessageToDict(device.describe_device(name)), device.addresses(name)] for name in ("nma", "nmc", "nmbr", "none")
]))
"""
    nma, nmc, bridge, none = in_namespace(SETUP, code)
    # veth and bridge claim 10 Gbit/s; link-local addresses are left out.
    assert nma == [{"name": "nma", "mtuBytes": 1500, "driver": "veth"}, ["10.9.1.1", "10.9.1.2", "fd09::1"]]
    assert nmc == [{"name": "nmc", "mtuBytes": 1280, "driver": "veth"}, ["10.9.2.1"]]
    assert bridge == [{"name": "nmbr", "mtuBytes": 1500, "driver": "bridge"}, []]
    assert none == [{"name": "none"}, []]


@pytest.mark.parametrize(
    ("driver", "bus", "is_made", "physical"),
    [
        ("mlx5_core", "0000:3b:00.0", False, True),
        ("ixgbe", "0000:01:00.1", False, True),
        ("virtio_net", "0000:00:03.0", False, False),
        ("virtio_net", "virtio0", False, False),
        ("veth", "", True, False),
        ("bonding", "", True, False),
        ("tun", "tap", True, False),
        ("ena", "0000:00:05.0", False, False),
    ],
)
def test_whose_line_rate_is_told(driver: str, bus: str, is_made: bool, physical: bool) -> None:
    assert device.is_physical(driver, bus, is_made=is_made) is physical


@pytest.mark.parametrize(("speed", "rate"), [(25_000, 25_000_000_000), (0, None), (0xFFFFFFFF, None)])
def test_speed_of_a_link(speed: int, rate: int | None) -> None:
    assert device.parse_link_settings(struct.pack("=II", 0x4C, speed).ljust(48, b"\0")) == rate


def test_the_kernel_answers_for_a_links_speed() -> None:
    """The two steps of the request, on a veth, whose claim is known and is not told otherwise."""
    code = "import json; from netmesh_agent import device; print(json.dumps(device._line_rate('nma')))"
    assert in_namespace(SETUP, code) == 10_000_000_000


def test_counters_of_a_recorded_table() -> None:
    found = device.parse_counters(NET_DEV, "eth0")
    assert found is not None
    assert (found.received_bytes, found.received_packets, found.received_errors, found.received_drops) == (
        288491035,
        9408,
        1,
        2,
    )
    assert (found.sent_bytes, found.sent_packets, found.sent_errors, found.sent_drops) == (604843, 5699, 3, 4)
    assert device.parse_counters(NET_DEV, "th0") is None


def test_counters_are_the_bytes_that_were_sent() -> None:
    """Frames written to one end of a veth pair are what the one sent and the other received, to the byte."""
    code = """
import json, socket, time
from netmesh_agent import device
from google.protobuf.json_format import MessageToDict
def read():
    found = [device.counters(name) for name in ("nma", "nmb")]
    return [[one.sent_bytes, one.sent_packets, one.received_bytes, one.received_packets] for one in found]
before = read()
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind(("nma", 0))
    for _ in range(50):
        raw.send(bytes.fromhex("ffffffffffff02000000000188b5") + bytes(486))
time.sleep(0.1)
after = read()
print(json.dumps([[b - a for a, b in zip(one, other)] for one, other in zip(before, after)]))
"""
    quiet = """
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip link add nma type veth peer name nmb
ip link set nma up; ip link set nmb up
"""
    assert in_namespace(quiet, code) == [[25_000, 50, 0, 0], [0, 0, 25_000, 50]]


def test_counters_of_a_device_that_is_gone() -> None:
    assert device.counters("nm-none") is None


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="node-1"):
        device.traffic_device("node-1")


def test_netlink_errors_are_the_kernels() -> None:
    with pytest.raises(OSError, match="not supported"):
        netlink.dump(netlink.NETLINK_ROUTE, 999, b"")


@pytest.mark.parametrize("cut", [17, 20, 31])
def test_netlink_messages_that_are_cut_off(cut: int) -> None:
    whole = struct.pack("=IHHII", 32, 16, 2, 1, 0) + struct.pack("=HH12s", 16, 3, b"name")
    assert [(kind, len(body)) for kind, _, body in netlink.messages(whole)] == [(16, 16)]
    with pytest.raises(ValueError, match="32 bytes"):
        list(netlink.messages(whole[:cut]))
    assert netlink.attributes(whole[16:]) == {3: b"name".ljust(12, b"\0")}
    with pytest.raises(ValueError, match="16 bytes"):
        netlink.attributes(whole[16:24])
