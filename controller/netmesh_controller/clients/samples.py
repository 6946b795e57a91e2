# ruff: noqa: D102 (the properties are the fields of Sample)
"""Host samples as they arrive: read out of their messages when they are asked for.

A measurement has some 120 samples; of most of them a moment and the idle time are all that is ever looked at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

import numpy as np

from netmesh.v1 import agent_pb2
from netmesh_controller.mesh.hostwindow import COUNTERS, CpuTimes, Sample, counters_of, idle_of
from netmesh_controller.mesh.table import Floats

# ticks_less counts hundredths of a second, core by core in the order of COUNTERS.
TICK_SECONDS = 0.01
IDLE, IOWAIT = COUNTERS.index("idle"), COUNTERS.index("iowait")


class _Carrier:
    """A message that arrived, with what the samples that it carries refer to."""

    __slots__ = ("_counters", "_idle", "message")

    def __init__(self, message: agent_pb2.HostSample) -> None:
        self.message = message
        self._counters: Floats | None = None
        self._idle: float | None = None

    @property
    def counters(self) -> Floats:
        if self._counters is None:
            self._counters = counters_of(_cpus(self.message))
        return self._counters

    @property
    def idle(self) -> float:
        if self._idle is None:
            self._idle = idle_of(_cpus(self.message))
        return self._idle


def _cpus(message: agent_pb2.HostSample) -> Sequence[CpuTimes]:
    # A message of the contract has the fields of CpuTimes.
    return cast("Sequence[CpuTimes]", message.cpus)


class ReceivedSample(Sample):
    """A sample over its message; `arrived_seconds` is on the controller's monotonic clock. Unset fields are None."""

    __slots__ = ("_carrier", "_message")
    _message: agent_pb2.HostSample
    _carrier: _Carrier

    def __init__(self, message: agent_pb2.HostSample, arrived_seconds: float, carrier: _Carrier | None = None) -> None:
        put = object.__setattr__
        put(self, "_message", message)
        put(self, "_carrier", _Carrier(message) if carrier is None else carrier)
        put(self, "monotonic_seconds", message.monotonic_nanoseconds / 1e9)
        put(self, "arrived_seconds", arrived_seconds)

    @property
    def cpus(self) -> Sequence[CpuTimes]:
        if not self._message.ticks_less:
            return _cpus(self._message)
        return [CpuTimes(*core) for core in self.counters.tolist()]

    @property
    def cores(self) -> int:
        return len(self._message.ticks_less) // len(COUNTERS) or len(self._message.cpus)

    @property
    def counters(self) -> Floats:
        less = self._message.ticks_less
        if not less:
            return (
                self._carrier.counters if self._carrier.message is self._message else counters_of(_cpus(self._message))
            )
        ticks = np.fromiter(less, np.float64, len(less)).reshape(-1, len(COUNTERS))
        told: Floats = self._carrier.counters - TICK_SECONDS * ticks
        return told

    @property
    def idle_seconds(self) -> float:
        less = self._message.ticks_less
        if not less:
            return self._carrier.idle if self._carrier.message is self._message else idle_of(_cpus(self._message))
        ticks = sum(less[IDLE :: len(COUNTERS)]) + sum(less[IOWAIT :: len(COUNTERS)])
        return self._carrier.idle - TICK_SECONDS * ticks

    @property
    def memory_total_bytes(self) -> int | None:
        return self._message.memory_total_bytes if self._message.HasField("memory_total_bytes") else None

    @property
    def memory_available_bytes(self) -> int | None:
        return self._message.memory_available_bytes if self._message.HasField("memory_available_bytes") else None

    @property
    def tool_cpu_seconds(self) -> float | None:
        return self._message.tool_cpu_seconds if self._message.HasField("tool_cpu_seconds") else None

    @property
    def tool_memory_bytes(self) -> int | None:
        return self._message.tool_memory_bytes if self._message.HasField("tool_memory_bytes") else None

    @property
    def throttled_seconds(self) -> float | None:
        return self._message.throttled_seconds if self._message.HasField("throttled_seconds") else None

    @property
    def pressure_seconds(self) -> float | None:
        return self._message.pressure_seconds if self._message.HasField("pressure_seconds") else None

    @property
    def tool_wait_seconds(self) -> float | None:
        return self._message.tool_wait_seconds if self._message.HasField("tool_wait_seconds") else None

    @property
    def agent_wait_seconds(self) -> float | None:
        return self._message.agent_wait_seconds if self._message.HasField("agent_wait_seconds") else None

    @property
    def loop_late_seconds(self) -> float | None:
        return self._message.loop_late_seconds if self._message.HasField("loop_late_seconds") else None

    @property
    def pressure_is_hosts(self) -> bool:
        return self._message.pressure_is_hosts

    @property
    def device(self) -> dict[str, int | str]:
        if not self._message.HasField("device"):
            return {}
        device = self._message.device
        return {name: getattr(device, name) for name in device.DESCRIPTOR.fields_by_name}


def sample_from(message: agent_pb2.HostSample) -> Sample:
    """A host sample with the moment of its arrival."""
    return ReceivedSample(message, time.monotonic())


def samples_from(message: agent_pb2.HostSample, arrived_seconds: float) -> list[Sample]:
    """The samples that travel in one message, in order."""
    carrier = _Carrier(message)
    return [ReceivedSample(one, arrived_seconds, carrier) for one in (*message.earlier, message)]
