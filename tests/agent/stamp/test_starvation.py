"""Starvation at an end of the link: STAMP's network time stays true, the process's does not, and the witness tells."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.agent.stamp.network import MICROSECOND, Truth, network, p99, truth

from netmesh.v1 import agent_pb2
from netmesh_controller.clients.agents import sample_from
from netmesh_controller.mesh.document import CellKey, Hosts, Parameters, Summary, Witness
from netmesh_controller.mesh.hostwindow import host_cost
from netmesh_controller.mesh.witness import witness

pytestmark = [pytest.mark.measures, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

LOOPS = 4
# What stands for the network, and its captures, have a core whenever they need one (SCHED_FIFO).
UNHINDERED = ("chrt", "--fifo", "10")


class Limit:
    """A control group that leaves 5 % of a core to its processes: version 1 (cpu.cfs_quota_us) or 2 (cpu.max)."""

    def __init__(self, name: str) -> None:
        first, second = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
        self.old = (first / "cgroup.procs").exists()
        if not self.old and "cpu" not in (second / "cgroup.controllers").read_text().split():
            pytest.skip("this kernel has no control groups that limit CPU, of neither version")
        self.folder = (first if self.old else second) / name
        self.folder.mkdir()
        if not self.old:
            (second / "cgroup.subtree_control").write_text("+cpu")

    def set(self, quota: int | None) -> None:
        if self.old:
            (self.folder / "cpu.cfs_period_us").write_text("100000")
            (self.folder / "cpu.cfs_quota_us").write_text(str(quota or -1))
        else:
            (self.folder / "cpu.max").write_text(f"{quota or 'max'} 100000")

    def hold(self, process: subprocess.Popen[str]) -> None:
        (self.folder / "cgroup.procs").write_text(str(process.pid))

    def times_throttled(self) -> int:
        lines = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(lines["nr_throttled"])

    def remove(self) -> None:
        # Its processes have ended; the kernel may need a moment to see it.
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)


# What an agent samples, from inside of the control group that it shares with its tool; a line names the tool.
SAMPLER = """
import sys
from netmesh_agent.host import HostSampler
sampler = HostSampler(None)
sampler.sample()
print("ready", flush=True)
for line in sys.stdin:
    print(sampler.sample(int(line)).SerializeToString().hex(), flush=True)
"""


class Watcher:
    """Samples of a measuring process, as its agent takes them."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SAMPLER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def sample(self, root: int) -> agent_pb2.HostSample:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{root}\n")
        self.process.stdin.flush()
        return agent_pb2.HostSample.FromString(bytes.fromhex(self.process.stdout.readline()))


@contextmanager
def watching() -> Iterator[Watcher]:
    watcher = Watcher()
    try:
        yield watcher
    finally:
        watcher.process.kill()
        watcher.process.communicate()


def witnessed(first: agent_pb2.HostSample, last: agent_pb2.HostSample, answer: Any, instrument: str) -> Witness:
    """The witness of a cell with this answer, whose source was sampled at the beginning and at the end."""
    parameters = Parameters(instrument=instrument, offered_per_second=1000)
    key = CellKey(path="pod-to-pod", test="udp-latency", source="a", target="b", repeat=1, parameters=parameters)
    samples = (sample_from(first), sample_from(last))
    host = host_cost(*samples, idle_busy_cores=None, bits_per_second=None, shared=False)
    values = {"round_trip_seconds": Summary(mean=answer["values"]["round_trip_seconds"]["mean"])}
    seen, _ = witness(key, dict(values), Hosts(source=host))
    assert seen is not None
    return seen


def assert_the_networks_time_is_true(answer: Any, real: Truth) -> None:
    found = answer["values"]["network_round_trip_seconds"]
    assert found["count"] >= 50
    assert abs(found["p50"] - statistics.median(real.network)) <= 5 * MICROSECOND
    assert found["p99"] == pytest.approx(p99(real.network), rel=0.2)


def assert_the_processes_time_is_far_off(answer: Any) -> None:
    found, whole = answer["values"]["network_round_trip_seconds"], answer["values"]["round_trip_seconds"]
    # What a process sees is its own waiting.
    assert whole["p50"] > 2 * found["p50"] or whole["p99"] > 4 * found["p99"]


@pytest.mark.parametrize("starved", ["sender", "reflector"])
def test_a_process_with_5_percent_of_a_core(starved: str) -> None:
    limit = Limit(f"nmst{os.getpid()}")
    try:
        with watching() as watcher, network(relay=True, first=UNHINDERED) as made:
            reflector = made.reflector()
            captures = made.capture()
            # The warm-up is the time in which the process starts, and is then held.
            options = ("--rate", "2000", "--omit", "2", "--duration", "4", "--timeout", "2")
            client = made.stamp(made.near, "client", *options)
            held = client if starved == "sender" else reflector
            time.sleep(1.5)
            for process in (held, watcher.process):
                limit.hold(process)
            first = watcher.sample(held.pid)
            limit.set(5_000)
            time.sleep(4.5)
            last = watcher.sample(held.pid)
            limit.set(None)
            answer = json.loads(client.communicate(timeout=60)[0])
            real = truth(captures, answer)
    finally:
        limit.remove()
    assert_the_networks_time_is_true(answer, real)
    assert_the_processes_time_is_far_off(answer)
    assert answer["values"]["round_trip_seconds"]["p99"] > 0.02
    seen = witnessed(first, last, answer, "stamp")
    assert seen.verdict == "marked"
    assert "throttled" in seen.signs
    if starved == "sender":
        # It wants a third of a core, also where others leave it little: what a process timed there would be discarded.
        assert witnessed(first, last, answer, "sockperf").verdict == "starved"


def test_beside_four_busy_loops() -> None:
    """On two cores."""
    with watching() as watcher, busy_loops(), network(relay=True, first=UNHINDERED) as made:
        made.reflector()
        captures = made.capture()
        client = made.stamp(made.near, "client", "--rate", "1000", "--omit", "2", "--duration", "4", "--timeout", "2")
        time.sleep(2.5)
        first = watcher.sample(client.pid)
        time.sleep(3)
        last = watcher.sample(client.pid)
        answer = json.loads(client.communicate(timeout=60)[0])
        real = truth(captures, answer)
    assert_the_networks_time_is_true(answer, real)
    assert_the_processes_time_is_far_off(answer)
    seen = witnessed(first, last, answer, "stamp")
    assert seen.verdict == "marked"
    assert {"run_queue_wait", "pressure", "busy_core"} <= set(seen.signs)


@contextmanager
def busy_loops() -> Iterator[None]:
    """Two on each of the machine's first two cores, which is all of a machine of two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    loops: list[subprocess.Popen[bytes]] = []
    before = os.sched_getaffinity(0)
    # All that is started from here on is on these cores.
    os.sched_setaffinity(0, cores)
    try:
        loops += [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
        yield
    finally:
        os.sched_setaffinity(0, before)
        for loop in loops:
            loop.kill()
            loop.wait()
