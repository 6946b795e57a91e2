"""What Describe says of the host, against what the host's own files and programs say."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netmesh_agent import facts
from netmesh_agent.facts import Clock, clock_from
from netmesh_agent.settings import Limits, Settings

IPV4 = Path("/proc/sys/net/ipv4")
SETTINGS = Settings(
    node="node-1",
    certificates=Path("/nowhere"),
    role="peer",
    tool_ports=(61863, 61864),
    limits=Limits(seconds=60, streams=8, bits_per_second=10**9),
)


def test_description() -> None:
    reply = facts.describe(SETTINGS, "lo", {"qperf": "0.4.11", "iperf3": "3.12"})
    assert (reply.node, reply.role, reply.kernel) == ("node-1", "peer", platform.release())
    assert reply.cpus == len(os.sched_getaffinity(0))
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    assert reply.memory_bytes == int(total.split()[1]) * 1024
    assert reply.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert reply.congestion_control == (IPV4 / "tcp_congestion_control").read_text().strip()
    assert [(tool.name, tool.version) for tool in reply.tools] == [("iperf3", "3.12"), ("qperf", "0.4.11")]
    assert (reply.limits.seconds, reply.limits.streams, reply.limits.bits_per_second) == (60, 8, 10**9)
    assert list(reply.tool_ports) == [61863, 61864]
    assert reply.addresses[0] == "127.0.0.1"
    assert (reply.device.name, reply.device.mtu_bytes) == ("lo", 65536)
    assert not reply.device.HasField("line_rate_bits_per_second")


def test_what_is_unknown_stays_unset() -> None:
    reply = facts.describe(Settings(node="node-1", certificates=Path("/nowhere")), None, {})
    assert not reply.HasField("device")
    assert not reply.limits.HasField("bits_per_second")
    assert list(reply.addresses) == []


def test_an_agent_bound_to_one_core_has_one() -> None:
    code = """
import os
from pathlib import Path
from netmesh_agent import facts
from netmesh_agent.settings import Settings
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
print(facts.describe(Settings(node="node-1", certificates=Path("/nowhere")), None, {}).cpus)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "1"


# It drops its rights once it has its modules: others may not be allowed to read them.
UNPRIVILEGED = """
import json, os, sys
from netmesh_agent import facts
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(json.dumps(facts.usable_congestion_controls(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose all and become somebody else")
def test_congestion_controls_are_those_that_may_be_chosen() -> None:
    available = (IPV4 / "tcp_available_congestion_control").read_text()
    allowed = {*(IPV4 / "tcp_allowed_congestion_control").read_text().split()}
    default = (IPV4 / "tcp_congestion_control").read_text().strip()
    assert facts.usable_congestion_controls(available) == available.split()
    run = subprocess.run([sys.executable, "-c", UNPRIVILEGED, available], capture_output=True, text=True, check=True)
    assert {*json.loads(run.stdout)} == allowed | {default}


def test_a_congestion_control_that_is_not_there_is_not_usable() -> None:
    assert facts.usable_congestion_controls("reno nm_none") == ["reno"]
    assert facts.usable_congestion_controls("") == []


UNSYNC, NANO, PLL = 0x0040, 0x2000, 0x0001


@pytest.mark.parametrize(
    ("state", "status", "offset", "maxerror", "clock"),
    [
        (0, PLL | NANO, -250_000, 3_500, Clock(-250e-6, 3.5e-3)),
        (0, PLL, -250, 3_500, Clock(-250e-6, 3.5e-3)),
        # A daemon that steers by the frequency leaves the kernel's offset at 0, which is no measured one.
        (0, NANO, 0, 12_000, Clock(None, 12e-3)),
        (5, UNSYNC, 0, 16_000_000, Clock()),
        (0, UNSYNC | PLL, 100, 500, Clock()),
        (-1, 0, 0, 0, Clock()),
    ],
)
def test_clock(state: int, status: int, offset: int, maxerror: int, clock: Clock) -> None:
    told = clock_from(state, status=status, offset=offset, maxerror=maxerror)
    assert told.offset_seconds == (None if clock.offset_seconds is None else pytest.approx(clock.offset_seconds))
    assert told.error_seconds == (None if clock.error_seconds is None else pytest.approx(clock.error_seconds))


def test_the_kernel_fills_the_clocks_struct_as_it_is_declared() -> None:
    """The time in it is now, the tick 10 ms within a tenth, and nothing is written past its end."""
    assert ctypes.sizeof(facts.Timex) == 208
    read = facts.Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(read)) >= 0
    assert abs(read.time[0] - time.time()) < 2
    assert 9_000 <= read.tick <= 11_000
    clock = facts.clock()
    assert (clock.error_seconds is None) == bool(read.status & UNSYNC)
