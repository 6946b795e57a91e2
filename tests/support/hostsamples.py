"""Host samples of tests, by what each core's counters are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from netmesh_common.hostfigures import MODES
from netmesh_controller.mesh.hostsamples import Sample


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds that one core spent in each mode since boot (proc(5))."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    irq: float = 0.0
    softirq: float = 0.0
    steal: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0


def at(seconds: float, *cpus: CpuTimes, **more: object) -> Sample:
    """A sample of that moment, by either clock, of these cores."""
    sample = Sample(
        seconds,
        seconds,
        core_idle=tuple(core.idle + core.iowait for core in cpus),
        modes=tuple(sum(getattr(core, mode) for core in cpus) for mode in MODES) if cpus else (),
    )
    return dataclasses.replace(sample, **more)  # type: ignore[arg-type]  # fields by name
