"""What the store answers with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from netmesh_controller.mesh.document import Cell, Finding, Node, Run, RunState


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it is stored. A run that says `running` and that nobody measures any more is told as `interrupted`."""

    run: Run
    nodes: tuple[Node, ...]
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as it is listed. `outcomes` counts its cells by outcome; `state` is the true one.

    `abandoned`: its controller died while it ran, or may not measure any more; what it measured is there, and `sweep
    --resume` goes on with it.
    """

    run: Run
    node_count: int
    tags: tuple[str, ...]
    outcomes: dict[str, int]
    abandoned: bool

    @property
    def state(self) -> RunState:
        """The run's state."""
        return self.run.state

    @property
    def cells(self) -> int:
        """How many cells are stored."""
        return sum(self.outcomes.values())

    @property
    def measured(self) -> int:
        """How many of them have a value."""
        return self.outcomes.get("measured", 0)


@dataclass(frozen=True, slots=True)
class RunDetails(RunInfo):
    """A run without its cells."""

    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...]


class CellPosition(NamedTuple):
    """Where a cell stands in the order of its run's cells."""

    series_id: int
    source: str
    target: str
    repeat: int


class CellPage(NamedTuple):
    """Some cells of a run in their order; the next page begins after `following`, which is None on the last."""

    cells: tuple[Cell, ...]
    following: CellPosition | None


# A regular expression for `since` and `before`: they are held against times in UTC as texts.
MOMENT = r"^\d{4}(-\d\d(-\d\d(T\d\d(:\d\d(:\d\d(\.\d+)?Z?)?)?)?)?)?$"


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are listed: all that each given field fits. `name` is a part of the name or of the id.

    `since` and `before` are RFC 3339 times in UTC, or the beginning of one, that the start is held against.
    """

    name: str | None = None
    tags: tuple[str, ...] = field(default=())
    states: tuple[RunState, ...] = field(default=())
    since: str | None = None
    before: str | None = None
