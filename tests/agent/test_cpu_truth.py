"""A host's CPU against accounts that have nothing to do with /proc/stat, and each of its modes against the kernel's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from netmesh.v1 import agent_pb2
from netmesh_agent.host import HostSampler
from netmesh_controller.clients.samples import sample_from
from netmesh_controller.mesh.document import CpuCores
from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.hostwindow import cpu_cores

pytestmark = pytest.mark.measures

WINDOW_SECONDS = 3.0
# Others work on this machine, too: what cannot hold in a crowded window has to hold in one of so many.
WINDOWS = 3
TICK = 0.01  # USER_HZ, in which /proc counts


def plain(sample: agent_pb2.HostSample, seconds: float | None = None) -> Sample:
    """A sample as the controller reads it, taken at `seconds` where given."""
    read = sample_from(sample)
    return read if seconds is None else replace(read, monotonic_seconds=seconds)


def between(first: agent_pb2.HostSample, last: agent_pb2.HostSample) -> tuple[CpuCores, float]:
    """The host's CPU between two samples, and the seconds between them."""
    cores = cpu_cores(plain(first), plain(last))
    assert cores is not None
    return cores, (last.monotonic_nanoseconds - first.monotonic_nanoseconds) / 1e9


@dataclass(frozen=True)
class Group:
    """A control group of our own. The scheduler charges it for every nanosecond that its processes run, by no tick."""

    folder: Path
    version: int

    def usage(self) -> float:
        """CPU seconds of its processes."""
        return self._usage(self.folder)

    def others_usage(self) -> float:
        """CPU seconds of all other processes; of version 2, where the root's figure is no account of its own, of
        those in other groups.
        """
        if self.version == 1:
            return self._usage(self.folder.parent) - self.usage()
        return sum(self._usage(stat.parent) for stat in self.folder.parent.glob("*/cpu.stat")) - self.usage()

    def _usage(self, folder: Path) -> float:
        if self.version == 1:
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
        return int(fields["usage_usec"]) / 1e6


def place_for_groups() -> tuple[Path, int]:
    """Where the hierarchy that accounts CPU time is mounted, and its version."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split()[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "cpuacct" in options.split(",")):
            found[1 if kind == "cgroup" else 2] = Path(mount.split()[4])
    if not found:
        pytest.skip("this kernel has no control groups mounted")
    version = min(found)
    return found[version], version


@pytest.fixture
def group() -> Iterator[Group]:
    place, version = place_for_groups()
    group = Group(place / f"nm-test-cpu-{os.getpid()}", version)
    try:
        group.folder.mkdir()
    except OSError as error:
        pytest.skip(f"this kernel lets nobody make a control group: {error.strerror}")
    yield group
    for _ in range(50):  # until its last process is gone
        with contextlib.suppress(OSError):
            group.folder.rmdir()
            return
        time.sleep(0.02)
    group.folder.rmdir()


# Waits to be told, uses up the CPU time of its first argument and says so. Where the second is above 0 it stops for
# that long after each 2 ms, and goes on when a timer fires: work that kernels which sample by the tick do not see.
BURN = """
import sys, time
total, pause = map(float, sys.argv[1:])
sys.stdin.readline()
start = used = time.process_time()
while used < start + total:
    until = min(used + 0.002, start + total) if pause else start + total
    while used < until:
        used = time.process_time()
    time.sleep(pause)
print("done", flush=True)
sys.stdin.readline()
"""
BURNT_SECONDS = 1.2


@pytest.mark.parametrize("pause", [0.0, 0.003], ids=["at once", "paced"])
def test_a_groups_cpu_time_is_busy_within_5_percent_of_a_core(group: Group, pause: float) -> None:
    sampler = HostSampler(None)
    off = []
    for _ in range(WINDOWS):
        with subprocess.Popen(
            [sys.executable, "-c", BURN, str(BURNT_SECONDS), str(pause)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as burner:
            assert burner.stdin is not None
            assert burner.stdout is not None
            (group.folder / "cgroup.procs").write_text(str(burner.pid))
            time.sleep(0.3)  # it starts; what follows counts
            began = time.monotonic()
            first, used, others = sampler.sample(), group.usage(), group.others_usage()
            burner.stdin.write("go\n")
            burner.stdin.flush()
            assert burner.stdout.readline() == "done\n"
            time.sleep(max(0.0, began + WINDOW_SECONDS - time.monotonic()))
            last, used, others = sampler.sample(), group.usage() - used, group.others_usage() - others
        cores, seconds = between(first, last)
        assert BURNT_SECONDS - 0.01 < used < BURNT_SECONDS + 0.1
        # However crowded the machine is: what was burnt is in it.
        assert cores.busy > used / seconds - 0.05
        # What others have done in interrupts is busy time that no process is charged for.
        interrupts = cores.irq + cores.softirq + cores.steal
        off.append((cores.busy - (used + others) / seconds, interrupts))
        if -0.05 < off[-1][0] < 0.05 + interrupts:
            return
    pytest.fail(f"cores that busy was off by, and those in interrupts: {off}")


# Small datagrams to a socket of this host that nobody reads: receiving them is the kernel's work in softirq.
FLOOD = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", int(sys.argv[1])))
send, data = sock.send, bytes(64)
print("floods", flush=True)
while True:
    send(data)
"""


def softirq_by_hand() -> tuple[float, float]:
    """The monotonic clock and the softirq seconds of all cores, read without psutil: proc_stat(5), the 7th number."""
    lines = Path("/proc/stat").read_text().splitlines()
    per_core = [line.split() for line in lines if line.startswith("cpu") and not line.startswith("cpu ")]
    return time.monotonic(), sum(int(fields[7]) for fields in per_core) * TICK


def at_one_moment(sampler: HostSampler) -> tuple[agent_pb2.HostSample, float]:
    """A sample, and the softirq seconds by hand less than 5 ms before it, however busy the machine is."""
    while True:
        (moment, softirq), sample = softirq_by_hand(), sampler.sample()
        if abs(sample.monotonic_nanoseconds / 1e9 - moment) < 0.005:
            return sample, softirq


def softirq_of(sampler: HostSampler, seconds: float) -> float:
    """Cores in softirq over a window from now on, which is what /proc/stat says of the same window."""
    first, before = at_one_moment(sampler)
    time.sleep(seconds)
    last, after = at_one_moment(sampler)
    cores, window = between(first, last)
    # Between the two readings of a moment each core may have got one tick more.
    assert abs(cores.softirq * window - (after - before)) <= 2 * TICK * len(first.cpus) + 1e-6
    return cores.softirq


def test_a_flood_raises_softirq_as_the_kernel_samples_it() -> None:
    sampler = HostSampler(None)
    seen = []
    for _ in range(WINDOWS):
        quiet = softirq_of(sampler, 1.0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            command = [sys.executable, "-c", FLOOD, str(sink.getsockname()[1])]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
                try:
                    assert sender.stdout is not None
                    assert sender.stdout.readline() == "floods\n"
                    flooded = softirq_of(sampler, 2.0)
                finally:
                    sender.kill()
        seen.append((quiet, flooded))
        if flooded > quiet + 0.03:
            return
    pytest.fail(f"softirq without and with a flood, in cores: {seen}")


# Of a host with two virtual machines, in ticks: user nice system idle iowait irq softirq steal guest guest_nice.
# The kernel adds a guest's time to user and to guest alike (account_guest_time in kernel/sched/cputime.c), or to nice
# and guest_nice.
GUESTS_BEFORE = """\
cpu  950000 40000 120000 8700000 3000 0 9000 0 700000 30000
cpu0 500000 10000 60000 4330000 1000 0 5000 0 400000 10000
cpu1 450000 30000 60000 4370000 2000 0 4000 0 300000 20000
"""
# 5 s later. The first core: 4 s of user, 3 of them a guest's, 0.4 of system, 0.1 of softirq, 0.5 idle. The second:
# 1 s of user, 2 of nice, all a guest's, 1.9 idle, 0.1 iowait.
GUESTS_AFTER = """\
cpu  950500 40200 120040 8700240 3010 0 9010 0 700300 30200
cpu0 500400 10000 60040 4330050 1000 0 5010 0 400300 10000
cpu1 450100 30200 60000 4370190 2010 0 4000 0 300000 20200
"""


def test_guest_time_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is busy time, and in user or nice; on top of these it would make the modes more than what was busy."""
    shutil.copy("/proc/meminfo", tmp_path)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    samples = []
    for seconds, text in ((0.0, GUESTS_BEFORE), (5.0, GUESTS_AFTER)):
        (tmp_path / "stat").write_text(text)
        samples.append(plain(HostSampler(None).sample(), seconds))
    cores = cpu_cores(*samples)
    assert cores is not None
    assert (cores.user, cores.nice, cores.system) == pytest.approx((1.0, 0.4, 0.08))
    assert (cores.irq, cores.softirq, cores.steal) == pytest.approx((0.0, 0.02, 0.0))
    assert cores.busy == pytest.approx(2 - (0.5 + 1.9 + 0.1) / 5)
    assert cores.busiest_core == pytest.approx(0.9)
    assert cores.unattributed == pytest.approx(0.0)
