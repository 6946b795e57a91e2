"""A matrix as arrays: one number or one reason for each ordered pair, a million of them without an object each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netmesh_controller.mesh.document import Cell, CellKey, Matrix, Parameters

Floats: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Series:
    """What the cells of one matrix have in common."""

    path: str
    test: str
    parameters: Parameters

    @classmethod
    def of(cls, cell: Cell | CellKey) -> Series:
        """The series that a cell belongs to."""
        return cls(cell.path, cell.test, cell.parameters)

    @classmethod
    def of_matrix(cls, matrix: Matrix) -> Series:
        """The series that a matrix shows a value of."""
        return cls(matrix.path, matrix.test, matrix.parameters)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One statistic of one value of a series over all pairs; rows are sources, columns targets.

    `values` has the shape (sources, targets), in SI units as `unit` says, NaN where there is no number. `reasons` has
    the same shape: 0 where there is a number, else the place in `codes` of the reason for none.
    """

    series: Series
    value: str
    statistic: str
    unit: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    values: Floats
    reasons: Codes
    codes: tuple[str, ...]

    def reason(self, row: int, column: int) -> str | None:
        """Why there is no number; None where there is one."""
        code = int(self.reasons[row, column])
        return self.codes[code] if code else None

    def number(self, row: int, column: int) -> float | None:
        """The number; None where there is none."""
        return None if self.reasons[row, column] else float(self.values[row, column])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there is a number."""
        return np.equal(self.reasons, 0)

    @property
    def remote(self) -> NDArray[np.bool_]:
        """Where source and target are two nodes."""
        places = {name: column for column, name in enumerate(self.targets)}
        both = [(row, places[name]) for row, name in enumerate(self.sources) if name in places]
        mask = np.ones(self.values.shape, dtype=bool)
        mask[[row for row, _ in both], [column for _, column in both]] = False
        return mask

    def document(self) -> Matrix:
        """The matrix as it stands in the run document."""
        return self.rows(0, len(self.sources))

    def rows(self, begin: int, end: int) -> Matrix:
        """The same with the rows from `begin` to before `end` only, its sources all the same."""
        values, reasons = self.values[begin:end], self.reasons[begin:end]
        known = np.equal(reasons, 0)
        numbers = np.full(values.shape, None, dtype=object)
        numbers[known] = values[known]
        names = np.array([None, *self.codes[1:]], dtype=object)
        # What arrays hold is of the right type already; a million numbers are not looked at one by one again.
        return Matrix.model_construct(
            path=self.series.path,
            test=self.series.test,
            parameters=self.series.parameters,
            value=self.value,
            statistic=self.statistic,
            unit=self.unit,
            sources=list(self.sources),
            targets=list(self.targets),
            values=numbers.tolist(),
            reasons=names[reasons].tolist(),
        )


def from_document(matrix: Matrix) -> Table:
    """The arrays of a matrix of a run document."""
    shape = (len(matrix.sources), len(matrix.targets))
    flat = [code for row in matrix.reasons for code in row]
    codes = ("", *sorted({code for code in flat if code is not None}))
    place: dict[str | None, int] = {code: number for number, code in enumerate(codes)}
    place[None] = 0
    return Table(
        series=Series(matrix.path, matrix.test, matrix.parameters),
        value=matrix.value,
        statistic=matrix.statistic,
        unit=matrix.unit,
        sources=tuple(matrix.sources),
        targets=tuple(matrix.targets),
        # None becomes NaN.
        values=np.array(matrix.values, dtype=np.float64).reshape(shape),
        reasons=np.fromiter((place[code] for code in flat), dtype=np.uint8, count=len(flat)).reshape(shape),
        codes=codes,
    )


def same_shape(first: Table, second: Table) -> bool:
    """Whether two tables have the same nodes at the same places."""
    return first.sources == second.sources and first.targets == second.targets


def with_reasons(
    like: Table, *, value: str, statistic: str, unit: str, values: Floats, gaps: Sequence[Table], otherwise: str
) -> Table:
    """A table made of others: where `values` is not finite, the reason is that of the first of `gaps` that has one."""
    codes = list(like.codes)

    def number(code: str) -> int:
        if code not in codes:
            codes.append(code)
        return codes.index(code)

    reasons = np.zeros(values.shape, dtype=np.uint8)
    missing = ~np.isfinite(values)
    for table in gaps:
        renamed = np.array([0, *(number(code) for code in table.codes[1:])], dtype=np.uint8)
        open_places = missing & (reasons == 0)
        reasons[open_places] = renamed[table.reasons][open_places]
    reasons[missing & (reasons == 0)] = number(otherwise) if missing.any() else 0
    return Table(
        like.series,
        value,
        statistic,
        unit,
        like.sources,
        like.targets,
        np.where(missing, np.nan, values),
        reasons,
        tuple(codes),
    )
