"""The CPU that a path costs more than the hosts' own network, told apart from noise. Pure.

The cost of one test is the difference of noisy counters over few gigabytes; the difference of two such figures is
often noise alone. It is stated only where its 95 % interval leaves zero out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from netmesh_controller.mesh.catalogue import COST_VALUES, TESTS
from netmesh_controller.mesh.document import Cell, Host
from netmesh_controller.mesh.statistics.student import quantile
from netmesh_controller.mesh.table import Series

# What one test said of a cost: the figure, and its standard uncertainty, None where a file does not have it.
Figure = tuple[float, float | None]
# By source, target and repeat.
Figures = Mapping[tuple[str, str, int], Figure]
Costs = Mapping[tuple[Series, str], Figures]

# Against the mean, the median of normal figures scatters by √(π/2) as much.
_MEDIAN_FACTOR = math.sqrt(math.pi / 2)


@dataclass(frozen=True, slots=True)
class Added:
    """The median of what a path adds over the tests of `pairs` pairs of nodes that both have, in seconds a gigabyte;
    `error` is half of its 95 % interval. `figure` is None with a `reason` where that interval holds zero or cannot be
    known.
    """

    figure: float | None
    pairs: int
    error: float | None = None
    reason: str | None = None


def costs_of(cells: Iterable[Cell]) -> Costs:
    """The costs of all measured cells that transfer data, by series and value."""
    found: dict[tuple[Series, str], dict[tuple[str, str, int], Figure]] = {}
    for cell in cells:
        if cell.outcome != "measured" or TESTS[cell.test].kind != "bandwidth":
            continue
        for value in COST_VALUES:
            end, field = value.split("_", 1)
            host: Host | None = getattr(cell.hosts, end)
            cost: float | None = getattr(host, field) if host is not None else None
            if cost is not None:
                error: float | None = getattr(host, field.replace("cpu_seconds", "cpu_error_seconds"))
                place = (cell.source, cell.target, cell.repeat)
                found.setdefault((Series.of(cell), value), {})[place] = (cost, error)
    return found


def median_added(path: Figures, hosts: Figures) -> Added:
    """What the path costs more, test by test of the same pair and repeat; the median, with its error.

    The error is the larger of two: that which the figures' own errors make, and that which their scatter shows, which
    also has what changed on the hosts between one test and another. One test alone shows no scatter: no figure.
    """
    both = [(figure, hosts[place]) for place, figure in path.items() if place in hosts]
    count = len(both)
    pairs = len({(source, target) for source, target, _ in path.keys() & hosts.keys()})
    if count == 0:
        return Added(None, 0)
    if count == 1:
        return Added(None, pairs, reason="one test alone does not show how much its cost scatters")
    differences = [ours - theirs for (ours, _), (theirs, _) in both]
    errors = [error for (_, ours), (_, theirs) in both for error in (ours, theirs)]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return Added(None, pairs, reason="how uncertain the single costs are is not known")
    own = math.sqrt(sum(error * error for error in known)) / count
    error = quantile(0.975, count - 1) * _MEDIAN_FACTOR * max(own, statistics.stdev(differences) / math.sqrt(count))
    figure = statistics.median(differences)
    if abs(figure) <= error:
        return Added(None, pairs, error, "not distinguishable from the hosts'")
    return Added(figure, pairs, error)
