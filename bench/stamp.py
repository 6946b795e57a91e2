"""How many STAMP packets one process on one core sends, receives and reflects, over loopback, and what that costs."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time

from netmesh_agent.stamp.datagrams import BATCH, Incoming, Outgoing, name_of
from netmesh_agent.stamp.packets import Request, encode_request
from netmesh_agent.stamp.reflector import Reflector
from netmesh_agent.stamp.sender import Sender
from netmesh_agent.stamp.tlvs import request_tlvs
from netmesh_agent.stamp.window import fold

_ADDRESS = "127.0.0.1"
_SSID = 1
_SECONDS = 3.0
_SOURCE_PORTS = 4
SENT_GOAL, REFLECTED_GOAL = 40_000, 60_000


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def _cpu() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime


def _print(what: str, count: int, seconds: float, before: tuple[float, float], goal: int) -> None:
    after = _cpu()
    user, system = (1e6 * (b - a) / max(count, 1) for a, b in zip(before, after, strict=True))
    busy = (user + system) * count / seconds / 1e6
    print(
        f"{what}: {count / seconds:,.0f} a second at {busy:.0%} of a core (goal {goal:,}); "
        f"{user + system:.1f} us a packet, {user:.1f} in Python and {system:.1f} in the kernel; "
        f"a whole core: {1e6 / (user + system):,.0f}",
        flush=True,
    )


async def _reflect() -> None:
    """A reflector on the second core: prints its port, then, on SIGTERM, what it did while it was busy."""
    _pin(1)
    reflector = Reflector()
    reflector.provision(_ADDRESS, _SSID)
    print(reflector.open(_ADDRESS, 0), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    while not reflector.counts.reflected:
        await asyncio.sleep(0.01)
    before, started, count = _cpu(), time.monotonic(), reflector.counts.reflected
    await ended.wait()
    seconds = time.monotonic() - started
    _print("reflected", reflector.counts.reflected - count, seconds, before, REFLECTED_GOAL)
    reflector.close()


def _flood(port: int) -> None:
    """Requests as fast as they are answered, by batches, with at most four batches under way."""
    _pin(0)
    packet = encode_request(Request(0, 1, 1, _SSID), tlvs=request_tlvs(None))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((_ADDRESS, 0))
        outgoing = Outgoing(socket.AF_INET, slot_bytes=len(packet))
        incoming = Incoming(socket.AF_INET, header_fields=False)
        for slot in range(BATCH):
            outgoing.payload[slot * len(packet) : (slot + 1) * len(packet)] = packet
            outgoing.names[slot * 16 : (slot + 1) * 16] = name_of(socket.AF_INET, _ADDRESS, port)
            outgoing.iovec_words[2 * slot + 1] = len(packet)
        under_way, until, answered = 0, time.monotonic() + _SECONDS, time.monotonic()
        while (now := time.monotonic()) < until:
            if under_way <= 3 * BATCH:
                outgoing.send(sock.fileno(), 0, BATCH)
                under_way += BATCH
            count = incoming.receive(sock.fileno())
            under_way -= count
            if count:
                answered = now
            elif now - answered > 0.1:
                under_way, answered = 0, now


async def _probe(port: int) -> None:
    """One sender, offered more probes than the goal."""
    _pin(0)
    sender = Sender(tick_seconds=0.005)
    sender.open(_ADDRESS, [0] * _SOURCE_PORTS)
    peer = sender.add(_ADDRESS, port, _SSID, interval_seconds=0.8 / SENT_GOAL, timeout_seconds=0.2, same_clock=True)
    before, started = _cpu(), time.monotonic()
    await asyncio.sleep(_SECONDS)
    sender.pause(peer)
    seconds = time.monotonic() - started
    await asyncio.sleep(0.5)
    window = fold(sender.take(peer))
    _print("sent and received", window.received, seconds, before, SENT_GOAL)
    print(
        f"    {window.sent:,} sent, {window.lost:,} lost, {window.incomplete:,} without all four stamps, "
        f"{peer.skipped:,} not sent in their time, {sender.dropped():,} without room in this host"
    )
    sender.close()


def _with_reflector(what: str) -> None:
    command = [sys.executable, "-m", "bench.stamp", "reflect"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            if what == "reflected":
                _flood(port)
            else:
                asyncio.run(_probe(port))
        finally:
            child.terminate()
        told = child.stdout.read().strip()
        if what == "reflected":
            print(told)


def main() -> None:
    """Prints packets a second and microseconds a packet of a reflector and of a sender, each alone on its core."""
    _with_reflector("reflected")
    _with_reflector("sent")


if __name__ == "__main__":
    if sys.argv[1:] == ["reflect"]:
        asyncio.run(_reflect())
    else:
        main()
