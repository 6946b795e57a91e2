"""A matrix taken apart for showing: numbers with their pairs, gaps with their reasons. Arrays, no object a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.statistics.arrays import median_of
from netmesh_controller.mesh.table import Floats, Table

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Figure:
    """The number of one ordered pair, in SI units."""

    number: float
    source: str
    target: str

    @property
    def pair(self) -> str:
        """The pair as people write it."""
        return self.source if self.source == self.target else f"{self.source} -> {self.target}"


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """The numbers of some ordered pairs, in SI units, row by row; `rows` and `columns` are places in the names."""

    numbers: Floats
    rows: Places
    columns: Places
    sources: tuple[str, ...]
    targets: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Figure]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> Figure:
        row, column = int(self.rows[place]), int(self.columns[place])
        return Figure(float(self.numbers[place]), self.sources[row], self.targets[column])

    def first(self, count: int, *, highest: bool) -> list[Figure]:
        """The highest, or the lowest, first; of equal ones that which stands first in the matrix."""
        keys = -self.numbers if highest else self.numbers
        if count < len(keys):
            # Only what is no further than the last of them is sorted.
            near = np.flatnonzero(keys <= np.partition(keys, count - 1)[count - 1])
        else:
            near = np.arange(len(keys))
        return [self[place] for place in near[np.argsort(keys[near], kind="stable")][:count].tolist()]


@dataclass(frozen=True, slots=True)
class Spread:
    """The ends and the middle of some figures."""

    lowest: Figure
    middle: float
    highest: Figure
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """The figures of a matrix between nodes and on the same node, and how often each reason stands for a gap."""

    remote: Figures
    local: Figures
    remote_gaps: Counter[str]
    local_gaps: Counter[str]

    @property
    def peers(self) -> Figures:
        """What numbers are compared with: the pairs of nodes, or the local cells where there is nothing else."""
        return self.remote if len(self.remote) else self.local

    @property
    def gaps(self) -> Counter[str]:
        """How often each reason stands in the whole matrix."""
        return self.remote_gaps + self.local_gaps


def view(table: Table) -> View:
    """The parts of a matrix."""
    remote = table.remote
    return View(_figures(table, remote), _figures(table, ~remote), _gaps(table, remote), _gaps(table, ~remote))


def spread(figures: Figures) -> Spread | None:
    """Lowest, median and highest; None where there is none. Of equal ones, the first lowest and the last highest."""
    if not len(figures):
        return None
    numbers = figures.numbers
    highest = len(numbers) - 1 - int(np.argmax(numbers[::-1]))
    return Spread(figures[int(np.argmin(numbers))], median_of(numbers), figures[highest], len(numbers))


def medians(numbers: Floats, groups: Places) -> dict[int, float]:
    """The median of the numbers of each group, by the groups' order."""
    order = np.argsort(groups, kind="stable")
    found, begins = np.unique(groups[order], return_index=True)
    parts = np.split(numbers[order], begins[1:])
    return {group: median_of(part) for group, part in zip(found.tolist(), parts, strict=True)} if len(found) else {}


def _figures(table: Table, there: NDArray[np.bool_]) -> Figures:
    rows, columns = np.nonzero(there & np.isfinite(table.values))
    return Figures(table.values[rows, columns], rows, columns, table.sources, table.targets)


def _gaps(table: Table, there: NDArray[np.bool_]) -> Counter[str]:
    codes = table.reasons[there]
    # Of reasons that are as many the one that stands first comes first.
    kinds, begins, counts = np.unique(codes[codes > 0], return_index=True, return_counts=True)
    order = np.argsort(begins)
    numbers = dict(zip(kinds[order].tolist(), counts[order].tolist(), strict=True))
    return Counter({table.codes[kind]: number for kind, number in numbers.items()})
