"""A matrix taken apart for showing: numbers with their pairs, gaps with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from netmesh_controller.mesh.document import Matrix
from netmesh_controller.mesh.statistics import median


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

    remote: tuple[Figure, ...]
    local: tuple[Figure, ...]
    remote_gaps: Counter[str]
    local_gaps: Counter[str]

    @property
    def peers(self) -> tuple[Figure, ...]:
        """What numbers are compared with: the pairs of nodes, or the local cells where there is nothing else."""
        return self.remote or self.local

    @property
    def gaps(self) -> Counter[str]:
        """How often each reason stands in the whole matrix."""
        return self.remote_gaps + self.local_gaps


def view(matrix: Matrix) -> View:
    """The parts of a matrix."""
    figures: tuple[list[Figure], list[Figure]] = ([], [])
    gaps: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for source, numbers, reasons in zip(matrix.sources, matrix.values, matrix.reasons, strict=True):
        for target, number, reason in zip(matrix.targets, numbers, reasons, strict=True):
            if number is not None:
                figures[source == target].append(Figure(number, source, target))
            elif reason is not None:
                gaps[source == target][reason] += 1
    return View(tuple(figures[0]), tuple(figures[1]), gaps[0], gaps[1])


def spread(figures: Sequence[Figure]) -> Spread | None:
    """Lowest, median and highest; None where there is no figure."""
    if not figures:
        return None
    ordered = sorted(figures, key=lambda figure: figure.number)
    return Spread(ordered[0], median(figure.number for figure in figures), ordered[-1], len(ordered))
