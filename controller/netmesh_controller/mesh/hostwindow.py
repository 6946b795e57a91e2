"""What a test cost its hosts: windows out of samples of cumulative counters. Pure.

A window lies on the samples' own clock, the monotonic one of the agent that took them: on the operator's clock a
window would hold whatever the way there took.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter

import numpy as np

from netmesh_controller.mesh import noise
from netmesh_controller.mesh.document import CpuCores, Host
from netmesh_controller.mesh.table import Floats

# How far counters of one moment may contradict each other: the kernel rounds them to ticks of 10 ms (or 4 ms), and a
# sampling process can be held up in between. Beyond this they are wrong, and no figure is made of them.
SLACK_SECONDS = 0.1
# A shorter window says more of the ticks than of the host.
MIN_IDLE_SECONDS = 0.5

# User and system time of the two processes that run in a tool's tree: timeout(1), and the tool with its threads.
_TOOL_COUNTERS = 4


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds that one core spent in each mode since boot, as proc(5) tells them: guest time stands in user."""

    user: float
    nice: float
    system: float
    irq: float
    softirq: float
    steal: float
    idle: float
    iowait: float


COUNTERS = tuple(each.name for each in fields(CpuTimes))
# From here on they are of its idle time.
_IDLE = COUNTERS.index("idle")
_MODES = COUNTERS[:_IDLE]
_read = attrgetter(*COUNTERS)


def counters_of(cpus: Iterable[CpuTimes]) -> Floats:
    """Seconds that each core spent in each mode since boot: (cores, modes), in the order of COUNTERS."""
    return np.array([_read(core) for core in cpus]).reshape(-1, len(COUNTERS))


def idle_of(cpus: Iterable[CpuTimes]) -> float:
    """Seconds that all cores together were idle since boot, waiting for I/O included."""
    return sum(core.idle + core.iowait for core in cpus)


@dataclass(frozen=True, slots=True)
class Sample:
    """A host's counters at one moment; None, or an empty `cpus` or `device`, where they are unknown.

    `monotonic_seconds` is the agent's clock at the reading, `arrived_seconds` the controller's at the arrival.
    `device` has its name, and its counters by the names of the contract's message.
    """

    monotonic_seconds: float
    arrived_seconds: float
    cpus: Sequence[CpuTimes] = ()
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    device: dict[str, int | str] = field(default_factory=dict)
    tool_cpu_seconds: float | None = None
    tool_memory_bytes: int | None = None
    throttled_seconds: float | None = None
    pressure_seconds: float | None = None
    pressure_is_hosts: bool = False
    tool_wait_seconds: float | None = None
    agent_wait_seconds: float | None = None
    loop_late_seconds: float | None = None

    @property
    def cores(self) -> int:
        """How many cores the counters are of; 0 where they are unknown."""
        return len(self.cpus)

    @property
    def counters(self) -> Floats:
        """As `counters_of` has them."""
        return counters_of(self.cpus)

    @property
    def idle_seconds(self) -> float:
        """As `idle_of` has them."""
        return idle_of(self.cpus)


def clock_offset(samples: Iterable[Sample]) -> float:
    """What to add to the agent's monotonic clock to get the controller's, in seconds.

    The least of arrival minus reading over the stream: too large by the shortest way there, never by more. Raises
    ValueError where there is no sample.
    """
    return min(sample.arrived_seconds - sample.monotonic_seconds for sample in samples)


def window(samples: Iterable[Sample], start: float, end: float) -> tuple[Sample, ...] | None:
    """The samples from the first at or after `start` to the last at or before `end`, on their own clock, in order.

    None where fewer than two, or where they span less than half of what was asked.
    """
    inside = sorted(
        (sample for sample in samples if start <= sample.monotonic_seconds <= end),
        key=lambda sample: sample.monotonic_seconds,
    )
    if len(inside) < 2 or inside[-1].monotonic_seconds - inside[0].monotonic_seconds < (end - start) / 2:
        return None
    return tuple(inside)


def cpu_cores(first: Sample, last: Sample) -> CpuCores | None:
    """A host's CPU between two samples; None where the counters cannot tell.

    Busy is what was not idle: kernels that sample by the tick charge paced work to no other mode. Idle and iowait
    count as one: the kernel moves waiting time between the two, so that either alone may step back.
    """
    seconds = last.monotonic_seconds - first.monotonic_seconds
    grown = _grown_counters(first, last, seconds)
    if grown is None:
        return None
    idle, spent = grown[:, _IDLE:].sum(axis=1), grown[:, :_IDLE]
    if spent.min() < -SLACK_SECONDS:
        return None
    modes = dict(zip(_MODES, (np.maximum(0.0, spent.sum(axis=0)) / seconds).tolist(), strict=True))
    busy = _busy(float(idle.sum()), len(idle), seconds)
    return CpuCores(
        **modes,
        unattributed=max(0.0, busy - sum(modes.values())),
        busy=busy,
        busiest_core=min(max(0.0, 1 - float(idle.min()) / seconds), 1.0),
    )


def _grown_counters(first: Sample, last: Sample, seconds: float) -> Floats | None:
    """What each counter grew by; None where a core's idle time contradicts the time between the samples."""
    before, after = first.counters, last.counters
    if seconds <= 0 or not len(before) or len(before) != len(after):
        return None
    grown: Floats = after - before
    idle = grown[:, _IDLE:].sum(axis=1)
    return None if idle.min() < -SLACK_SECONDS or idle.max() > seconds + SLACK_SECONDS else grown


def _busy(idle_seconds: float, cores: int, seconds: float) -> float:
    return min(max(0.0, cores - idle_seconds / seconds), float(cores))


def busy_cores(first: Sample, last: Sample) -> float | None:
    """Busy cores between two samples, or None where the counters cannot tell."""
    seconds = last.monotonic_seconds - first.monotonic_seconds
    grown = _grown_counters(first, last, seconds)
    return None if grown is None else _busy(float(grown[:, _IDLE:].sum()), len(grown), seconds)


def busy_error_cores(samples: Sequence[Sample]) -> float | None:
    """The standard uncertainty of the busy cores over a window: by its ticks, and by how its pieces differ."""
    seconds = samples[-1].monotonic_seconds - samples[0].monotonic_seconds
    if seconds <= 0:
        return None
    cores = samples[0].cores
    ticks = noise.tick_error_cores(cores, seconds)
    return noise.added(ticks, noise.spread_error_cores(_pieces(samples, cores)))


def _pieces(samples: Sequence[Sample], cores: int) -> Floats:
    """Busy cores in each piece of a window that its counters can tell of."""
    ends = [one for one in noise.piece_ends(samples) if cores and one.cores == cores]
    seconds = np.diff([one.monotonic_seconds for one in ends])
    idle = np.diff([one.idle_seconds for one in ends])
    slack = cores * SLACK_SECONDS
    told = (idle >= -slack) & (idle <= cores * seconds + slack)
    busy: Floats = np.clip(cores - idle[told] / seconds[told], 0.0, cores)
    return busy


def idle_baseline(samples: Sequence[Sample]) -> tuple[float, float] | None:
    """Busy cores of a host while it is not tested, and their error; None where the samples span too little to tell."""
    ordered = sorted(samples, key=lambda sample: sample.monotonic_seconds)
    if not ordered or ordered[-1].monotonic_seconds - ordered[0].monotonic_seconds < MIN_IDLE_SECONDS:
        return None
    busy, error = busy_cores(ordered[0], ordered[-1]), busy_error_cores(ordered)
    return None if busy is None or error is None else (busy, error)


def idle_busy_cores(samples: Sequence[Sample]) -> float | None:
    """Busy cores of a host while it is not tested, or None where the samples span too little to tell."""
    baseline = idle_baseline(samples)
    return None if baseline is None else baseline[0]


def busy_share(first: Sample, last: Sample) -> float | None:
    """The part of a host's cores that was busy between two samples, 0 to 1; None where they cannot tell."""
    busy = idle_busy_cores([first, last])
    # By the ticks' rounding all cores may seem to be more than all.
    return None if busy is None or not last.cores else min(1.0, busy / last.cores)


def host_cost(
    *samples: Sample,
    idle_busy_cores: float | None,
    bits_per_second: float | None,
    shared: bool,
    idle_error_cores: float = 0.0,
) -> Host:
    """What a host spent in the window that `samples` (at least two, in order) span.

    `bits_per_second` is what the test received. The whole host's cost is null where its idle baseline or the rate is
    unknown, where nothing was received, where another test ran on the same kernel (`shared`), and where the host was
    not busier than its baseline by twice the error of both, or by less than its own tool: then the cost is smaller
    than what can be told. The tool's own is null where that is so of it, and where the samples do not have its process
    tree at both ends.
    """
    if len(samples) < 2:
        raise ValueError(f"a window of {len(samples)} samples")
    first, last = samples[0], samples[-1]
    seconds = last.monotonic_seconds - first.monotonic_seconds
    cores = cpu_cores(first, last)
    tool_seconds = _grown(first.tool_cpu_seconds, last.tool_cpu_seconds)
    # The kernel tells a process's time in ticks of 10 ms: none grown is less than can be told, not none used.
    tool_cores = tool_seconds / seconds if tool_seconds and seconds > 0 else None
    # Less than a bit a second is nothing received.
    gigabytes_per_second = bits_per_second / 8e9 if bits_per_second is not None and bits_per_second >= 1 else None
    above = None
    error = noise.added(busy_error_cores(samples), idle_error_cores)
    if cores is not None and idle_busy_cores is not None and not shared:
        above = cores.busy - idle_busy_cores
        # Less than its own tool took: the host was busier with other things before the sweep than now.
        if above <= 2 * error or (tool_cores is not None and above < tool_cores):
            above = None
    tool_error = noise.tick_error_cores(_TOOL_COUNTERS, seconds) if tool_cores is not None else None
    return Host(
        cpu_cores=cores,
        cpu_seconds_per_gigabyte=_per(above, gigabytes_per_second),
        cpu_error_seconds_per_gigabyte=_per(error if above is not None else None, gigabytes_per_second),
        tool_cpu_cores=tool_cores,
        tool_cpu_seconds_per_gigabyte=_per(tool_cores, gigabytes_per_second),
        tool_cpu_error_seconds_per_gigabyte=_per(tool_error, gigabytes_per_second),
        memory_bytes=_memory(samples),
        device=_device(first, last),
        throttled_seconds=_grown(first.throttled_seconds, last.throttled_seconds),
        pressure_seconds=_grown(first.pressure_seconds, last.pressure_seconds),
        pressure_is_hosts=last.pressure_is_hosts,
        tool_wait_seconds=_grown(first.tool_wait_seconds, last.tool_wait_seconds),
        agent_wait_seconds=_grown(first.agent_wait_seconds, last.agent_wait_seconds),
        loop_late_seconds=_grown(first.loop_late_seconds, last.loop_late_seconds),
        window_seconds=seconds,
        shared_host=shared,
    )


def _grown(before: float | None, after: float | None) -> float | None:
    """A counter's growth; None where an end is unknown, or where it stepped back and so began anew."""
    return after - before if before is not None and after is not None and after >= before else None


def _per(cores: float | None, gigabytes_per_second: float | None) -> float | None:
    return cores / gigabytes_per_second if cores is not None and gigabytes_per_second is not None else None


def _memory(samples: Sequence[Sample]) -> dict[str, int]:
    """Of the host: all of it, and the least that was available in the window; of the tool: the most resident."""
    available = [one.memory_available_bytes for one in samples if one.memory_available_bytes is not None]
    tool = [one.tool_memory_bytes for one in samples if one.tool_memory_bytes is not None]
    found = {
        "total": samples[-1].memory_total_bytes,
        "available_min": min(available, default=None),
        "tool_max": max(tool, default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def _device(first: Sample, last: Sample) -> dict[str, int | str]:
    """The device's name and what its counters grew by; empty where it is not one device throughout."""
    name = last.device.get("name")
    if name is None or first.device.get("name") != name:
        return {}
    grown: dict[str, int | str] = {"name": name}
    for counter, after in last.device.items():
        before = first.device.get(counter)
        if counter == "name" or not isinstance(after, int) or not isinstance(before, int):
            continue
        if after < before:
            return {}
        grown[counter] = after - before
    return grown
