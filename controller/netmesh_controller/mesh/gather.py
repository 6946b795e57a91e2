"""Cells of one series gathered into arrays: what each pair measured, repeat by repeat, and why it did not.

Cells are read once, as a stream; only numbers are kept. A mesh of 1,000 nodes takes 12 MB a value and repeat.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.catalogue import REASONS, TESTS, UNITS
from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.natural import natural
from netmesh_controller.mesh.paths import PATHS
from netmesh_controller.mesh.readings import USUAL, readings_of
from netmesh_controller.mesh.table import Codes, Floats, Series, Table

Pair = tuple[str, str]


class Gathered:
    """One series over all pairs. Rows are `names`; columns are the same nodes, or targets outside: as they come here,
    by name in tables. Of its values only those of `wanted` are kept, where that is given.

    ValueError where a cell names a node that is not among `names`, KeyError for a path or a test that is not known.
    """

    def __init__(self, series: Series, names: Sequence[str], wanted: Collection[str] | None = None) -> None:
        self.series = series
        self.names = tuple(names)
        self._row = {name: index for index, name in enumerate(names)}
        self._outside = PATHS[series.path].outside is not None and TESTS[series.test].kind != "idle"
        self._column: dict[str, int] = {} if self._outside else dict(self._row)
        readings = readings_of(series.test, series.parameters.instrument)
        self._readings = {name: each for name, each in readings.items() if wanted is None or name in wanted}
        self._repeat: dict[int, int] = {}  # the document's number of a repeat, and its place here
        self._codes: list[str] = ["", *sorted(REASONS)]
        self._code = {code: number for number, code in enumerate(self._codes)}
        # (rows, columns) each, one a repeat; NaN: no number.
        self._values: dict[str, list[Floats]] = {value: [] for value in self._readings}
        self._measured = np.zeros(self._shape, dtype=np.uint16)
        # The first repeat that failed, and why; 0: none did.
        self._failed = np.zeros(self._shape, dtype=np.uint8)
        self._failed_repeat = np.zeros(self._shape, dtype=np.int32)
        # By value: why measured cells do not give it, where that is not the usual reason.
        self._missing: dict[str, dict[tuple[int, int], str]] = {value: {} for value in self._readings}

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._column)

    @property
    def value_names(self) -> tuple[str, ...]:
        """The values that there are tables of."""
        return tuple(self._readings)

    @property
    def measured(self) -> int:
        """How many cells were measured, all repeats counted."""
        return int(self._measured.sum(dtype=np.int64))

    def measured_of(self, pair: Pair) -> int:
        """How many repeats of a pair were measured."""
        row, column = self._row.get(pair[0]), self._column.get(pair[1])
        return 0 if row is None or column is None else int(self._measured[row, column])

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.names), len(self._column)

    def add(self, cell: Cell) -> None:
        """One cell of the series."""
        read: dict[str, float] = {}
        place = self._place(cell.source, cell.target)
        if cell.reason is None:
            for value, reading in self._readings.items():
                found = reading(cell)
                if not isinstance(found, str):
                    read[value] = found
                elif found != USUAL:
                    self._missing[value][place] = found
        self._put(place, cell.repeat, None if cell.reason is None else cell.reason.code, read)

    def put(self, source: str, target: str, repeat: int, reason: str | None, means: Mapping[str, float]) -> None:
        """One cell by its parts: the means of its values where it is measured, else its reason's code."""
        self._put(self._place(source, target), repeat, reason, means)

    def fill(
        self,
        rows: NDArray[np.integer],
        columns: NDArray[np.integer],
        repeat: int,
        values: Mapping[str, Floats],
        reasons: Sequence[str | None] | None = None,
    ) -> None:
        """Many cells of one repeat at once: places of sources and targets, and each value's means, NaN for none.

        `reasons` has the codes of cells that are not measured; None where all are.
        """
        where = (rows, columns)
        number = self._place_of_repeat(repeat)
        failed = np.zeros(len(rows), dtype=bool)
        if reasons is not None:
            codes = np.fromiter((self._number(code) if code else 0 for code in reasons), np.uint8, len(rows))
            failed = codes > 0
            first = failed & ((self._failed[where] == 0) | (repeat < self._failed_repeat[where]))
            self._failed[rows[first], columns[first]] = codes[first]
            self._failed_repeat[rows[first], columns[first]] = repeat
        self._measured[rows[~failed], columns[~failed]] += 1
        for value, means in values.items():
            if value in self._values:
                self._values[value][number][rows[~failed], columns[~failed]] = means[~failed]

    def repeats(self, value: str) -> Floats:
        """A value of each repeat, in the order of their numbers: (repeats, sources, targets), NaN for no number.

        Of one repeat it is no copy, and not to be changed.
        """
        layers = self._values[value]
        if not layers:
            return np.full((0, *self._shape), np.nan)
        if len(layers) == 1:
            alone = layers[0][None]
            alone.flags.writeable = False
            return alone
        return np.stack([layers[place] for _, place in sorted(self._repeat.items())])

    def table(self, value: str, expected: Collection[Pair] = ()) -> Table:
        """The mean over repeats of each repeat's mean; why there is none, where none gives it.

        A pair of `expected` without a cell is `cancelled`; any other without a cell is `not_applicable` where the
        path has no such cell, else `not_scheduled`. Of one repeat the table has the numbers themselves, no copy: cells
        are gathered before.
        """
        counts, values = _mean(self._values[value], self._shape)
        reasons = np.where(self._failed > 0, self._failed, self._absent(expected))
        reasons[self._measured > 0] = self._number(USUAL)
        for place, code in self._missing[value].items():
            reasons[place] = self._number(code)
        reasons[counts > 0] = 0
        targets = self.targets
        if self._outside:
            # They came as tests ended, which says nothing; they are shown in natural order.
            order = sorted(range(len(targets)), key=lambda column: natural(targets[column]))
            targets = tuple(targets[column] for column in order)
            values, reasons = np.ascontiguousarray(values[:, order]), np.ascontiguousarray(reasons[:, order])
        return Table(
            self.series,
            value,
            "mean",
            UNITS[value],
            self.names,
            targets,
            values,
            reasons.astype(np.uint8),
            tuple(self._codes),
        )

    def tables(self, expected: Collection[Pair] = ()) -> list[Table]:
        """The tables of all values, the test's headline first."""
        self.add_targets(target for _, target in expected)
        return [self.table(value, expected) for value in self._readings]

    def add_targets(self, names: Iterable[str]) -> None:
        """Columns of targets outside of the mesh; of no meaning where columns are nodes."""
        added = [name for name in dict.fromkeys(names) if name not in self._column] if self._outside else []
        if not added:
            return
        for name in added:
            self._column[name] = len(self._column)
        more = ((0, 0), (0, len(added)))
        self._measured = np.pad(self._measured, more)
        self._failed = np.pad(self._failed, more)
        self._failed_repeat = np.pad(self._failed_repeat, more)
        for layers in self._values.values():
            layers[:] = [np.pad(layer, more, constant_values=np.nan) for layer in layers]

    def _put(self, place: tuple[int, int], repeat: int, reason: str | None, means: Mapping[str, float]) -> None:
        if reason is not None:
            if not self._failed[place] or repeat < self._failed_repeat[place]:
                self._failed[place] = self._number(reason)
                self._failed_repeat[place] = repeat
            return
        number = self._place_of_repeat(repeat)
        self._measured[place] += 1
        for value, mean in means.items():
            # A file may hold values that there are no tables of.
            if value in self._values:
                self._values[value][number][place] = mean

    def _place_of_repeat(self, repeat: int) -> int:
        if repeat not in self._repeat:
            self._repeat[repeat] = len(self._repeat)
            for layers in self._values.values():
                layers.append(np.full(self._shape, np.nan))
        return self._repeat[repeat]

    def _number(self, code: str) -> int:
        number = self._code.get(code)
        if number is None:
            number = self._code[code] = len(self._codes)
            self._codes.append(code)
        return number

    def _absent(self, expected: Collection[Pair]) -> Codes:
        """Why a pair has no cell at all."""
        kind, path = TESTS[self.series.test].kind, PATHS[self.series.path]
        has_local = kind == "idle" or path.local is not None
        has_remote = kind != "idle" and path.remote is not None
        scheduled, none = self._number("not_scheduled"), self._number("not_applicable")
        reasons = np.full(self._shape, scheduled if self._outside or has_remote else none, dtype=np.uint8)
        if not self._outside:
            np.fill_diagonal(reasons, scheduled if has_local else none)
        if len(expected) == reasons.size:
            reasons[:] = self._number("cancelled")
        elif expected:
            rows, columns = zip(*((self._row[a], self._column[b]) for a, b in expected), strict=True)
            reasons[list(rows), list(columns)] = self._number("cancelled")
        return reasons

    def _place(self, source: str, target: str) -> tuple[int, int]:
        if self._outside and target not in self._column:
            self.add_targets([target])
        for name, known in ((source, self._row), (target, self._column)):
            if name not in known:
                raise ValueError(f"a cell names the node '{name}', which the run has not")
        return self._row[source], self._column[target]


def _mean(layers: Sequence[Floats], shape: tuple[int, int]) -> tuple[NDArray[np.uint16], Floats]:
    """How many layers have a number at each place, and the mean of these; NaN where none has."""
    if len(layers) == 1:
        return np.isfinite(layers[0]).astype(np.uint16), layers[0]
    counts = np.zeros(shape, dtype=np.uint16)
    sums = np.zeros(shape)
    for layer in layers:
        there = np.isfinite(layer)
        counts += there
        sums += np.where(there, layer, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts, np.where(counts > 0, sums / counts, np.nan)
