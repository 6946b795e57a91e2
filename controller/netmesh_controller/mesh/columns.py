"""From lines to arrays: the cells of a run in numpy arrays, without an object for each.

`gather_lines` is what a large run is read by: a million cells take as many passes through `LineReader` and then one
call of `Gathered.fill` for each series and repeat of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from netmesh_controller.mesh.alike import Alike
from netmesh_controller.mesh.document import Node
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.lines import Batch, Line, LineReader, uncollected
from netmesh_controller.mesh.matrix import in_order, in_place_order
from netmesh_controller.mesh.paths import PATHS
from netmesh_controller.mesh.table import Series


class Columns:
    """The cells of one run, by series, as they come. `nodes` are the run's."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._names = [node.name for node in in_order(nodes)]
        self._place = {name: number for number, name in enumerate(self._names)}
        self._found: dict[Series, Gathered] = {}
        # By identity; the series is kept, so that its identity stays its own.
        self._seen: dict[int, tuple[Series, Gathered]] = {}
        self.count = 0

    def add(self, lines: Sequence[Line]) -> None:
        """Cells that `LineReader` read."""
        with uncollected():
            self._add(lines)

    def add_batch(self, batch: Batch) -> None:
        """Cells that `LineReader` read in columns."""
        for alike in batch.alike:
            self.count += len(alike)
            self._add_alike(alike)
        self.add(batch.lines)

    def gathered(self) -> dict[Series, Gathered]:
        """All of them, in the order in which matrices are shown."""
        return in_place_order(self._found)

    def _add(self, lines: Sequence[Line]) -> None:
        self.count += len(lines)
        simple: dict[tuple[int, int], tuple[Series, list[Line]]] = {}
        for line in lines:
            gathered = self._gathered(line.series)
            if line.cell is not None:
                gathered.add(line.cell)
            elif line.target not in self._place:
                gathered.put(line.source, line.target, line.repeat, _reason(line), _means(line))
            else:
                simple.setdefault((id(line.series), line.repeat), (line.series, []))[1].append(line)
        for (_, repeat), (series, of_series) in simple.items():
            self._fill(self._found[series], repeat, of_series)

    def _add_alike(self, alike: Alike) -> None:
        gathered, place = self._gathered(alike.series), self._place
        if PATHS[alike.series.path].outside is not None:
            for number, (source, target, repeat) in enumerate(
                zip(alike.sources, alike.targets, alike.repeats, strict=True)
            ):
                gathered.put(source, target, repeat, None, {name: means[number] for name, means in alike.means.items()})
            return
        rows, columns = (
            np.fromiter(map(place.__getitem__, names), np.int32, len(alike)) for names in (alike.sources, alike.targets)
        )
        repeats = np.array(alike.repeats, dtype=np.int64)
        values = {name: np.array(means, dtype=np.float64) for name, means in sorted(alike.means.items())}
        for repeat in np.unique(repeats).tolist():
            there = repeats == repeat
            gathered.fill(rows[there], columns[there], repeat, {name: one[there] for name, one in values.items()})

    def _gathered(self, series: Series) -> Gathered:
        # Its hash is that of ten parameters: the reader gives one object for all cells of a series.
        known = self._seen.get(id(series))
        if known is None:
            if series not in self._found:
                self._found[series] = Gathered(series, self._names)
            known = self._seen[id(series)] = (series, self._found[series])
        return known[1]

    def _fill(self, gathered: Gathered, repeat: int, lines: Sequence[Line]) -> None:
        place, count = self._place, len(lines)
        rows = np.fromiter((place[line.source] for line in lines), np.int32, count)
        columns = np.fromiter((place[line.target] for line in lines), np.int32, count)
        means = [_means(line) for line in lines]
        names = {name for mean in means for name in mean}
        values = {
            name: np.fromiter((mean.get(name, np.nan) for mean in means), np.float64, count) for name in sorted(names)
        }
        reasons = [_reason(line) for line in lines]
        gathered.fill(rows, columns, repeat, values, reasons if any(reasons) else None)


def gather_lines(nodes: Iterable[Node], batches: Iterable[Sequence[bytes | str]]) -> dict[Series, Gathered]:
    """The cells of a run, by series, from batches of lines; LineError where one is no cell of it."""
    known = list(nodes)
    reader, columns = LineReader([node.name for node in known]), Columns(known)
    for batch in batches:
        columns.add_batch(reader.batch(batch))
    return columns.gathered()


def _means(line: Line) -> Mapping[str, float]:
    values = line.fields.get("values") or {}
    return {name: summary["mean"] for name, summary in values.items() if summary is not None}


def _reason(line: Line) -> str | None:
    reason = line.fields.get("reason")
    return None if reason is None else str(reason["code"])
