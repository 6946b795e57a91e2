"""What tests do inside of a lab's pods."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

from netmesh_controller.lab import Lab
from netmesh_controller.lab.addressing import Role, agent_namespace
from netmesh_controller.lab.agents import own_addresses
from netmesh_controller.lab.namespaces import FOLDER, inside

SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>; not in Python's socket
# <linux/in.h>, <linux/in6.h>: never cut a packet up, whatever is known of the path.
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3
LabMaker = Callable[..., Lab]


class Pod:
    """One pod of a lab, or a node itself, to open sockets and run programs in."""

    def __init__(self, lab: Lab, number: int, role: Role = "pod") -> None:
        node = f"node-{number}"
        own = own_addresses((node, role), lab.addresses)
        self.v4, self.v6 = str(own.v4.ip), str(own.v6.ip)
        self.namespace = agent_namespace(lab.name, node, role)

    def udp(self, family: int = socket.AF_INET) -> socket.socket:
        """A socket in the pod, bound to its address, that sends whole packets only."""

        def make() -> socket.socket:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.bind((self.v4 if family == socket.AF_INET else self.v6, 0))
            if family == socket.AF_INET:
                made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
            else:
                made.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
            made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4_000_000)
            return made

        return inside(self.namespace, make)

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["nsenter", f"--net={FOLDER / self.namespace}", "--", *command], stdout=subprocess.PIPE, text=True
        )


def tcp_goodput(
    source: Pod, target: Pod, *, seconds: int = 3, v6: bool = False, to: str | None = None, port: int = 5201
) -> tuple[float, int]:
    """What iperf3 received in bits a second, a first second left out, and the bytes of data in its segments at the end;
    by way of address `to`.

    By cubic, which keeps the shaper's queue filled. Where the machine's own default is bbr the queue is empty most of
    the time, and each moment in which the sender waits for a core is lost to the link.
    """
    address = to or (target.v6 if v6 else target.v4)
    with target.start("iperf3", "-s", "-1", "-p", str(port)) as server:
        try:
            for _ in range(50):
                command = ("iperf3", "-c", address, "-p", str(port), "-J", "-O", "1", "-C", "cubic")
                with source.start(*command, "-t", str(seconds)) as client:
                    result: dict[str, Any] = json.loads(client.communicate()[0])
                if "refused" not in result.get("error", ""):
                    break
                time.sleep(0.1)
        finally:
            server.kill()
    assert "error" not in result, result["error"]
    # A narrow place on the way is found out after the start.
    path_mtu = result["intervals"][-1]["streams"][0]["pmtu"]
    headers = (40 if ":" in address else 20) + 32
    return result["end"]["sum_received"]["bits_per_second"], min(result["start"]["tcp_mss_default"], path_mtu - headers)


def assert_filled(source: Pod, target: Pod, rate: float, *, seconds: int = 2, v6: bool = False) -> None:
    """TCP gets what a shaped rate leaves for data, within 2 %: more than that never, and as much at one of three tries.

    A shaper does not give back the time in which nothing waited for it: what else the machine does only takes away.
    """
    for _ in range(3):
        goodput, mss = tcp_goodput(source, target, seconds=seconds, v6=v6)
        expected = expected_goodput(rate, mss, v6=v6)
        assert goodput <= 1.02 * expected
        if goodput >= 0.98 * expected:
            return
    raise AssertionError(f"{goodput:.4g} of {expected:.4g} bit/s")


def exchange(
    source: Pod, target: Pod, address: str, port: int, family: socket.AddressFamily, kind: socket.SocketKind
) -> tuple[str, str]:
    """Sends a word to an address that leads to the target, and one back: whom the target saw, and who answered."""
    own = target.v4 if family == socket.AF_INET else target.v6

    def bound() -> socket.socket:
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((own, port))
        return made

    with (
        inside(target.namespace, bound) as server,
        inside(source.namespace, lambda: socket.socket(family, kind)) as client,
    ):
        for each in (server, client):
            each.settimeout(2)
        if kind == socket.SOCK_STREAM:
            server.listen()
            client.connect((address, port))
            connection, seen = server.accept()
            connection.close()
            return seen[0], client.getpeername()[0]
        client.sendto(b"word", (address, port))
        _, seen = server.recvfrom(100)
        server.sendto(b"word", seen)
        return seen[0], client.recvfrom(100)[1][0]


def expected_goodput(rate: float, mss: int, *, v6: bool = False) -> float:
    """What a shaped rate leaves for data: each segment also has 14 bytes of Ethernet, IP and 32 of TCP on the link."""
    return rate * mss / (mss + 14 + (40 if v6 else 20) + 32)


def count_lost(source: Pod, target: Pod, *, packets: int, data: int = 200, family: int = socket.AF_INET) -> int:
    """How many of so many UDP packets with `data` bytes each do not arrive."""
    with source.udp(family) as sender, target.udp(family) as receiver:
        received = 0
        for first in range(0, packets, 100):
            for _ in range(first, min(first + 100, packets)):
                sender.sendto(bytes(data), receiver.getsockname()[:2])
            receiver.settimeout(0.02)
            try:
                while True:
                    receiver.recv(2048)
                    received += 1
            except TimeoutError:
                continue
        receiver.settimeout(0.3)
        try:
            while True:
                receiver.recv(2048)
                received += 1
        except TimeoutError:
            return packets - received
