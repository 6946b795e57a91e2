"""How a value goes along an axis of a run: over message sizes, segment sizes or streams. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.statistics.arrays import median_of
from netmesh_controller.mesh.table import Table

AXES: tuple[str, ...] = ("message_bytes", "mss_bytes", "streams")


@dataclass(frozen=True, slots=True)
class Curve:
    """A test's first value over one axis: (place on the axis, median over remote pairs or None, number of pairs).

    `parameters` are those that all points share; the axis itself is null there. Units as in the matrices.
    """

    path: str
    test: str
    parameters: Parameters
    value: str
    unit: str
    axis: str
    points: tuple[tuple[int, float | None, int], ...]


def curves(tables: Iterable[Table]) -> list[Curve]:
    """The curves of a run, in the tables' order; none where each axis has one place only."""
    points: dict[tuple[str, str, str, Parameters], list[tuple[int, Table]]] = {}
    for table in tables:
        path, test, parameters = table.series.path, table.series.test, table.series.parameters
        if table.value != TESTS[test].headline_by(parameters.instrument):
            continue
        for axis in AXES:
            place = getattr(parameters, axis)
            if place is not None:
                rest = parameters.model_copy(update={axis: None})
                points.setdefault((path, test, axis, rest), []).append((place, table))
    return [
        Curve(path, test, rest, found[0][1].value, found[0][1].unit, axis, _points(found))
        for (path, test, axis, rest), found in points.items()
        if len({place for place, _ in found}) > 1
    ]


def _points(found: Iterable[tuple[int, Table]]) -> tuple[tuple[int, float | None, int], ...]:
    made = []
    for place, table in sorted(found, key=lambda one: one[0]):
        numbers = table.values[table.known & table.remote]
        made.append((place, median_of(numbers) if len(numbers) else None, len(numbers)))
    return tuple(made)
