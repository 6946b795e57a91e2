# ruff: noqa: D102 (the methods are those of Part)
"""Host samples as they arrive: read out of their message when they are asked for.

A measurement has some 120 samples; of most of them a moment and the idle time are all that is ever looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from netmesh.v1 import agent_pb2
from netmesh_common.hostfigures import FIGURES, MODES
from netmesh_controller.mesh.hostsamples import Sample
from netmesh_controller.mesh.noise import TICK_SECONDS
from netmesh_controller.mesh.table import Floats

# Of seconds and of bytes; what is more, or less than none, cannot be and is as unknown as what is no number.
MOST_FIGURE = 1e18
_COUNTS = frozenset({"memory_available_bytes", "tool_memory_bytes"})
_DEVICE = tuple(agent_pb2.DeviceColumns.DESCRIPTOR.fields_by_name)


class Received:
    """The samples of one message, a `Part`; `arrived_seconds` is on the controller's monotonic clock."""

    __slots__ = ("_message", "arrived_seconds", "moments")

    def __init__(self, message: agent_pb2.HostSamples, arrived_seconds: float) -> None:
        self._message = message
        self.arrived_seconds = arrived_seconds
        self.moments: Floats = _array(message.monotonic_nanoseconds) / 1e9

    @property
    def idle(self) -> Floats:
        return self._or_unknown(_array(self._message.idle_seconds))

    def column(self, name: str) -> Floats:
        column = self._or_unknown(_array(getattr(self._message, name)))
        column[~((column >= 0) & (column <= MOST_FIGURE))] = np.nan
        return column

    def _or_unknown(self, column: Floats) -> Floats:
        return column if len(column) else np.full(len(self.moments), np.nan)

    def sample(self, place: int) -> Sample:
        message = self._message
        modes = tuple(message.mode_seconds[len(MODES) * place : len(MODES) * (place + 1)])
        figures = {name: _known(name, getattr(message, name), place) for name in FIGURES}
        return Sample(
            monotonic_seconds=float(self.moments[place]),
            arrived_seconds=self.arrived_seconds,
            core_idle=self._core_idle(place),
            modes=modes if all(map(_can_be, modes)) else (),
            memory_total_bytes=message.memory_total_bytes if message.HasField("memory_total_bytes") else None,
            device=self._device(place),
            pressure_is_hosts=message.pressure_is_hosts,
            **figures,  # type: ignore[arg-type]  # of the types that the columns have
        )

    def _core_idle(self, place: int) -> tuple[float, ...]:
        first = self._message.core_idle_seconds
        if place == 0:
            return tuple(first)
        ticks = self._message.core_idle_ticks[len(first) * (place - 1) : len(first) * place]
        return tuple([begun + TICK_SECONDS * grown for begun, grown in zip(first, ticks, strict=True)])

    def _device(self, place: int) -> dict[str, int | str]:
        if not self._message.HasField("device"):
            return {}
        device = self._message.device
        return {name: device.name if name == "name" else getattr(device, name)[place] for name in _DEVICE}


def _array(column: Iterable[float]) -> Floats:
    return np.fromiter(column, np.float64)


def _can_be(figure: float) -> bool:
    return 0 <= figure <= MOST_FIGURE


def _known(name: str, column: list[float], place: int) -> float | int | None:
    if not column or not _can_be(column[place]):
        return None
    return round(column[place]) if name in _COUNTS else column[place]


def sample_from(message: agent_pb2.HostSample) -> Sample:
    """A host sample that travels by itself, with the moment of its arrival. Unset fields are None."""
    return Sample(
        monotonic_seconds=message.monotonic_nanoseconds / 1e9,
        arrived_seconds=time.monotonic(),
        core_idle=tuple(core.idle + core.iowait for core in message.cpus),
        modes=tuple(sum(getattr(core, mode) for core in message.cpus) for mode in MODES) if message.cpus else (),
        memory_total_bytes=message.memory_total_bytes if message.HasField("memory_total_bytes") else None,
        device={name: getattr(message.device, name) for name in _DEVICE} if message.HasField("device") else {},
        pressure_is_hosts=message.pressure_is_hosts,
        **{name: getattr(message, name) if message.HasField(name) else None for name in FIGURES},  # type: ignore[arg-type]  # names are literals in the stub
    )
