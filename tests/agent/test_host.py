"""Samples of the host and of a tool's tree, against the kernel's own accounts of the same time."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from netmesh.v1 import agent_pb2
from netmesh_agent import host
from netmesh_agent.host import HostSampler
from netmesh_controller.clients.samples import sample_from
from netmesh_controller.mesh.hostwindow import cpu_cores

TICK = 0.01  # USER_HZ, in which /proc counts

BURN = """
import os, sys, time
def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
"""


def idle_by_hand() -> tuple[float, float]:
    """The monotonic clock and the idle and iowait seconds of all cores together, read without psutil."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return time.monotonic(), (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def at_one_moment(sampler: HostSampler) -> tuple[agent_pb2.HostSample, tuple[float, float]]:
    """A sample and a reading by hand less than 5 ms apart, however busy the machine is."""
    while True:
        by_hand, sample = idle_by_hand(), sampler.sample()
        if abs(sample.monotonic_nanoseconds / 1e9 - by_hand[0]) < 0.005:
            return sample, by_hand


@pytest.mark.measures
def test_a_known_cpu_time_is_busy() -> None:
    """Others may work on this machine: busy is held against /proc/stat of the same window, and from below."""
    sampler = HostSampler(None)
    first, (start, idle_before) = at_one_moment(sampler)
    burner = subprocess.Popen([sys.executable, "-c", BURN + "burn(1.0)"])
    _, status, usage = os.wait4(burner.pid, 0)
    burner.returncode = os.waitstatus_to_exitcode(status)
    time.sleep(0.6)
    last, (end, idle_after) = at_one_moment(sampler)
    cores = cpu_cores(sample_from(first), sample_from(last))
    assert burner.returncode == 0
    assert cores is not None
    by_hand = len(first.cpus) - (idle_after - idle_before) / (end - start)
    assert abs(cores.busy - by_hand) < 0.05
    window = (last.monotonic_nanoseconds - first.monotonic_nanoseconds) / 1e9
    assert cores.busy > (usage.ru_utime + usage.ru_stime) / window - 0.05
    assert cores.busiest_core <= cores.busy + 1e-9


def test_cores_are_the_kernels_own_fields() -> None:
    """Also their guest time stands in user, once."""
    before = Path("/proc/stat").read_text().splitlines()
    sample = HostSampler(None).sample()
    after = Path("/proc/stat").read_text().splitlines()
    per_core = [line.split()[1:] for line in before if line.startswith("cpu") and not line.startswith("cpu ")]
    later = [line.split()[1:] for line in after if line.startswith("cpu") and not line.startswith("cpu ")]
    order = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    assert len(sample.cpus) == len(per_core)
    for core, low, high in zip(sample.cpus, per_core, later, strict=True):
        for position, mode in enumerate(order):
            told = getattr(core, mode)
            bounds = sorted((int(low[position]) * TICK, int(high[position]) * TICK))
            assert bounds[0] - TICK / 2 <= told <= bounds[1] + TICK / 2, mode


def test_the_clock_is_read_with_the_counters() -> None:
    before = time.monotonic_ns()
    sample = HostSampler(None).sample()
    assert before <= sample.monotonic_nanoseconds <= time.monotonic_ns()


def test_memory_and_device() -> None:
    sample = HostSampler("lo").sample()
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    assert sample.memory_total_bytes == int(total.split()[1]) * 1024
    assert 0 < sample.memory_available_bytes < sample.memory_total_bytes
    assert sample.device.name == "lo"


def test_what_is_not_there_stays_unset() -> None:
    for name in (None, "nm-none"):
        sample = HostSampler(name).sample()
        assert not sample.HasField("device")
        assert not sample.HasField("tool_cpu_seconds")
        assert not sample.HasField("tool_memory_bytes")


# A root with a child that it reaped, a child that has a child of its own and both still run, and work of its own.
TREE = (
    BURN
    + """
child = os.fork()
if not child:
    burn(0.3); os._exit(0)
os.waitpid(child, 0)
r, w = os.pipe()
child = os.fork()
if not child:
    if not os.fork():
        burn(0.2); os.write(w, b"."); sys.stdin.read(); os._exit(0)
    burn(0.1); os.write(w, b"."); sys.stdin.read(); os.wait(); os._exit(0)
burn(0.2)
got = b""
while len(got) < 2:
    got += os.read(r, 2)
print("ready", flush=True)
sys.stdin.read()
os.wait()
"""
)


@pytest.mark.measures
def test_a_tools_tree_is_what_its_rusage_says() -> None:
    sampler = HostSampler(None)
    with subprocess.Popen(
        [sys.executable, "-c", TREE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tool:
        assert tool.stdin is not None
        assert tool.stdout is not None
        assert tool.stdout.readline() == "ready\n"
        sample = sampler.sample(tool.pid)
        root_alone = psutil.Process(tool.pid).memory_info().rss
        listed = [child.pid for child in psutil.Process(tool.pid).children(recursive=True)]
        assert len(listed) == 2
        assert sorted(host._tree(tool.pid)) == sorted([tool.pid, *listed])
        tool.stdin.close()
        os.waitid(os.P_PID, tool.pid, os.WEXITED | os.WNOWAIT)
        ended = sampler.sample(tool.pid)
        _, status, usage = os.wait4(tool.pid, 0)
        tool.returncode = os.waitstatus_to_exitcode(status)
    truth = usage.ru_utime + usage.ru_stime
    assert truth > 0.8
    # All that is still to come is the end of three processes.
    assert truth - 0.2 < sample.tool_cpu_seconds <= truth + 1e-6
    assert sample.tool_memory_bytes > 1.5 * root_alone
    # Ended but not reaped: its time is known and whole, and it holds no memory.
    # User and system time, of itself and of its children, are each cut to whole ticks.
    assert truth - 4 * TICK < ended.tool_cpu_seconds <= truth + 1e-6
    assert not ended.HasField("tool_memory_bytes")
    gone = sampler.sample(tool.pid)
    assert not gone.HasField("tool_cpu_seconds")
    assert not gone.HasField("tool_memory_bytes")
    assert len(gone.cpus) == len(sample.cpus)


BRIEF = (
    BURN
    + """
print("ready", flush=True)
until = time.monotonic() + 1.0
while time.monotonic() < until:
    for _ in range(2):
        if not os.fork():
            burn(0.02); os._exit(0)
    os.wait(); os.wait()
sys.stdin.read()
"""
)


def test_children_that_come_and_go_count_once() -> None:
    """The time of a child that is reaped while the tree is read is neither lost nor counted twice."""
    sampler = HostSampler(None)
    told = []
    with subprocess.Popen(
        [sys.executable, "-c", BRIEF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tool:
        assert tool.stdin is not None
        assert tool.stdout is not None
        assert tool.stdout.readline() == "ready\n"
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            sample = sampler.sample(tool.pid)
            if sample.HasField("tool_cpu_seconds"):
                told.append(sample.tool_cpu_seconds)
        tool.stdin.close()
        _, status, usage = os.wait4(tool.pid, 0)
        tool.returncode = os.waitstatus_to_exitcode(status)
    assert len(told) > 10
    # Each process is counted in whole ticks; a step back is time that was lost, or had counted twice.
    assert min(later - earlier for earlier, later in itertools.pairwise(told)) > -TICK / 2
    assert abs(max(told) - usage.ru_utime - usage.ru_stime) < 0.1
