"""A matrix in pieces is the same text, letter for letter, as the document's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.matrixtext import matrix_text
from netmesh_controller.mesh.table import Series, Table

SERIES = Series('pod-"to-pod', "tcp-bandwidth", Parameters(instrument="iperf3"))


def table(values: list[float], rows: int) -> Table:
    """Numbers where they are finite, else one of two reasons."""
    numbers = np.array(values).reshape(rows, -1)
    reasons = np.where(np.isfinite(numbers), 0, 1 + np.isinf(numbers)).astype(np.uint8)
    sources = tuple(f"nœud-{number}" for number in range(numbers.shape[0]))
    targets = tuple(f'"{number}\n' for number in range(numbers.shape[1]))
    return Table(
        SERIES, "bits_per_second", "mean", "bit/s", sources, targets, numbers, reasons, ("", "timeout", "loss")
    )


@given(st.lists(st.floats(), min_size=12, max_size=12), st.sampled_from([1, 3, 12]))
def test_any_numbers_and_reasons(values: list[float], rows: int) -> None:
    made = table(values, rows)
    assert "".join(matrix_text(made)) == made.document().model_dump_json()


@pytest.mark.parametrize("rows", [0, 49, 50, 51, 120])
def test_any_number_of_rows(rows: int) -> None:
    made = table([1e9 / 3, 1e22, np.nan] * rows, rows) if rows else table([], 1)
    parts = list(matrix_text(made))
    assert "".join(parts) == made.document().model_dump_json()
    assert "".join(parts) == "".join(matrix_text(made.document()))
    assert max(map(len, parts)) < 10_000, "its text is never whole in memory"
