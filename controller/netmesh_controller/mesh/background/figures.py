"""The last bandwidth of each pair by tests in the background: a figure or a reason, and how old it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.background.turns import Allowance, Ledger, rates
from netmesh_controller.mesh.document import Cell, CellKey, Node, Parameters
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.table import Series, Table

PATH: Literal["pod-to-pod"] = "pod-to-pod"
TEST = "tcp-bandwidth"
INSTRUMENT = "iperf3"
VALUE = "bits_per_second"
# What is not tried for a reason of the moment leaves the last figure as it is.
PASSING = frozenset({"busy", "pressure", "cancelled", "agent_away", "not_scheduled"})


@dataclass(frozen=True, slots=True)
class Figure:
    """The last test of a pair: when it began (seconds since 1970), its bits a second, or the reason for none."""

    key: CellKey
    at: float
    value: float | None
    reason: str | None


def figure_of(cell: Cell) -> Figure | None:
    """A cell's figure; None where it has none and says nothing of the pair, or does not say when it was."""
    if cell.started_at is None:
        return None
    at = datetime.fromisoformat(cell.started_at).timestamp()
    summary = cell.values.get(VALUE) if cell.outcome == "measured" else None
    if summary is not None:
        return Figure(cell.key, at, summary.mean, None)
    code = "tool_output" if cell.reason is None else cell.reason.code
    return None if code in PASSING else Figure(cell.key, at, None, code)


class Figures:
    """The last figure of each ordered pair, by names."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._last: dict[tuple[str, str], Figure] = {}
        for cell in cells:
            self.add(cell)

    def add(self, cell: Cell) -> CellKey | None:
        """Takes a cell in; the key of the one that it takes the place of, where that is another."""
        new = figure_of(cell)
        pair = (cell.source, cell.target)
        old = self._last.get(pair)
        if new is None or (old is not None and old.at > new.at):
            return None
        self._last[pair] = new
        return old.key if old is not None and old.key != new.key else None

    def forget(self, names: frozenset[str], before: float) -> list[CellKey]:
        """Drops what is older than `before` of pairs that are not both among the names; their keys."""
        old = [
            pair
            for pair, figure in self._last.items()
            if figure.at < before and not (pair[0] in names and pair[1] in names)
        ]
        return [self._last.pop(pair).key for pair in old]

    @property
    def names(self) -> frozenset[str]:
        """The nodes that have figures."""
        return frozenset(name for pair in self._last for name in pair)

    def tried(self, names: tuple[str, ...]) -> NDArray[np.float64]:
        """When each ordered pair was tested last (n, n), -inf where it never was."""
        found = np.full((len(names), len(names)), -np.inf)
        for row, column, figure in self._of(names):
            found[row, column] = figure.at
        return found

    def table(
        self, standing: Standing, nodes: Mapping[str, Node], allowance: Allowance, ledger: Ledger, now: float
    ) -> tuple[Table, NDArray[np.float64]]:
        """The last bandwidth of every pair of the mesh, and its age in seconds (NaN: it was never tested)."""
        names = standing.nodes
        values = np.full((len(names), len(names)), np.nan)
        at = np.full_like(values, np.nan)
        reasons = np.full(values.shape, "not_scheduled", dtype=object)
        lines = lines_of(names, nodes)
        here = np.array([name in nodes for name in names])
        met = np.logical_and.outer(here, here)
        dear = replace(allowance, day_bytes=2**62)
        reasons[met & ~np.isfinite(rates(allowance, lines))] = "budget"
        # No line is known and no rate is given.
        reasons[met & ~np.isfinite(rates(dear, lines))] = "not_supported"
        if ledger.spent_on(now) >= allowance.day_bytes:
            reasons[reasons == "not_scheduled"] = "budget"
        for place, name in enumerate(names):
            missing = standing.missing.get(name)
            if missing is not None:
                reasons[place, :] = reasons[:, place] = missing.code
        keys = []
        for row, column, figure in self._of(names):
            at[row, column] = figure.at
            values[row, column] = np.nan if figure.value is None else figure.value
            reasons[row, column] = figure.reason or ""
            keys.append(figure.key.parameters)
        np.fill_diagonal(reasons, "not_applicable")
        codes = ("", *sorted(set(reasons.ravel().tolist()) - {""}))
        numbers = np.array([[codes.index(code) for code in row] for row in reasons.tolist()], dtype=np.uint8)
        table = Table(Series(PATH, TEST, _common(keys)), VALUE, "mean", "bit/s", names, names, values, numbers, codes)
        return table, now - at

    def _of(self, names: tuple[str, ...]) -> Iterable[tuple[int, int, Figure]]:
        places = {name: place for place, name in enumerate(names)}
        # A table is made beside the event loop, which may add meanwhile.
        for (source, target), figure in list(self._last.items()):
            if source in places and target in places:
                yield places[source], places[target], figure


def lines_of(names: Iterable[str], nodes: Mapping[str, Node]) -> NDArray[np.float64]:
    """The rate of each node's line in bit/s, NaN where it is not known."""
    known = (nodes[name].facts.get("line_rate_bits_per_second") if name in nodes else None for name in names)
    return np.array([np.nan if rate is None else float(rate) for rate in known])


def ledger_of(facts: Mapping[str, Any]) -> Ledger:
    """The ledger as `facts_of` wrote it; an empty one where there is none."""
    at = facts.get("spent_at")
    return Ledger() if at is None else Ledger(int(facts["spent_bytes"]), datetime.fromisoformat(at).timestamp())


def facts_of(ledger: Ledger) -> dict[str, Any]:
    """The ledger as a run's facts have it: the bytes of the UTC day in which the last test began, and when it did."""
    at = None if ledger.at is None else datetime.fromtimestamp(ledger.at, UTC).isoformat(timespec="microseconds")
    return {"spent_bytes": ledger.spent, "spent_at": at}


def _common(parameters: list[Parameters]) -> Parameters:
    """What all have in common: a parameter in which they differ, such as the rate offered, is null."""
    if not parameters:
        return Parameters(instrument=INSTRUMENT)
    first, rest = parameters[0], set(parameters[1:])
    differing = {
        name: None
        for name in Parameters.model_fields
        if any(getattr(one, name) != getattr(first, name) for one in rest)
    }
    return first.model_copy(update=differing)
