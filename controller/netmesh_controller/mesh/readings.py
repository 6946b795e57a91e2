"""How each value of a matrix is read from a measured cell: a number, or the reason for none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from netmesh_controller.mesh.catalogue import COST_VALUES, MEMORY_VALUES, TESTS
from netmesh_controller.mesh.document import Cell, Host
from netmesh_controller.mesh.witness import starves

Reading: TypeAlias = "Callable[[Cell], float | str]"

# Why a measured cell has no number for a value, but for few: only others are remembered by pair.
USUAL = "not_supported"


def readings_of(test: str, instrument: str) -> dict[str, Reading]:
    """The readings of a test's values by an instrument, then of what its hosts say; KeyError for an unknown test."""
    kind = TESTS[test]
    of_hosts = {name: _HOST_READINGS[name] for name in kind.host_values}
    return {**{name: partial(_value, name) for name in kind.values_by(instrument)}, **of_hosts}


def _value(name: str, cell: Cell) -> float | str:
    summary = cell.values.get(name)
    if summary is None:
        return USUAL
    # A rate holds where its jitter does not: that is timed by the process that receives.
    if name == "jitter_seconds" and TESTS[cell.test].kind == "bandwidth" and starves(cell.witness, "target"):
        return "starved"
    return summary.mean


def _cost(name: str, cell: Cell) -> float | str:
    end, field = name.split("_", 1)
    host: Host | None = getattr(cell.hosts, end)
    if host is None:
        return USUAL
    cost: float | None = getattr(host, field)
    if cost is not None:
        return cost
    if field == "cpu_seconds_per_gigabyte":
        return "shared_host" if host.shared_host else "too_small"
    # Where the tool was seen, its time did not grow by a tick.
    return "too_small" if "tool_max" in host.memory_bytes else USUAL


def _busy_cores(cell: Cell) -> float | str:
    cores = cell.hosts.source.cpu_cores if cell.hosts.source is not None else None
    return USUAL if cores is None else cores.busy


def _available_memory(cell: Cell) -> float | str:
    memory = cell.hosts.source.memory_bytes if cell.hosts.source is not None else {}
    return memory.get("available_min", USUAL)


def _used_memory(name: str, cell: Cell) -> float | str:
    host: Host | None = getattr(cell.hosts, name.split("_", 1)[0])
    if host is None or not {"total", "available_min"} <= host.memory_bytes.keys():
        return USUAL
    return "shared_host" if host.shared_host else host.memory_bytes["total"] - host.memory_bytes["available_min"]


_HOST_READINGS: dict[str, Reading] = {
    "busy_cores": _busy_cores,
    "available_memory_bytes": _available_memory,
    **{name: partial(_used_memory, name) for name in MEMORY_VALUES},
    **{name: partial(_cost, name) for name in COST_VALUES},
}
