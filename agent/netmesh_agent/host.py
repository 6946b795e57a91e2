"""Counters of this host and of a tool's process tree at one moment."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from netmesh.v1 import agent_pb2
from netmesh_agent import device, waiting
from netmesh_agent.cgroup import Throttling

# Where this process is held up between the clock and the counters, they are of different moments: read again.
_SAME_MOMENT_NANOSECONDS = 1_000_000
_READINGS = 4


class _TreeChanged(Exception):  # noqa: N818  # never leaves this module
    """A process ended while its tree was read, so that its time would count twice or not at all."""


class HostSampler:
    """Samples the whole host, the traffic device (None: there is none to name) and the agent's own cgroup."""

    def __init__(self, device_name: str | None) -> None:
        self._device = device_name
        self._throttling = Throttling()

    def sample(self, root: int | None = None) -> agent_pb2.HostSample:
        """The counters now, with the process tree of `root` where given; what cannot be read stays unset.

        A tree whose root is gone has no figures. A process whose parent ended before it is no longer of the tree.
        """
        sample = agent_pb2.HostSample()
        sample.monotonic_nanoseconds, cpus = _cpus()
        sample.cpus.extend(cpus)
        # With the CPU's, so that the tree's time is of the same moment.
        if root is not None:
            _add_tree(sample, root)
        counters = device.counters(self._device) if self._device is not None else None
        if counters is not None:
            sample.device.CopyFrom(counters)
        memory = psutil.virtual_memory()
        sample.memory_total_bytes = memory.total
        if memory.available > 0:  # psutil's word for unknown is 0
            sample.memory_available_bytes = memory.available
        throttled = self._throttling.seconds()
        if throttled is not None:
            sample.throttled_seconds = throttled
        _add_waiting(sample)
        return sample


def _cpus() -> tuple[int, list[agent_pb2.Cpu]]:
    """The monotonic clock and every core's times at that moment.

    Of several readings the one that took least, since a throttled process may stand still in the middle of one.
    """
    readings = []
    for _ in range(_READINGS):
        before = time.monotonic_ns()
        times = psutil.cpu_times(percpu=True)
        took = time.monotonic_ns() - before
        readings.append((took, before + took // 2, times))
        if took < _SAME_MOMENT_NANOSECONDS:
            break
    _, moment, times = min(readings, key=lambda reading: reading[0])
    # The kernel's own fields: guest time stands in user and in nice already.
    cpus = [
        agent_pb2.Cpu(
            user=core.user,
            nice=core.nice,
            system=core.system,
            irq=core.irq,
            softirq=core.softirq,
            steal=core.steal,
            idle=core.idle,
            iowait=core.iowait,
        )
        for core in times
    ]
    return moment, cpus


def _add_waiting(sample: agent_pb2.HostSample) -> None:
    pressure = waiting.pressure()
    if pressure is not None:
        sample.pressure_seconds, sample.pressure_is_hosts = pressure
    waited = waiting.agent_waited()
    if waited is not None:
        sample.agent_wait_seconds = waited


def _add_tree(sample: agent_pb2.HostSample, root: int) -> None:
    for _ in range(_READINGS):
        try:
            cpu_seconds, resident_bytes, waited = _read_tree(root)
        except _TreeChanged:
            continue
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return
        sample.tool_cpu_seconds = cpu_seconds
        if resident_bytes > 0:  # one that has ended and is not reaped yet holds no memory
            sample.tool_memory_bytes = resident_bytes
        if waited is not None:
            sample.tool_wait_seconds = waited
        return


def _read_tree(root: int) -> tuple[float, int, float | None]:
    """CPU seconds (user and system, with children that were reaped), resident bytes and seconds in the run queue, of a
    process and all below.

    A process's time moves to its parent's when it is reaped. Parents are read before their children, so that none
    counts twice, and every listed child has to be there still, so that none is lost. Raises psutil.NoSuchProcess
    where the root is gone, _TreeChanged where the tree is to be read again.
    """
    pids = _tree(root)
    cpu_seconds, resident_bytes = 0.0, 0
    try:
        for process in map(psutil.Process, pids):
            with process.oneshot():  # one reading of its stat file
                times = process.cpu_times()
                # Being reaped: its parent has its time, while it still stands in the list.
                if process.status() == psutil.STATUS_DEAD:
                    raise _TreeChanged
            cpu_seconds += times.user + times.system + times.children_user + times.children_system
            resident_bytes += process.memory_info().rss
        waited = waiting.waited(pids)
    except psutil.NoSuchProcess as gone:
        if gone.pid == root:
            raise
        raise _TreeChanged from gone
    # proc(5): a list of children may lack some where others end while it is read.
    if _tree(root) != pids:
        raise _TreeChanged
    return cpu_seconds, resident_bytes, waited


def _tree(root: int) -> list[int]:
    """The process and all below it, parents before children."""
    pids = [root]
    for pid in pids:
        pids.extend(_children(pid))
    return pids


def _children(pid: int) -> list[int]:
    """The children of all of a process's threads; none where it is gone.

    The kernel lists them in a file of the thread where it was built to (CONFIG_PROC_CHILDREN); psutil reads every
    process of the machine, which takes milliseconds.
    """
    try:
        lists = [(thread / "children").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.NoSuchProcess:
            return []
    return [int(child) for listed in lists for child in listed.split()]
