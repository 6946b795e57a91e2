"""What this host is: the facts that Describe answers with."""

from __future__ import annotations

import ctypes
import importlib.metadata
import ipaddress
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from netmesh.v1 import agent_pb2
from netmesh_agent import device
from netmesh_agent.settings import Settings

_IPV4 = Path("/proc/sys/net/ipv4")
_CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# linux/timex.h
_TIME_ERROR = 5
_STA_PLL, _STA_UNSYNC, _STA_NANO = 0x0001, 0x0040, 0x2000


class Timex(ctypes.Structure):
    """struct timex of adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """How far the wall clock is off, as the kernel was told; None: unknown."""

    offset_seconds: float | None = None
    error_seconds: float | None = None


def clock_from(state: int, *, status: int, offset: int, maxerror: int) -> Clock:
    """What adjtimex(2) says: its return value and fields of its struct.

    Nothing is known of a clock that nobody disciplines. `maxerror` (in us) bounds the error; `offset` (in ns with
    STA_NANO, else us) is a measured one only while the kernel's own loop (STA_PLL) follows it: a daemon that steers
    the clock by its frequency leaves it at 0.
    """
    if state < 0 or state == _TIME_ERROR or status & _STA_UNSYNC:
        return Clock()
    scale = 1e-9 if status & _STA_NANO else 1e-6
    return Clock(offset * scale if status & _STA_PLL else None, maxerror * 1e-6)


def clock() -> Clock:
    """How well the wall clock is kept; unknown where the kernel refuses to tell."""
    read = Timex()  # modes 0: reads only, which needs no rights
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(read))
    return clock_from(state, status=read.status, offset=read.offset, maxerror=read.maxerror)


def usable_congestion_controls(available: str) -> list[str]:
    """Of the names in tcp_available_congestion_control (tcp(7)) those that this process may choose.

    An unprivileged process may choose those of tcp_allowed_congestion_control and the namespace's default, one with
    CAP_NET_ADMIN all: a socket that is told to use each shows which.
    """
    usable = []
    for name in available.split():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
            except OSError:
                continue
        usable.append(name)
    return usable


def _line(path: Path) -> str:
    """A one-line file's content, "" where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def describe(
    settings: Settings, device_name: str | None, versions: Mapping[str, str], stamp_port: int | None = None
) -> agent_pb2.DescribeReply:
    """What Describe answers: the agent's settings, the host's facts, the installed tools by name, STAMP's port.

    A fact that cannot be read stays unset. `cpus` are those that this process may run on. A line rate is told by an
    agent in the host's network only: in a pod no device's speed is the pod's.
    """
    reply = agent_pb2.DescribeReply(
        node=settings.node,
        role=settings.role,
        agent_version=importlib.metadata.version("netmesh"),
        kernel=platform.release(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=psutil.virtual_memory().total,
        congestion_control=_line(_IPV4 / "tcp_congestion_control"),
        congestion_controls_allowed=usable_congestion_controls(_line(_IPV4 / "tcp_available_congestion_control")),
        tools=[agent_pb2.Tool(name=name, version=version) for name, version in sorted(versions.items())],
        clock_source=_line(_CLOCK_SOURCE),
        limits=agent_pb2.Limits(
            seconds=settings.limits.seconds,
            streams=settings.limits.streams,
            bits_per_second=settings.limits.bits_per_second,
        ),
        boot_id=_line(_BOOT_ID),
        tool_ports=settings.tool_ports,
        stamp_port=stamp_port,
    )
    if device_name is not None:
        # Where it listens comes first: a device may hold several addresses of a family.
        listen = [ipaddress.ip_address(text) for text in settings.listen_addresses]
        first = [str(address) for address in listen if not address.is_unspecified]
        reply.addresses.extend(dict.fromkeys([*first, *device.addresses(device_name)]))
        reply.device.CopyFrom(device.describe_device(device_name))
        if settings.role != "host":
            reply.device.ClearField("line_rate_bits_per_second")
    kept = clock()
    if kept.offset_seconds is not None:
        reply.clock_offset_seconds = kept.offset_seconds
    if kept.error_seconds is not None:
        reply.clock_error_seconds = kept.error_seconds
    return reply
