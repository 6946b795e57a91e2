"""What a diagnosis has seen so far: the cells of its steps, the hosts' own counters, and what there was before.

Rules ask it by name; what was not measured is None, so that a rule cannot take silence for health.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from netmesh_controller.mesh.diagnosis.state import Carried, HostState, grown
from netmesh_controller.mesh.document import Cell, Host, Node, Reason
from netmesh_controller.mesh.statistics import median

Direction = Literal["forward", "back"]
DIRECTIONS: tuple[Direction, Direction] = ("forward", "back")
Statistic = Literal["mean", "stdev", "min", "p10", "p50", "p90", "p99", "p999", "max"]


def opposite(direction: Direction) -> Direction:
    """The other of the two."""
    return "back" if direction == "forward" else "forward"


@dataclass(slots=True)
class Seen:
    """The pair `source`, `target`; `cells` of all steps, newest last; states by node, `before` and `after`: of
    the pods' network, and `host_…` of the hosts' own where an agent sees it. `carried` has by step and node what the
    hosts' devices carried in the time of that step. `probed` and `host_probed` have by node what the counters of the
    pod and of the host grew by while the pair was probed; a node that did not tell is not there.

    `nodes` are all nodes of the mesh by name; `history` are cells of the pair in earlier runs, `peers`
    such of pairs that share an end with it. `unreachable` says why nodes'
    agents do not answer; `done` names the steps.
    """

    source: str
    target: str
    nodes: Mapping[str, Node]
    has_services: bool = False
    unreachable: Mapping[str, Reason] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    history: Sequence[Cell] = ()
    peers: Sequence[Cell] = ()
    before: dict[str, HostState] = field(default_factory=dict)
    after: dict[str, HostState] = field(default_factory=dict)
    host_before: dict[str, HostState] = field(default_factory=dict)
    host_after: dict[str, HostState] = field(default_factory=dict)
    carried: dict[str, dict[str, Carried]] = field(default_factory=dict)
    probed: dict[str, dict[str, int]] = field(default_factory=dict)
    host_probed: dict[str, dict[str, int]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    # The pair.

    def ends(self, direction: Direction) -> tuple[str, str]:
        """Who sends and who receives in that direction."""
        return (self.source, self.target) if direction == "forward" else (self.target, self.source)

    def arrow(self, direction: Direction) -> str:
        """The direction in words."""
        return "{} -> {}".format(*self.ends(direction))

    def cell(
        self,
        test: str,
        direction: Direction = "forward",
        *,
        path: str = "pod-to-pod",
        instrument: str | None = None,
        load: bool = False,
        **parameters: Any,
    ) -> Cell | None:
        """The newest cell of that test; None where it was not measured, whatever became of it."""
        source, target = self.ends(direction)
        return self._newest(self.cells, test, source, target, path, instrument, load, parameters)

    def value(
        self, test: str, name: str, direction: Direction = "forward", statistic: Statistic = "mean", **which: Any
    ) -> float | None:
        """One figure of the newest measured cell of that test; None where it is not known."""
        return figure(self.cell(test, direction, **which), name, statistic)

    def reported(self, test: str, name: str, direction: Direction = "forward", **which: Any) -> float | None:
        """A figure that the tool told beside the values of that cell; None where it did not."""
        cell = self.cell(test, direction, **which)
        if cell is None or cell.outcome != "measured" or cell.tool is None:
            return None
        return cell.tool.reported.get(name)

    def gap(self, test: str, direction: Direction = "forward", **which: Any) -> Reason | None:
        """Why that cell has no value; None where it has one, or was not asked for."""
        cell = self.cell(test, direction, **which)
        return None if cell is None else cell.reason

    def hosts(self, test: str, direction: Direction = "forward", **which: Any) -> dict[str, Host]:
        """The hosts that the newest such cell watched, by node."""
        cell = self.cell(test, direction, **which)
        if cell is None:
            return {}
        ends = ((cell.source, cell.hosts.source), (cell.target, cell.hosts.target))
        return {name: host for name, host in ends if host is not None}

    # Others.

    def others(
        self, test: str, name: str, *, statistic: Statistic = "mean", path: str = "pod-to-pod", **which: Any
    ) -> dict[tuple[str, str], float]:
        """The figure of other pairs of nodes that were measured meanwhile, by source and target."""
        cells = self.others_cells(test, path=path, **which)
        figures = {(cell.source, cell.target): figure(cell, name, statistic) for cell in cells}
        return {pair: value for pair, value in figures.items() if value is not None}

    def others_cells(self, test: str, *, path: str = "pod-to-pod", **which: Any) -> list[Cell]:
        """The cells of that test of other pairs of nodes."""
        here = {self.source, self.target}
        return [
            cell
            for cell in self.cells
            if cell.source != cell.target
            and {cell.source, cell.target} != here
            and _fits(cell, test, path, which.get("instrument"), bool(which.get("load")))
        ]

    def expected(
        self, test: str, name: str, *, statistic: Statistic = "mean", **which: Any
    ) -> tuple[float, str] | None:
        """What the pair's figure should be, and where that comes from; None where nobody knows.

        The best that another pair gets now: of the others one may share the fault. Else what the pair itself had in
        earlier runs.
        """
        others = self.others(test, name, statistic=statistic, **which)
        if others:
            best = max if name == "bits_per_second" else min
            pair = best(others, key=lambda pair: others[pair])
            return others[pair], f"{pair[0]} -> {pair[1]} now"
        return self.earlier(test, name, statistic=statistic, **which)

    def earlier(self, test: str, name: str, *, statistic: Statistic = "mean", **which: Any) -> tuple[float, str] | None:
        """The median of what the pair itself had in earlier runs, else of what its peers had, and whose it is; None
        where there is none.
        """
        for cells, whose in ((self.history, "this pair"), (self.peers, "pairs that share an end with it")):
            found = [
                value
                for cell in cells
                if _fits(cell, test, which.get("path", "pod-to-pod"), which.get("instrument"), bool(which.get("load")))
                and (value := figure(cell, name, statistic)) is not None
            ]
            if found:
                return median(found), f"{len(found)} earlier measurements of {whose}"
        return None

    # The hosts.

    def counted(self, node: str) -> dict[str, int]:
        """By how much the node's own counters grew during the diagnosis."""
        return grown(self.before.get(node), self.after.get(node))

    def counted_on_host(self, node: str) -> dict[str, int]:
        """By how much the counters of the host's own network grew; empty where nobody sees it."""
        return grown(self.host_before.get(node), self.host_after.get(node))

    def setting(self, node: str, name: str) -> str | None:
        """A setting of the node's network stack, as the kernel writes it."""
        state = self.after.get(node) or self.before.get(node)
        return None if state is None else state.settings.get(name)

    def fact(self, node: str, name: str) -> Any:
        """What the node said of itself; None where it did not."""
        return self.nodes[node].facts.get(name) if node in self.nodes else None

    def zone(self, node: str) -> str | None:
        """The node's zone."""
        return self.nodes[node].zone if node in self.nodes else None

    @staticmethod
    def _newest(
        cells: Sequence[Cell],
        test: str,
        source: str,
        target: str,
        path: str,
        instrument: str | None,
        load: bool,
        parameters: Mapping[str, Any],
    ) -> Cell | None:
        for cell in reversed(cells):
            if (cell.source, cell.target) != (source, target) or not _fits(cell, test, path, instrument, load):
                continue
            if all(getattr(cell.parameters, name) == value for name, value in parameters.items()):
                return cell
        return None

    def measured(self) -> Iterator[Cell]:
        """The cells of the pair itself that have values."""
        for cell in self.cells:
            if {cell.source, cell.target} == {self.source, self.target} and cell.outcome == "measured":
                yield cell


def _fits(cell: Cell, test: str, path: str, instrument: str | None, load: bool) -> bool:
    return (
        cell.test == test
        and cell.path == path
        and (instrument is None or cell.parameters.instrument == instrument)
        and (cell.parameters.load is not None) == load
    )


def figure(cell: Cell | None, name: str, statistic: Statistic = "mean") -> float | None:
    """A figure of a measured cell; None where there is none."""
    if cell is None or cell.outcome != "measured":
        return None
    summary = cell.values.get(name)
    if summary is None:
        return None
    found: float | None = getattr(summary, statistic)
    return found


def largest(values: Iterable[float | None]) -> float | None:
    """The largest of those that are known."""
    return max((value for value in values if value is not None), default=None)
