"""Files of runs that are too large for one document."""

from __future__ import annotations

from pathlib import Path

import pytest

from netmesh_controller.surfaces.cli.errors import BadUsageError
from netmesh_controller.surfaces.cli.outputs import check_sizes, fitting


def test_a_large_run_goes_to_no_document_and_to_every_other_format() -> None:
    check_sizes([Path("run.json"), Path("run.yaml")], 10_000)
    check_sizes([Path("run.html"), Path("run.jsonl"), Path("run.JSONL.ZST"), Path("run.csv")], 10_001)
    with pytest.raises(BadUsageError, match=r"run\.yml: a run of 10001 cells goes into a file that ends in .jsonl"):
        check_sizes([Path("run.html"), Path("run.yml")], 10_001)


def test_a_run_that_became_large_has_its_file_beside() -> None:
    asked = [Path("a/run.1.json"), Path("b.png")]
    assert fitting(asked, 10_000) == (asked, [])
    files, said = fitting(asked, 10_001)
    assert files == [Path("a/run.1.jsonl.zst"), Path("b.png")]
    beside = "a/run.1.jsonl.zst is written in place of a/run.1.json"
    assert said == [f"{beside}: the run has 10001 cells, which go one to a line."]
