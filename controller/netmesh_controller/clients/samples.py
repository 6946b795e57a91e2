# ruff: noqa: D102 (the properties are the fields of Sample)
"""Host samples as they arrive: read out of their messages when they are asked for.

A measurement has some 120 samples; of most of them a moment and the idle time are all that is ever looked at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from netmesh.v1 import agent_pb2
from netmesh_controller.mesh.hostwindow import CpuTimes, Sample


class ReceivedSample(Sample):
    """A sample over its message; `arrived_seconds` is on the controller's monotonic clock. Unset fields are None."""

    __slots__ = ("_message",)
    _message: agent_pb2.HostSample

    def __init__(self, message: agent_pb2.HostSample, arrived_seconds: float) -> None:
        put = object.__setattr__
        put(self, "_message", message)
        put(self, "monotonic_seconds", message.monotonic_nanoseconds / 1e9)
        put(self, "arrived_seconds", arrived_seconds)

    @property
    def cpus(self) -> Sequence[CpuTimes]:
        # A message of the contract has the fields of CpuTimes.
        return cast("Sequence[CpuTimes]", self._message.cpus)

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


def samples_from(message: agent_pb2.HostSample) -> list[Sample]:
    """The samples that travel in one message, in order."""
    now = time.monotonic()
    return [ReceivedSample(one, now) for one in (*message.earlier, message)]
