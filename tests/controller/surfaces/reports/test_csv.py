"""CSV as a spreadsheet, and as csv of the standard library, reads it."""

from __future__ import annotations

import csv
import io

import pytest
from tests.support.meshes import FORMULA, HOSTILE, generated

from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.surfaces.reports.csv import guarded, render
from netmesh_controller.surfaces.reports.formats import Choice, ReportError, Wanted


def written(document: RunDocument, choice: Choice | None = None) -> str:
    return b"".join(render(Wanted.of(document, choice), ".csv")).decode()


def test_long_has_every_pair_of_every_value_with_its_figures_or_its_reason() -> None:
    document = generated(5)
    rows = list(csv.DictReader(io.StringIO(written(document), newline="")))
    assert len(rows) == sum(len(matrix.sources) * len(matrix.targets) for matrix in document.matrices)
    cells = {(cell.path, cell.test, cell.source, cell.target): cell for cell in document.cells}
    measured = 0
    for row in rows:
        cell = cells.get((row["path"], row["test"], row["source"], row["target"]))
        if cell is None:
            assert (row["mean"], row["reason"]) == ("", "not_applicable")
            continue
        summary = cell.values.get(row["value"])
        if cell.reason is not None:
            assert (row["mean"], row["reason"], row["reason_message"]) == ("", cell.reason.code, cell.reason.message)
        elif summary is None:
            assert row["mean"] == ""
            assert row["reason"]
        else:
            measured += 1
            assert float(row["mean"]) == summary.mean
            for name in ("min", "p50", "p99", "max"):
                told = getattr(summary, name)
                assert row[name] == "" if told is None else float(row[name]) == told
            assert row["repeats_measured"] == "1"
    assert measured > 50
    assert {row["unit"] for row in rows if row["value"] == "bits_per_second"} == {"bit/s"}
    assert {row["source_zone"] for row in rows} == {"zone-a", "zone-b", "zone-c"}


def test_wide_has_a_matrix_a_section_with_its_unit() -> None:
    document = generated(4)
    choice = Choice(paths=("pod-to-pod",), tests=("tcp-bandwidth",), values=("bits_per_second",), csv="wide")
    rows = list(csv.reader(io.StringIO(written(document, choice), newline="")))
    assert rows[0][:2] == ["pod-to-pod", "tcp-bandwidth"]
    assert rows[0][3:] == ["bits_per_second [bit/s]", "mean"]
    matrix = next(one for one in document.matrices if (one.path, one.value) == ("pod-to-pod", "bits_per_second"))
    assert rows[1] == ["source \\ target", *matrix.targets]
    for line, source, numbers, reasons in zip(rows[2:6], matrix.sources, matrix.values, matrix.reasons, strict=True):
        assert line[0] == source
        for text, number, reason in zip(line[1:], numbers, reasons, strict=True):
            assert text == reason if number is None else float(text) == number
    assert rows[6:] == [[]]


def test_lines_end_as_rfc_4180_says_and_quotes_are_doubled() -> None:
    text = written(generated(2, zones=0, name=lambda place: f'a "{place}", b'))
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")
    assert '"a ""0"", b"' in text


@pytest.mark.parametrize("name", [FORMULA, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_name_becomes_a_formula(name: str) -> None:
    document = generated(2, zones=0, name=lambda place: name if place else HOSTILE)
    for layout in ("long", "wide"):
        text = written(document, Choice(csv=layout))
        found = [field for row in csv.reader(io.StringIO(text, newline="")) for field in row]
        assert f"'{name}" in found
        assert HOSTILE in found
        assert name not in found


def test_numbers_are_not_taken_for_formulas() -> None:
    assert guarded(-1.5) == -1.5


def test_a_name_that_the_run_has_not_is_told_with_those_it_has() -> None:
    with pytest.raises(ReportError, match=r"--path: the run has no path 'pod-to-moon' here; it has .*pod-to-pod"):
        written(generated(2), Choice(paths=("pod-to-moon",)))
    with pytest.raises(ReportError, match=r"--value: .*'loss_ratio' here; it has bits_per_second"):
        written(generated(2), Choice(tests=("tcp-bandwidth",), values=("loss_ratio",)))
