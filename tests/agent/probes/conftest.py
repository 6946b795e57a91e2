"""A network of four namespaces: two ends, and two routers with a narrow link between them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

WIDE_BYTES, NARROW_BYTES = 1500, 1400


def _run(command: str) -> None:
    subprocess.run(shlex.split(command), check=True, capture_output=True, text=True)


@dataclass(frozen=True)
class Network:
    """`a` — `r1` — (1400 bytes) — `r2` — `b`, over IPv4 and IPv6; the fields are the namespaces' names."""

    a: str
    r1: str
    r2: str
    b: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.a, self.r1, self.r2, self.b))

    @staticmethod
    def address(end: str, family: int) -> str:
        """The address of end `a` or `b`."""
        network = {"a": 1, "b": 3}[end]
        host = {"a": 1, "b": 2}[end]
        return f"10.211.{network}.{host}" if family == 4 else f"fd00:211:{network}::{host}"

    def run(self, namespace: str, command: str) -> None:
        _run(f"ip netns exec {namespace} {command}")

    def build(self) -> None:
        for namespace in self:
            _run(f"ip netns add {namespace}")
            self.run(namespace, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
            self.run(namespace, "ip link set lo up")
        links = ((self.a, self.r1, WIDE_BYTES), (self.r1, self.r2, NARROW_BYTES), (self.r2, self.b, WIDE_BYTES))
        for number, (left, right, mtu) in enumerate(links, start=1):
            _run(f"ip link add right netns {left} mtu {mtu} type veth peer name left netns {right} mtu {mtu}")
            for host, (namespace, device) in enumerate(((left, "right"), (right, "left")), start=1):
                self.run(namespace, f"ip address add 10.211.{number}.{host}/24 dev {device}")
                self.run(namespace, f"ip address add fd00:211:{number}::{host}/64 dev {device} nodad")
                self.run(namespace, f"ip link set {device} up")
        for namespace, routes in (
            (self.a, ((2, "1", 2), (3, "1", 2))),
            (self.r1, ((3, "2", 2),)),
            (self.r2, ((1, "2", 1),)),
            (self.b, ((1, "3", 1), (2, "3", 1))),
        ):
            for network, over, host in routes:
                self.run(namespace, f"ip route add 10.211.{network}.0/24 via 10.211.{over}.{host}")
                self.run(namespace, f"ip route add fd00:211:{network}::/64 via fd00:211:{over}::{host}")

    def silence(self, router: str) -> None:
        """Lets a router no longer say that a packet is too large."""
        self.run(router, "iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP")
        self.run(router, "ip6tables -A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP")

    def forget_rules(self) -> None:
        for namespace in self:
            for program in ("iptables", "ip6tables"):
                self.run(namespace, f"{program} -F")


@pytest.fixture(scope="module")
def built_network() -> Iterator[Network]:
    if os.geteuid() != 0:
        pytest.fail("These tests make network namespaces, which takes root: run them with sudo.")
    network = Network(*(f"nmprobe-{os.getpid()}-{name}" for name in ("a", "r1", "r2", "b")))
    try:
        network.build()
        yield network
    finally:
        for namespace in network:
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


@pytest.fixture
def network(built_network: Network) -> Iterator[Network]:
    """The network, without firewall rules at the test's end."""
    yield built_network
    built_network.forget_rules()
