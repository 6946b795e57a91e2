"""What a test cost its hosts: windows out of samples of cumulative counters. Pure.

A window lies on the samples' own clock, the monotonic one of the agent that took them: on the operator's clock a
window would hold whatever the way there took.
"""

from __future__ import annotations

import numpy as np

from netmesh_common.hostfigures import MODES, SLACK_SECONDS
from netmesh_controller.mesh import noise
from netmesh_controller.mesh.document import CpuCores, Host
from netmesh_controller.mesh.hostsamples import Sample, Samples
from netmesh_controller.mesh.table import Floats

# A shorter window says more of the ticks than of the host.
MIN_IDLE_SECONDS = 0.5

# User and system time of the two processes that run in a tool's tree: timeout(1), and the tool with its threads.
_TOOL_COUNTERS = 4


def window(samples: Samples, start: float, end: float) -> Samples | None:
    """The samples from the first at or after `start` to the last at or before `end`, on their own clock, in order.

    None where fewer than two, or where they span less than half of what was asked.
    """
    inside = samples.between(start, end)
    if len(inside) < 2 or _seconds(inside) < (end - start) / 2:
        return None
    return inside


def _seconds(samples: Samples) -> float:
    return float(samples.moments[-1] - samples.moments[0]) if len(samples) else 0.0


def cpu_cores(first: Sample, last: Sample) -> CpuCores | None:
    """A host's CPU between two samples; None where the counters cannot tell.

    Busy is what was not idle: kernels that sample by the tick charge paced work to no other mode. Idle and iowait
    count as one: the kernel moves waiting time between the two, so that either alone may step back.
    """
    seconds = last.monotonic_seconds - first.monotonic_seconds
    idle = _grown_idle(first, last, seconds)
    if idle is None or not first.modes or not last.modes:
        return None
    spent = [after - before for before, after in zip(first.modes, last.modes, strict=True)]
    if min(spent) < -SLACK_SECONDS:
        return None
    modes = {mode: max(0.0, grown) / seconds for mode, grown in zip(MODES, spent, strict=True)}
    busy = _busy(sum(idle), len(idle), seconds)
    return CpuCores(
        **modes,
        unattributed=max(0.0, busy - sum(modes.values())),
        busy=busy,
        busiest_core=min(max(0.0, 1 - min(idle) / seconds), 1.0),
    )


def _grown_idle(first: Sample, last: Sample, seconds: float) -> list[float] | None:
    """What each core's idle time grew by; None where one contradicts the time between the samples."""
    before, after = first.core_idle, last.core_idle
    if seconds <= 0 or not before or len(before) != len(after):
        return None
    idle = [new - old for old, new in zip(before, after, strict=True)]
    return None if min(idle) < -SLACK_SECONDS or max(idle) > seconds + SLACK_SECONDS else idle


def _busy(idle_seconds: float, cores: int, seconds: float) -> float:
    return min(max(0.0, cores - idle_seconds / seconds), float(cores))


def busy_cores(first: Sample, last: Sample) -> float | None:
    """Busy cores between two samples, or None where the counters cannot tell."""
    seconds = last.monotonic_seconds - first.monotonic_seconds
    idle = _grown_idle(first, last, seconds)
    return None if idle is None else _busy(sum(idle), len(idle), seconds)


def busy_error_cores(samples: Samples, cores: int) -> float | None:
    """The standard uncertainty of how many of `cores` are busy: by the ticks, and by how a window's pieces differ."""
    seconds = _seconds(samples)
    if seconds <= 0:
        return None
    return noise.added(noise.tick_error_cores(cores, seconds), noise.spread_error_cores(_pieces(samples, cores)))


def _pieces(samples: Samples, cores: int) -> Floats:
    """Busy cores in each piece of a window that its counters can tell of."""
    ends = noise.piece_ends(samples.moments)
    seconds, idle = np.diff(samples.moments[ends]), np.diff(samples.idle[ends])
    slack = cores * SLACK_SECONDS
    told = (idle >= -slack) & (idle <= cores * seconds + slack)
    busy: Floats = np.clip(cores - idle[told] / seconds[told], 0.0, cores)
    return busy


def idle_baseline(samples: Samples) -> tuple[float, float] | None:
    """Busy cores of a host while it is not tested, and their error; None where the samples span too little to tell."""
    if _seconds(samples) < MIN_IDLE_SECONDS:
        return None
    first, last = samples[0], samples[-1]
    busy, error = busy_cores(first, last), busy_error_cores(samples, first.cores)
    return None if busy is None or error is None else (busy, error)


def busy_share(first: Sample, last: Sample) -> float | None:
    """The part of a host's cores that was busy between two samples, 0 to 1; None where they cannot tell."""
    if last.monotonic_seconds - first.monotonic_seconds < MIN_IDLE_SECONDS:
        return None
    busy = busy_cores(first, last)
    # By the ticks' rounding all cores may seem to be more than all.
    return None if busy is None else min(1.0, busy / last.cores)


def host_cost(
    samples: Samples,
    *,
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
    error = noise.added(busy_error_cores(samples, first.cores), idle_error_cores)
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
        memory_bytes=_memory(samples, last.memory_total_bytes),
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


def _memory(samples: Samples, total: int | None) -> dict[str, int]:
    """Of the host: all of it, and the least that was available in the window; of the tool: the most resident."""
    found = {} if total is None else {"total": total}
    for name, column, pick in (
        ("available_min", "memory_available_bytes", np.min),
        ("tool_max", "tool_memory_bytes", np.max),
    ):
        figures = samples.column(column)
        known = figures[np.isfinite(figures)]
        if len(known):
            found[name] = round(float(pick(known)))
    return found


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
