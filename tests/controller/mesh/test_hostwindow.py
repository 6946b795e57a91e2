"""Windows out of samples: exact on made-up counters, honest on counters that step back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.hostsamples import CpuTimes, at

from netmesh_controller.mesh import hostwindow
from netmesh_controller.mesh.document import Host
from netmesh_controller.mesh.hostsamples import Sample, Samples
from netmesh_controller.mesh.hostwindow import busy_error_cores, cpu_cores, idle_baseline, window

ZERO = CpuTimes()
DEVICE: dict[str, int | str] = {"name": "eth0", "received_bytes": 100, "sent_bytes": 5, "received_drops": 0}


def host_cost(*samples: Sample, **more: Any) -> Host:
    return hostwindow.host_cost(Samples.of(samples), **more)


def test_offset_is_the_least_delayed_sample() -> None:
    # The controller's clock is 1000 ahead; ways of 30, 2 and 500 ms.
    samples = [Sample(t, t + 1000 + way) for t, way in ((1.0, 0.030), (2.0, 0.002), (3.0, 0.5))]
    assert Samples.of(samples).clock_offset() == pytest.approx(1000.002)


@given(
    offset=st.floats(-1e6, 1e6),
    ways=st.lists(st.floats(0, 5), min_size=1, max_size=50),
)
def test_offset_is_off_by_the_shortest_way(offset: float, ways: list[float]) -> None:
    samples = [Sample(float(i), i + offset + way) for i, way in enumerate(ways)]
    assert Samples.of(samples).clock_offset() - offset == pytest.approx(min(ways), abs=1e-6)


def test_offset_of_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        Samples().clock_offset()


def test_window_keeps_to_its_bounds() -> None:
    samples = Samples.of(at(t / 10) for t in range(100))
    found = window(samples, 2.05, 7.0)
    assert found is not None
    assert (found[0].monotonic_seconds, found[-1].monotonic_seconds) == (2.1, 7.0)
    assert len(found) == 50


@pytest.mark.parametrize("times", [(), (3.0,), (2.0, 4.4), (0.0, 1.9, 7.1)])
def test_window_of_too_little_is_none(times: tuple[float, ...]) -> None:
    assert window(Samples.of(at(t) for t in times), 2.0, 7.0) is None


@given(
    times=st.lists(st.floats(0, 100), max_size=40, unique=True), start=st.floats(0, 100), length=st.floats(0.001, 100)
)
def test_window_never_reaches_out_and_spans_half(times: list[float], start: float, length: float) -> None:
    found = window(Samples.of(at(t) for t in times), start, start + length)
    inside = [t for t in times if start <= t <= start + length]
    if found is None:
        assert len(inside) < 2 or max(inside) - min(inside) < length / 2 * (1 + 1e-9)
    else:
        assert [found[place].monotonic_seconds for place in range(len(found))] == sorted(inside)
        assert found[-1].monotonic_seconds - found[0].monotonic_seconds >= (start + length - start) / 2 * (1 - 1e-9)


def test_cores_by_mode() -> None:
    # 10 s: core 0 idle for 2 s and waiting for 1 s, core 1 idle for 9 s; 0.5 s charged to nothing.
    first = at(100, CpuTimes(50, 1, 20, 0, 5, 0, 900, 30), CpuTimes(9, 0, 9, 0, 0, 0, 990, 0))
    last = at(110, CpuTimes(53, 1.5, 22, 0.25, 5.75, 0, 902, 31), CpuTimes(9.5, 0, 9.25, 0, 0, 0.25, 999, 0))
    cores = cpu_cores(first, last)
    assert cores is not None
    assert cores.model_dump() == pytest.approx(
        {
            "user": 0.35,
            "nice": 0.05,
            "system": 0.225,
            "irq": 0.025,
            "softirq": 0.075,
            "steal": 0.025,
            "busy": 0.8,
            "unattributed": 0.05,
            "busiest_core": 0.7,
        }
    )


def test_waiting_for_disks_is_not_busy() -> None:
    cores = cpu_cores(at(0, ZERO), at(10, dataclasses.replace(ZERO, iowait=10)))
    assert cores is not None
    assert cores.busy == 0


def test_time_moved_from_iowait_to_idle_is_still_idle() -> None:
    # proc(5): iowait may decrease. The kernel then told the same waiting as idle.
    first = at(0, CpuTimes(0, 0, 0, 0, 0, 0, 100, 60))
    last = at(10, CpuTimes(1, 0, 0, 0, 0, 0, 168, 1))
    cores = cpu_cores(first, last)
    assert cores is not None
    assert cores.busy == pytest.approx(0.1)
    assert cores.user == pytest.approx(0.1)
    assert cores.unattributed == pytest.approx(0, abs=1e-12)


def test_a_tick_more_idle_than_time_is_no_negative_busy() -> None:
    cores = cpu_cores(at(0, ZERO, ZERO), at(1, *(dataclasses.replace(ZERO, idle=1.01),) * 2))
    assert cores is not None
    assert (cores.busy, cores.busiest_core, cores.unattributed) == (0, 0, 0)


@pytest.mark.parametrize(
    "last",
    [
        at(10, ZERO),  # a core went away
        at(10),
        at(10, dataclasses.replace(ZERO, idle=8), dataclasses.replace(ZERO, idle=-50)),  # a core was taken out and in
        at(10, dataclasses.replace(ZERO, idle=8), dataclasses.replace(ZERO, idle=80)),  # more idle than time
        at(10, dataclasses.replace(ZERO, idle=8), dataclasses.replace(ZERO, idle=8, steal=-3)),
        at(0, ZERO, ZERO),  # no time
    ],
)
def test_counters_that_cannot_be_are_unknown(last: Sample) -> None:
    assert cpu_cores(at(0, ZERO, ZERO), last) is None


modes = st.tuples(*(st.floats(0, 3) for _ in range(6)))


@given(
    cores=st.lists(st.tuples(modes, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    boot=st.floats(0, 1e6),
    seconds=st.floats(1, 1000),
    rate=st.one_of(st.none(), st.floats(0, 1e12)),
    baseline=st.one_of(st.none(), st.floats(0, 8)),
)
def test_figures_are_bounded(
    cores: list[tuple[tuple[float, ...], float, float]],
    boot: float,
    seconds: float,
    rate: float | None,
    baseline: float | None,
) -> None:
    """Idle shares of 0 to 1, modes that may claim more than the idle time leaves: never below 0, never above all."""
    first = at(boot, *(CpuTimes(boot, boot, boot, boot, boot, boot, boot, boot) for _ in cores))
    last = at(
        boot + seconds,
        *(
            CpuTimes(*(boot + spent for spent in (*charged, share * seconds * part, share * seconds * (1 - part))))
            for charged, share, part in cores
        ),
    )
    host = host_cost(first, last, idle_busy_cores=baseline, bits_per_second=rate, shared=False)
    cpu = host.cpu_cores
    assert cpu is not None
    assert all(figure >= 0 for figure in cpu.model_dump().values())
    assert cpu.busy == pytest.approx(sum(1 - share for _, share, _ in cores), abs=1e-3)
    assert cpu.busiest_core == pytest.approx(max(1 - share for _, share, _ in cores), abs=1e-3)
    charged = cpu.user + cpu.nice + cpu.system + cpu.irq + cpu.softirq + cpu.steal
    assert cpu.unattributed == pytest.approx(max(0, cpu.busy - charged), abs=1e-9)
    if host.cpu_seconds_per_gigabyte is not None:
        assert rate
        assert baseline is not None
        assert host.cpu_seconds_per_gigabyte * rate / 8e9 == pytest.approx(cpu.busy - baseline)


FIRST = at(
    10,
    ZERO,
    ZERO,
    memory_total_bytes=1000,
    memory_available_bytes=500,
    device=DEVICE,
    tool_cpu_seconds=1.0,
    tool_memory_bytes=7,
    throttled_seconds=0.5,
)
MIDDLE = at(12, memory_available_bytes=300, tool_memory_bytes=9)
LAST = at(
    15,
    CpuTimes(2, 0, 1, 0, 0, 0, 2, 0),
    CpuTimes(0, 0, 0, 0, 0, 0, 5, 0),
    memory_total_bytes=1000,
    memory_available_bytes=400,
    device={**DEVICE, "received_bytes": 1100, "sent_bytes": 5, "received_drops": 2},
    tool_cpu_seconds=3.5,
    tool_memory_bytes=8,
    throttled_seconds=0.75,
)


def test_cost_of_a_window() -> None:
    # 4 Gbit/s are 0.5 GB/s; 0.6 cores busy of which 0.1 are the baseline.
    host = host_cost(FIRST, MIDDLE, LAST, idle_busy_cores=0.1, bits_per_second=4e9, shared=False)
    assert host.cpu_cores is not None
    assert host.cpu_cores.busy == pytest.approx(0.6)
    assert host.cpu_seconds_per_gigabyte == pytest.approx(1.0)
    assert host.tool_cpu_cores == pytest.approx(0.5)
    assert host.tool_cpu_seconds_per_gigabyte == pytest.approx(1.0)
    assert host.memory_bytes == {"total": 1000, "available_min": 300, "tool_max": 9}
    assert host.device == {"name": "eth0", "received_bytes": 1000, "sent_bytes": 0, "received_drops": 2}
    assert host.throttled_seconds == pytest.approx(0.25)
    assert host.window_seconds == pytest.approx(5)
    assert not host.shared_host


@pytest.mark.parametrize(
    ("baseline", "rate", "shared"),
    [(None, 4e9, False), (0.1, None, False), (0.1, 0.0, False), (0.1, 4e9, True), (0.7, 4e9, False)],
)
def test_whole_host_cost_that_cannot_be_told_is_null(baseline: float | None, rate: float | None, shared: bool) -> None:
    host = host_cost(FIRST, LAST, idle_busy_cores=baseline, bits_per_second=rate, shared=shared)
    assert host.cpu_seconds_per_gigabyte is None
    # The tool's own is known whatever else ran.
    assert host.tool_cpu_cores == pytest.approx(0.5)
    assert (host.tool_cpu_seconds_per_gigabyte is None) == (not rate)
    assert host.shared_host is shared


def steps(busy: list[float], began: float = 10.0) -> list[Sample]:
    """Samples of one core each 0.25 s, busy for so many parts of it."""
    samples, used = [at(began, ZERO)], 0.0
    for number, share in enumerate(busy, 1):
        used += share * 0.25
        samples.append(at(began + number * 0.25, dataclasses.replace(ZERO, user=used, idle=number * 0.25 - used)))
    return samples


def test_the_error_of_a_cost_is_that_of_the_test_and_of_the_baseline() -> None:
    window_of = steps([0.5, 0.7, 0.5, 0.7, 0.5, 0.7, 0.5, 0.7])
    error = busy_error_cores(Samples.of(window_of), 1)
    # The mean of 8 pieces of 0.6 ± 0.107, with the ticks of a window of 2 s.
    assert error == pytest.approx(math.hypot(0.1069 / 8**0.5, 0.01 / 6**0.5 / 2), rel=1e-3)
    host = host_cost(*window_of, idle_busy_cores=0.1, idle_error_cores=0.03, bits_per_second=8e9, shared=False)
    assert host.cpu_seconds_per_gigabyte == pytest.approx(0.5)
    assert host.cpu_error_seconds_per_gigabyte == pytest.approx(math.hypot(error or 0, 0.03))


def test_a_cost_within_twice_its_error_is_null() -> None:
    restless = steps([0.0, 1.0, 0.1, 0.9, 0.0, 1.0])
    baseline = idle_baseline(Samples.of(steps([0.9, 0.0, 0.1, 0.6])))
    assert baseline is not None
    host = host_cost(
        *restless, idle_busy_cores=baseline[0], idle_error_cores=baseline[1], bits_per_second=8e9, shared=False
    )
    assert host.cpu_cores is not None
    assert host.cpu_cores.busy > baseline[0]
    assert (host.cpu_seconds_per_gigabyte, host.cpu_error_seconds_per_gigabyte) == (None, None)


def test_what_one_end_lacks_is_null() -> None:
    bare = at(10)
    for first, last in ((bare, LAST), (FIRST, at(15)), (bare, at(15))):
        host = host_cost(first, last, idle_busy_cores=0.1, bits_per_second=4e9, shared=False)
        assert host.cpu_cores is None
        assert host.cpu_seconds_per_gigabyte is None
        assert host.tool_cpu_cores is None
        assert host.tool_cpu_seconds_per_gigabyte is None
        assert host.throttled_seconds is None
        assert host.device == {}


def test_counters_that_began_anew_are_null() -> None:
    again = dataclasses.replace(
        LAST, device={**DEVICE, "received_bytes": 10}, tool_cpu_seconds=0.5, throttled_seconds=0.1
    )
    host = host_cost(FIRST, again, idle_busy_cores=None, bits_per_second=None, shared=False)
    assert (host.device, host.tool_cpu_cores, host.throttled_seconds) == ({}, None, None)
    other = dataclasses.replace(LAST, device={**LAST.device, "name": "eth1"})
    assert host_cost(FIRST, other, idle_busy_cores=None, bits_per_second=None, shared=False).device == {}


def test_a_window_has_two_ends() -> None:
    with pytest.raises(ValueError, match="1 samples"):
        host_cost(FIRST, idle_busy_cores=None, bits_per_second=None, shared=False)


def test_idle_baseline() -> None:
    baseline = idle_baseline(Samples.of((FIRST, MIDDLE, LAST)))
    assert baseline is not None
    assert baseline[0] == pytest.approx(0.6)
    short = dataclasses.replace(LAST, monotonic_seconds=10.3)
    assert [idle_baseline(Samples.of(few)) for few in ((), (FIRST,), (FIRST, short))] == [None] * 3
