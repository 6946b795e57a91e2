"""Faults of the hosts of a lab's nodes, not of what is between them: sockets, rules, the pods' own devices."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab, namespaces, processes
from netmesh_controller.lab.addressing import Where, agent_namespace
from netmesh_controller.lab.processes import Process
from netmesh_controller.lab.shaping import POD_DEVICE, tbf

Put = Callable[[Lab], AbstractContextManager[object]]

REFLECTOR_PORT = 61862


def shell(lab: Lab, node: str, where: Where, command: str, text: str | None = None) -> str:
    """What a command says there; CalledProcessError where it fails."""
    argv = labs.exec_argv(lab.name, node, where, ["sh", "-c", command])
    return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout


def between(node: str, where: Where, before: str, after: str, text: str | None = None) -> Put:
    """A command before, and one that undoes it."""

    @contextmanager
    def put(lab: Lab) -> Iterator[None]:
        shell(lab, node, where, before, text)
        try:
            yield
        finally:
            shell(lab, node, where, after)

    return put


def _agent(lab: Lab, node: str) -> list[Process]:
    """All processes in the network of the node's agent, and no others."""
    return sorted(
        processes.inside([namespaces.FOLDER / agent_namespace(lab.name, node, "pod")]), key=lambda one: one.pid
    )


@contextmanager
def stopped_agent(lab: Lab) -> Iterator[None]:
    """The agent of node-2 stands still."""
    stopped = _agent(lab, "node-2")
    _signal(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(stopped, signal.SIGCONT)


def _signal(those: list[Process], number: signal.Signals) -> None:
    for one in those:
        if one.alive():
            os.kill(one.pid, number)


@contextmanager
def small_socket(lab: Lab) -> Iterator[None]:
    """The socket of node-2's reflector has room for a few packets, and its agent pauses for 20 ms four times a second.

    The socket is shared with the agent by pidfd_getfd(2).
    """
    agent = _agent(lab, "node-2")
    held = _sockets_at(agent, REFLECTOR_PORT)
    usual = [one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for one in held]
    ended = threading.Event()

    def pause() -> None:
        while not ended.wait(0.23):
            _signal(agent, signal.SIGSTOP)
            ended.wait(0.02)
            _signal(agent, signal.SIGCONT)

    pauses = threading.Thread(target=pause)
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    pauses.start()
    try:
        yield
    finally:
        ended.set()
        pauses.join()
        # The kernel doubles what it is told (socket(7)); 33 is SO_RCVBUFFORCE.
        for one, size in zip(held, usual, strict=True):
            one.setsockopt(socket.SOL_SOCKET, 33, size // 2)
            one.close()


_PIDFD_GETFD = 438  # <asm-generic/unistd.h>


def _sockets_at(those: list[Process], port: int) -> list[socket.socket]:
    """The UDP sockets of these processes that are bound to the port; LookupError where there is none."""
    sockets: list[socket.socket] = []
    libc = ctypes.CDLL(None, use_errno=True)
    for one in those:
        pidfd = os.pidfd_open(one.pid)
        try:
            for entry in Path(f"/proc/{one.pid}/fd").iterdir():
                try:
                    if not str(entry.readlink()).startswith("socket:"):
                        continue
                except FileNotFoundError:
                    continue
                copied = libc.syscall(_PIDFD_GETFD, pidfd, int(entry.name), 0)
                if copied < 0:
                    continue
                found = socket.socket(fileno=copied)
                internet = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_DGRAM
                if internet and found.getsockname()[1] == port:
                    sockets.append(found)
                else:
                    found.close()
        finally:
            os.close(pidfd)
    if not sockets:
        raise LookupError(f"no process has a UDP socket at port {port}")
    return sockets


@contextmanager
def costly_packets(lab: Lab) -> Iterator[None]:
    """What node-1's agent sends to node-2's by TCP comes as single packets, each of which walks 12,000 rules there."""
    source = next(one.address for one in lab.targets() if (one.node, one.role) == ("node-1", "pod"))
    rules = [f"-A nm-slow -s 192.0.2.{one % 250}/32 -m comment --comment {one} -j RETURN" for one in range(12_000)]
    way = f"PREROUTING -s {source}/32 -p tcp -j nm-slow"
    table = "\n".join(["*mangle", ":nm-slow - [0:0]", *rules, f"-I {way}", "COMMIT", ""])
    undo = f"iptables -t mangle -D {way}; iptables -t mangle -F nm-slow; iptables -t mangle -X nm-slow"
    offloads = "tso {0} gso {0}"
    with (
        between("node-1", "agent", *(f"ethtool -K eth0 {offloads.format(word)}" for word in ("off", "on")))(lab),
        between("node-2", "host", "iptables-restore --noflush", undo, table)(lab),
    ):
        yield


@contextmanager
def slow_pods(lab: Lab) -> Iterator[None]:
    """Every agent's pod sends at 200 Mbit/s at most, as a network plugin's shaper or encryption has it."""
    nodes = lab.spec.names()
    for node in nodes:
        shell(lab, node, "agent", "tc -batch -", _queue(200_000_000))
    try:
        yield
    finally:
        for node in nodes:
            shell(lab, node, "agent", "tc -batch -", _queue(lab.spec.pod_rate(node)))


def _queue(rate: int) -> str:
    """The pod's own queue as the lab sets it, anew."""
    return "\n".join([f"qdisc del dev {POD_DEVICE} root", *tbf(POD_DEVICE, rate), ""])
