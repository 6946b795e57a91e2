"""How a value goes along an axis of a run: over message sizes, segment sizes or streams. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netmesh_controller.mesh.catalogue import TESTS
from netmesh_controller.mesh.document import Matrix, Parameters
from netmesh_controller.mesh.statistics import median

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


def curves(matrices: Iterable[Matrix]) -> list[Curve]:
    """The curves of a run, in the matrices' order; none where each axis has one place only."""
    points: dict[tuple[str, str, str, Parameters], list[tuple[int, Matrix]]] = {}
    for matrix in matrices:
        if matrix.value != TESTS[matrix.test].headline_by(matrix.parameters.instrument):
            continue
        for axis in AXES:
            place = getattr(matrix.parameters, axis)
            if place is not None:
                rest = matrix.parameters.model_copy(update={axis: None})
                points.setdefault((matrix.path, matrix.test, axis, rest), []).append((place, matrix))
    return [
        Curve(path, test, rest, found[0][1].value, found[0][1].unit, axis, _points(found))
        for (path, test, axis, rest), found in points.items()
        if len({place for place, _ in found}) > 1
    ]


def _points(found: Iterable[tuple[int, Matrix]]) -> tuple[tuple[int, float | None, int], ...]:
    made = []
    for place, matrix in sorted(found, key=lambda one: one[0]):
        numbers = [
            number
            for source, row in zip(matrix.sources, matrix.values, strict=True)
            for target, number in zip(matrix.targets, row, strict=True)
            if number is not None and source != target
        ]
        made.append((place, median(numbers) if numbers else None, len(numbers)))
    return tuple(made)
