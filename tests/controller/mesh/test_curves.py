"""Curves over an axis, and what a person sees of them."""

import io

from rich.console import Console

from netmesh_controller.mesh.curves import curves
from netmesh_controller.mesh.document import Matrix, Parameters
from netmesh_controller.mesh.table import Table, from_document
from netmesh_controller.surfaces.terminal.curves import show_curves


def matrix(message_bytes: int | None, there: float | None, back: float | None, streams: int = 1) -> Table:
    matrix = Matrix(
        path="pod-to-pod",
        test="tcp-bandwidth",
        parameters=Parameters(instrument="iperf3", streams=streams, message_bytes=message_bytes, direction="forward"),
        value="bits_per_second",
        statistic="mean",
        unit="bit/s",
        sources=["a", "b"],
        targets=["a", "b"],
        values=[[9e9, there], [back, 9e9]],
        reasons=[[None, None if there else "timeout"], [None if back else "timeout", None]],
    )
    return from_document(matrix)


def test_a_point_is_the_median_over_remote_pairs() -> None:
    (curve,) = curves([matrix(1024, 2e9, 4e9), matrix(64, 1e8, 3e8)])
    assert curve.axis == "message_bytes"
    assert curve.points == ((64, 2e8, 2), (1024, 3e9, 2))


def test_a_place_without_a_value_is_no_zero() -> None:
    (curve,) = curves([matrix(64, None, None), matrix(1024, 2e9, 4e9)])
    assert curve.points[0] == (64, None, 0)
    out = io.StringIO()
    show_curves(Console(file=out, width=80), [curve])
    text = out.getvalue()
    assert "64 B no value" in text
    assert "1024 B 3.00" in text
    assert max(map(len, text.splitlines())) <= 80


def test_two_axes_are_curves_each_at_each_place_of_the_other() -> None:
    made = curves([matrix(size, 1e9, 1e9, streams) for size in (64, 1024) for streams in (1, 2)])
    assert sorted((one.axis, one.parameters.streams, one.parameters.message_bytes) for one in made) == [
        ("message_bytes", 1, None),
        ("message_bytes", 2, None),
        ("streams", None, 64),
        ("streams", None, 1024),
    ]


def test_one_place_is_no_curve() -> None:
    assert curves([matrix(64, 1e9, 1e9), matrix(None, 1e9, 1e9)]) == []
