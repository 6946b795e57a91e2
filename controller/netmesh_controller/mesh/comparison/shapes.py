"""What a comparison says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from netmesh_controller.mesh.document import Node, Run
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series

Verdict: TypeAlias = Literal["better", "worse", "different", "not distinguishable"]
How: TypeAlias = Literal["ratio", "difference"]
Cells: TypeAlias = Literal["remote", "local"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the runs that are compared, in arrays."""

    run: Run
    nodes: tuple[Node, ...]
    series: Mapping[Series, Gathered]

    @property
    def label(self) -> str:
        """How it is called in sentences: its name, else its id."""
        return self.run.name or self.run.id


@dataclass(frozen=True, slots=True)
class Effect:
    """How far the second run is from the first: with its interval, None where that is not known.

    The interval is at the level of the verdict, which counts every comparison that was made: "no difference" is in it
    exactly where none is told. Of the intervals of what is told at most 2.5 % miss the truth.

    `how` is "ratio" (second over first: 0.9 is a tenth less) or "difference" (second less first, in the value's unit).
    """

    how: How
    size: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was not the same in the runs: each run's answers; empty where it is unknown."""

    name: str
    answers: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """One value of one series, over its remote or its local cells: the second run against the first.

    `first` and `second` are the medians over the `pairs` cells that both have, in `unit`. `p` is the probability of so
    large a difference without a cause, before other comparisons are taken into account; the verdict takes them into
    account. `why` says in a sentence why nothing can be told, where that is so. `better`, `worse` count the cells that
    differ for themselves; `untold` those for which a single repeat says nothing.
    """

    against: int
    series: Series
    value: str
    unit: str
    cells: Cells
    pairs: int
    repeats: tuple[int, int]
    first: float
    second: float
    effect: Effect
    p: float
    verdict: Verdict
    why: str | None
    better: int
    worse: int
    untold: int


@dataclass(frozen=True, slots=True)
class PairDifference:
    """One cell that is not the same: means over its repeats, in `unit`."""

    against: int
    series: Series
    value: str
    unit: str
    source: str
    target: str
    first: float
    second: float
    effect: Effect
    p: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs or more; each is held against the first. `against` in a group or pair is the place of the second run.

    `remarks` are sentences on what could not be compared.
    """

    sides: tuple[Side, ...]
    facts: tuple[Fact, ...]
    remarks: tuple[str, ...]
    groups: tuple[Group, ...]
    pairs: tuple[PairDifference, ...]

    @property
    def worse(self) -> bool:
        """Whether anything is worse than in the first run."""
        return any(one.verdict == "worse" for one in self.groups) or any(one.verdict == "worse" for one in self.pairs)
