"""What single cells show by themselves: a CPU that was the limit, a rate that falls and comes back.

Read from the cells as a stream; a count a node or pair is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, Finding, Host
from netmesh_controller.mesh.table import Series

# A core, or the tool's only thread, that is busy so much of the time has nothing left.
_FULL = 0.95
_FULL_CORE = 0.98
_MOST = 0.75
_OF_THE_MESH = 0.5
_LEAST_CELLS = 3
# A reading is down below half of the usual, and up again above three quarters: what TCP does by itself stays between.
_DOWN, _UP = 0.5, 0.75
_FALLS = 3
# What many cells do is how this mesh is loaded, and no fault of a pair.
_RARE = 0.1
_LEAST_READINGS = 20

Pair = tuple[str, str]


class Signs:
    """Collects the signs of a run's cells."""

    def __init__(self) -> None:
        self._cells: dict[Series, Counter[Pair]] = {}
        self._full: dict[tuple[Series, str], Counter[Pair]] = {}
        self._falls: dict[Series, dict[Pair, int]] = {}

    def add(self, cell: Cell) -> None:
        """One cell; only remote, measured ones of bandwidth tests have these signs."""
        if cell.outcome != "measured" or cell.source == cell.target or TESTS[cell.test].kind != "bandwidth":
            return
        series, pair = Series.of(cell), (cell.source, cell.target)
        self._cells.setdefault(series, Counter())[pair] += 1
        for end, host in (("source", cell.hosts.source), ("target", cell.hosts.target)):
            if host is not None and cpu_is_full(host, cell.parameters.streams or 1):
                self._full.setdefault((series, end), Counter())[pair] += 1
        # A paced test is at its pace.
        readings = cell.intervals.get("bits_per_second", ())
        if len(readings) >= _LEAST_READINGS:
            falls = self._falls.setdefault(series, {})
            falls[pair] = max(falls.get(pair, 0), falls_of(readings))

    def findings(self) -> list[Finding]:
        """Cells bound by a CPU, and cells that flap."""
        found: list[Finding] = []
        for (series, end), full in self._full.items():
            found += _bound(series, end, full, self._cells[series])
        for series, falls in self._falls.items():
            flapping = {pair: count for pair, count in falls.items() if count >= _FALLS}
            if flapping and (len(flapping) <= max(2, _RARE * len(falls))) and len(falls) > 2 * len(flapping):
                found += [_flaps(series, pair, count, len(falls)) for pair, count in flapping.items()]
        return found


def cpu_is_full(host: Host, streams: int) -> bool:
    """Whether a CPU was the limit at this end: the tool's one thread, or a core of a host that was the test's alone."""
    if streams == 1 and host.tool_cpu_cores is not None and host.tool_cpu_cores >= _FULL:
        return True
    return not host.shared_host and host.cpu_cores is not None and host.cpu_cores.busiest_core >= _FULL_CORE


def falls_of(readings: Sequence[float | None]) -> int:
    """How often the readings fall below half of what they usually are (their 0.75 quantile), and come back."""
    there = [reading for reading in readings if reading is not None]
    usual = sorted(there)[int(len(there) * 0.75)]
    falls, down = 0, False
    for reading in there:
        if not down and reading < _DOWN * usual:
            down = True
        elif down and reading > _UP * usual:
            falls, down = falls + 1, False
    return falls


def _bound(series: Series, end: str, full: Counter[Pair], cells: Counter[Pair]) -> Iterable[Finding]:
    """One finding for the mesh where most of it is bound, else one for each node, else one for each pair."""
    bound = {pair for pair, count in full.items() if count > cells[pair] / 2}
    if not bound:
        return []
    side = 0 if end == "source" else 1
    if len(bound) > _OF_THE_MESH * len(cells):
        return [_cpu(series, end, {}, len(bound), len(cells))]
    of_node, all_of_node = Counter(pair[side] for pair in bound), Counter(pair[side] for pair in cells)
    nodes = [node for node, count in of_node.items() if count >= _LEAST_CELLS and count >= _MOST * all_of_node[node]]
    found = [_cpu(series, end, {"node": node}, of_node[node], all_of_node[node]) for node in sorted(nodes)]
    for source, target in sorted(bound):
        if (source, target)[side] not in nodes:
            found.append(_cpu(series, end, {"source": source, "target": target}, 1, 1))
    return found


def _cpu(series: Series, end: str, where: dict[str, str], bound: int, cells: int) -> Finding:
    who = "the sender" if end == "source" else "the receiver"
    place = "the mesh" if not where else where.get("node") or f"{where['source']} -> {where['target']}"
    of_pairs = "" if cells == 1 else f" in {bound} of {cells} pairs"
    return Finding(
        kind="cpu_bound",
        where={**where, "end": end, "path": series.path, "test": series.test},
        size=float(f"{bound / cells:.4g}"),
        evidence={"cells": cells, "bound_cells": bound, "instrument": series.parameters.instrument},
        sentence=(
            f"{place}: {who} had no CPU left{of_pairs}; the rate is the CPU's and not the network's "
            f"({series.test}, {series.path}, {series.parameters.instrument})."
        ),
    )


def _flaps(series: Series, pair: Pair, falls: int, cells: int) -> Finding:
    source, target = pair
    return Finding(
        kind="flapping",
        where={"source": source, "target": target, "path": series.path, "test": series.test},
        size=float(falls),
        evidence={"value": "bits_per_second", "falls": falls, "pairs": cells},
        sentence=(
            f"{source} -> {target} flaps: within one test the rate fell below half {falls} times and came back, which "
            f"few of {cells} pairs do ({series.test}, {series.path}, {series.parameters.instrument})."
        ),
    )
