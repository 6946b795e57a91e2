"""Repeating a cell until it is known well enough: the decision after each test, without clock and I/O.

A cell is known well enough where the 95 % confidence interval of the mean of its headline value over repeats
(Student's, see `statistics.intervals`) is narrower than asked for, as a part of the mean. Looking after each repeat
stops a little too often where the repeats happen to agree: from three repeats on, intervals that are said to hold the
true mean in 95 % of the cells hold it in about 90 %, from five on in 93 % (by simulation, see the tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, CellKey
from netmesh_controller.mesh.plan import Measurement
from netmesh_controller.mesh.precision import Until, narrow
from netmesh_controller.mesh.table import Series

_Place: TypeAlias = tuple[Series, str, str]


class Repeating:
    """What each cell of a run has shown, and whether it is to be measured once more.

    A cell is measured `most` times at most, failures included. Cells of one measurement are repeated together, as long
    as one of them needs it.
    """

    def __init__(self, until: Until, most: int, before: Iterable[Cell] = ()) -> None:
        self._until, self._most = until, most
        self._means: dict[_Place, list[float]] = {}
        self._last: dict[_Place, int] = {}
        for cell in before:
            self.add(cell)

    def add(self, cell: Cell) -> None:
        """A cell that came to its end."""
        place = (Series.of(cell), cell.source, cell.target)
        self._last[place] = max(cell.repeat, self._last.get(place, 0))
        summary = cell.values.get(TESTS[cell.test].headline) if cell.outcome == "measured" else None
        if summary is not None:
            self._means.setdefault(place, []).append(summary.mean)

    def once_more(self, one: Measurement, index: int, planned: int) -> Measurement | None:
        """The next repeat of a measurement that came to its end, with that index; None where it is known well enough.

        `planned` is how many repeats the plan has of its own: only the last of them is followed by another.
        """
        places = [self._place(key) for key in one.cells]
        if one.repeat < planned or one.repeat >= self._most or TESTS[one.variant.test].kind in ("idle", "mtu"):
            return None
        if any(self._last.get(place, 0) > one.repeat for place in places):
            return None  # an earlier one, tried again late
        # What has failed every time is not mended by further repeats.
        if not all(self._means.get(place) for place in places):
            return None
        if all(narrow(self._means[place], self._until) for place in places):
            return None
        return Measurement(index, one.variant, one.source, one.target, one.repeat + 1)

    def wide(self, measurements: Sequence[Measurement], planned: int, first_index: int) -> list[Measurement]:
        """The further repeats that a resumed run begins with: of what is measured as planned and not narrow."""
        made: list[Measurement] = []
        for one in measurements:
            if one.repeat != planned:
                continue
            last = max((self._last.get(self._place(key), 0) for key in one.cells), default=0)
            if last >= planned:
                done = Measurement(one.index, one.variant, one.source, one.target, last)
                following = self.once_more(done, first_index + len(made), planned)
                made += [following] if following is not None else []
        return made

    @staticmethod
    def _place(key: CellKey) -> _Place:
        return Series.of(key), key.source, key.target
