"""The last bandwidth of each pair by tests in the background: a figure or a reason, and how old it is. Pure."""

from __future__ import annotations

from collections import Counter
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


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The last figures of the ordered pairs of `names`, as arrays (n, n).

    `at` is when each was tested (seconds since 1970; -inf: never), `values` its bits a second (NaN: none), `reasons`
    the place in `codes` of the reason for none (0: it has a figure, or was never tested). `parameters` are what all
    tests had in common: one in which they differ, such as the rate offered, is null.
    """

    names: tuple[str, ...]
    at: NDArray[np.float64]
    values: NDArray[np.float64]
    reasons: NDArray[np.uint8]
    codes: list[str]
    parameters: Parameters

    @property
    def tried(self) -> NDArray[np.bool_]:
        """Which were tested."""
        return np.isfinite(self.at)


class Figures:
    """The last figure of each ordered pair, by names."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._last: dict[tuple[str, str], Figure] = {}
        self._parameters: Counter[Parameters] = Counter()
        self._now = Snapshot(*_nothing(()), [""], Parameters(instrument=INSTRUMENT))
        self._places: dict[str, int] = {}
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
        self._parameters[new.key.parameters] += 1
        if old is not None:
            self._parameters[old.key.parameters] -= 1
        self._enter(pair, new)
        return old.key if old is not None and old.key != new.key else None

    def forget(self, names: frozenset[str], before: float) -> list[CellKey]:
        """Drops what is older than `before` of pairs that are not both among the names; their keys."""
        old = [
            pair
            for pair, figure in self._last.items()
            if figure.at < before and not (pair[0] in names and pair[1] in names)
        ]
        keys = [self._last.pop(pair).key for pair in old]
        self._parameters.subtract(key.parameters for key in keys)
        if keys:
            self._arrange(self._now.names)
        return keys

    @property
    def names(self) -> frozenset[str]:
        """The nodes that have figures."""
        return frozenset(name for pair in self._last for name in pair)

    def of(self, names: tuple[str, ...]) -> Snapshot:
        """The figures now; its arrays change with what is added, see `copied`."""
        if names != self._now.names:
            self._arrange(names)
        return replace(self._now, parameters=_common([one for one, count in self._parameters.items() if count > 0]))

    def _arrange(self, names: tuple[str, ...]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._now = Snapshot(*_nothing(names), [""], self._now.parameters)
        for pair, figure in self._last.items():
            self._enter(pair, figure)

    def _enter(self, pair: tuple[str, str], figure: Figure) -> None:
        source, target = (self._places.get(name) for name in pair)
        if source is None or target is None:
            return
        now, reason = self._now, figure.reason or ""
        if reason not in now.codes:
            now.codes.append(reason)
        now.at[source, target] = figure.at
        now.values[source, target] = np.nan if figure.value is None else figure.value
        now.reasons[source, target] = now.codes.index(reason)


def copied(snapshot: Snapshot) -> Snapshot:
    """One that changes no more, for another thread."""
    return replace(
        snapshot,
        at=snapshot.at.copy(),
        values=snapshot.values.copy(),
        reasons=snapshot.reasons.copy(),
        codes=list(snapshot.codes),
    )


def table(
    snapshot: Snapshot,
    standing: Standing,
    nodes: Mapping[str, Node],
    allowance: Allowance,
    ledger: Ledger,
    now: float,
) -> tuple[Table, NDArray[np.float64]]:
    """The last bandwidth of every pair of the mesh, and its age in seconds (NaN: it was never tested).

    `snapshot` is of the standing's nodes.
    """
    names, tried = snapshot.names, snapshot.tried
    codes = list(snapshot.codes)

    def number(code: str) -> int:
        if code not in codes:
            codes.append(code)
        return codes.index(code)

    why = np.full(tried.shape, number("not_scheduled"), dtype=np.uint8)
    lines = lines_of(names, nodes)
    here = np.array([name in nodes for name in names], dtype=bool)
    met = np.logical_and.outer(here, here)
    if ledger.spent_on(now) >= allowance.day_bytes:
        why[:] = number("budget")
    why[met & ~np.isfinite(rates(allowance, lines))] = number("budget")
    # No line is known and no rate is given.
    why[met & ~np.isfinite(rates(replace(allowance, day_bytes=2**62), lines))] = number("not_supported")
    for place, name in enumerate(names):
        missing = standing.missing.get(name)
        if missing is not None:
            why[place, :] = why[:, place] = number(missing.code)
    reasons = np.where(tried, snapshot.reasons, why).astype(np.uint8)
    np.fill_diagonal(reasons, number("not_applicable"))
    found = Table(
        Series(PATH, TEST, snapshot.parameters),
        VALUE,
        "mean",
        "bit/s",
        names,
        names,
        np.where(reasons == 0, snapshot.values, np.nan),
        reasons,
        tuple(codes),
    )
    return found, now - np.where(tried, snapshot.at, np.nan)


def _nothing(
    names: tuple[str, ...],
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    shape = (len(names), len(names))
    return names, np.full(shape, -np.inf), np.full(shape, np.nan), np.zeros(shape, dtype=np.uint8)


def lines_of(names: Iterable[str], nodes: Mapping[str, Node]) -> NDArray[np.float64]:
    """The rate of each node's line in bit/s, NaN where it is not known."""
    known = (nodes[name].facts.get("line_rate_bits_per_second") if name in nodes else None for name in names)
    return np.array([np.nan if rate is None else float(rate) for rate in known])


def ledger_of(facts: Mapping[str, Any]) -> Ledger:
    """The ledger as `facts_of` wrote it; an empty one where there is none."""
    at = facts.get("spent_at")
    if at is None:
        return Ledger()
    last = int(facts.get("spent_last_bytes", 0))
    return Ledger(int(facts["spent_bytes"]), datetime.fromisoformat(at).timestamp(), last)


def facts_of(ledger: Ledger) -> dict[str, Any]:
    """The ledger as a run's facts have it: the bytes of the UTC day in which the last test began, and when it did."""
    at = None if ledger.at is None else datetime.fromtimestamp(ledger.at, UTC).isoformat(timespec="microseconds")
    return {"spent_bytes": ledger.spent, "spent_at": at, "spent_last_bytes": ledger.last}


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
