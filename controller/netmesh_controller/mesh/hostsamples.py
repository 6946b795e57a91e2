"""Cumulative counters of a host, sample by sample. Pure.

The samples of a test travel together, as columns (`netmesh.v1.HostSamples`), and stay so: of most of them a moment and
the idle time are all that is ever looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from netmesh_controller.mesh.table import Floats


@dataclass(frozen=True, slots=True)
class Sample:
    """A host's counters at one moment; None, or an empty `core_idle`, `modes` or `device`, where they are unknown.

    `monotonic_seconds` is the agent's clock at the reading, `arrived_seconds` the controller's at the arrival.
    `core_idle` has by core the seconds idle since boot, waiting for I/O included; `modes` the seconds that all cores
    together spent in each of MODES. `device` has its name, and its counters by the names of the contract's message.
    """

    monotonic_seconds: float
    arrived_seconds: float
    core_idle: tuple[float, ...] = ()
    modes: tuple[float, ...] = ()
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
        return len(self.core_idle)


class Part(Protocol):
    """Samples of one stream that arrived together, in order; NaN is unknown."""

    @property
    def arrived_seconds(self) -> float:
        """On the controller's monotonic clock."""

    @property
    def moments(self) -> Floats:
        """When each was taken, on the agent's monotonic clock, in seconds."""

    @property
    def idle(self) -> Floats:
        """Seconds that all cores together were idle, at each."""

    def column(self, name: str) -> Floats:
        """One of FIGURES at each."""

    def sample(self, place: int) -> Sample:
        """All that is known of one of them."""


@dataclass(frozen=True, slots=True)
class _One:
    """A sample that arrived by itself."""

    one: Sample

    @property
    def arrived_seconds(self) -> float:
        return self.one.arrived_seconds

    @property
    def moments(self) -> Floats:
        return np.array([self.one.monotonic_seconds])

    @property
    def idle(self) -> Floats:
        return np.array([sum(self.one.core_idle) if self.one.core_idle else np.nan])

    def column(self, name: str) -> Floats:
        value = getattr(self.one, name)
        return np.array([np.nan if value is None else value], dtype=np.float64)

    def sample(self, place: int) -> Sample:  # noqa: ARG002  # there is one
        return self.one


class Samples:
    """Host samples of one stream, in the order of their moments, as columns; a window of them is one too.

    A part that begins before the one before it ends is none of the stream, and is left out.
    """

    __slots__ = ("_begin", "_parts", "moments")

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts: list[Part] = []
        for part in sorted(parts, key=lambda part: float(part.moments[0])):
            if not self._parts or part.moments[0] > self._parts[-1].moments[-1]:
                self._parts.append(part)
        self._begin = 0
        self.moments = self._joined([part.moments for part in self._parts])

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Samples:
        """Of samples each of which arrived by itself."""
        return cls(map(_One, samples))

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, place: int) -> Sample:
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        left = self._begin + place % len(self)
        for part in self._parts:
            if left < len(part.moments):
                return part.sample(left)
            left -= len(part.moments)
        raise IndexError(place)

    @property
    def idle(self) -> Floats:
        """Seconds that all cores together were idle since boot, waiting for I/O included, at each; NaN: unknown."""
        return self._window(self._joined([part.idle for part in self._parts]))

    def column(self, name: str) -> Floats:
        """One of FIGURES at each; NaN: unknown."""
        return self._window(self._joined([part.column(name) for part in self._parts]))

    def clock_offset(self) -> float:
        """What to add to the agent's monotonic clock to get the controller's, in seconds.

        The least of arrival minus reading over the whole stream: too large by the shortest way there, never by more.
        Raises ValueError where there is no sample.
        """
        return min(part.arrived_seconds - float(part.moments[-1]) for part in self._parts)

    def between(self, start: float, end: float) -> Samples:
        """Those from the first at or after `start` to the last at or before `end`, on their own clock, in seconds."""
        first, last = self.moments.searchsorted((start, np.nextafter(end, np.inf)))
        found = Samples.__new__(Samples)
        found._parts, found._begin = self._parts, self._begin + int(first)  # noqa: SLF001  # its own
        found.moments = self.moments[first : max(first, last)]
        return found

    def _window(self, column: Floats) -> Floats:
        return column[self._begin : self._begin + len(self.moments)]

    @staticmethod
    def _joined(columns: Sequence[Floats]) -> Floats:
        if len(columns) == 1:
            return columns[0]
        return np.concatenate(columns) if columns else np.empty(0)
