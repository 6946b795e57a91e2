"""From cells to matrices: one value of one test over all ordered pairs, a number or a reason everywhere.

Rows are nodes; columns are nodes too, or on a path that leads out of the mesh the targets there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Cell, CellKey, Matrix, Node
from netmesh_controller.mesh.gather import Gathered, Pair
from netmesh_controller.mesh.natural import natural
from netmesh_controller.mesh.table import Series, Table

__all__ = ["Gathering", "Pair", "Series", "expected_pairs", "gathered", "in_order", "matrices", "tables"]


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """The nodes by zone, then by name, both in natural order; nodes without a zone come first."""
    return sorted(nodes, key=lambda node: (natural(node.zone or ""), natural(node.name)))


def expected_pairs(planned: Iterable[CellKey]) -> dict[Series, Counter[Pair]]:
    """The pairs of each series that planned cells are of, as `matrices` wants them, and how many cells each has."""
    expected: dict[Series, Counter[Pair]] = {}
    for key in planned:
        expected.setdefault(Series.of(key), Counter())[key.source, key.target] += 1
    return expected


class Gathering:
    """The cells of a run as they are read, by series: a number a value is kept of each, and no cell.

    `add` raises ValueError where a cell names a node that is not among `nodes`; KeyError for a path or a test that is
    not known.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._names = [node.name for node in in_order(nodes)]
        self._found: dict[Series, Gathered] = {}
        self._latest: Gathered | None = None

    def add(self, cell: Cell) -> None:
        """The next cell."""
        series = Series.of(cell)
        # Comparing is far cheaper than hashing the parameters.
        if self._latest is None or self._latest.series != series:
            self._latest = self._found.setdefault(series, Gathered(series, self._names))
        self._latest.add(cell)

    @property
    def series(self) -> dict[Series, Gathered]:
        """What was read, in the order in which matrices are shown."""
        return in_place_order(self._found)


def gathered(nodes: Iterable[Node], cells: Iterable[Cell]) -> dict[Series, Gathered]:
    """The cells of a run, read once; see `Gathering`."""
    gathering = Gathering(nodes)
    for cell in cells:
        gathering.add(cell)
    return gathering.series


def in_place_order(found: Mapping[Series, Gathered]) -> dict[Series, Gathered]:
    """The same by path, test and parameters: the order in which matrices are shown."""
    return {series: found[series] for series in sorted(found, key=_place)}


def tables(
    nodes: Iterable[Node],
    cells: Iterable[Cell] | Mapping[Series, Gathered],
    expected: Mapping[Series, Collection[Pair]] | None = None,
) -> list[Table]:
    """The matrices of a run as arrays; the statistic is the mean over repeats of each repeat's mean.

    `cells` are the run's cells, or what `gathered` made of them. `expected` has the pairs (source, target) that the
    plan measures, by series: a pair of it without a cell is a gap `cancelled`, any other without a cell is
    `not_applicable` where its path has no such cell, else `not_scheduled`. A pair with measured repeats shows the mean
    of those that give the value, `not_supported` where none gives it; a pair without has the reason of its first repeat
    that failed. Errors as `gathered`.
    """
    ordered = in_order(nodes)
    found = dict(cells) if isinstance(cells, Mapping) else gathered(ordered, cells)
    names = [node.name for node in ordered]
    for series in expected or {}:
        found.setdefault(series, Gathered(series, names))
    made: list[Table] = []
    for series, one in in_place_order(found).items():
        made += one.tables((expected or {}).get(series, ()))
    return made


def matrices(
    nodes: Iterable[Node],
    cells: Iterable[Cell] | Mapping[Series, Gathered],
    expected: Mapping[Series, Collection[Pair]] | None = None,
) -> list[Matrix]:
    """The matrices of a run as they stand in its document; see `tables`."""
    return [table.document() for table in tables(nodes, cells, expected)]


def _place(series: Series) -> tuple[str, int, str]:
    return series.path, list(TESTS).index(series.test), series.parameters.model_dump_json()
