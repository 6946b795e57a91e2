"""`netmesh-controller runs` as its user has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.cli import Controller, one_sentence

SAMPLE = Path(__file__).parents[1] / "samples/run/run-1.json"
ID = "20251120-100000-0199"


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path / "data")


def test_runs_live_from_import_to_delete(controller: Controller, tmp_path: Path) -> None:
    assert "no run, or none that fits" in controller("runs").stdout
    assert controller("runs", "import", SAMPLE).stdout == f"Run {ID} with 4 cells is stored.\n"
    controller("runs", "tag", "sample", "cilium", "baseline")
    controller("runs", "rename", "latest", "before")
    shown = controller("runs", "list", "--tag", "cilium", "--state", "partial").stdout
    for words in (ID, "before", "partial", "1 of 4", "baseline", "cilium"):
        assert words in shown
    listed = json.loads(controller("runs", "list", "--format", "json").stdout)
    assert [(run["id"], run["name"], run["tags"]) for run in listed] == [(ID, "before", ["baseline", "cilium"])]
    path = tmp_path / "out.jsonl.zst"
    assert controller("runs", "export", "before", path).code == 0
    assert controller("runs", "delete", "20251120").stdout == f"Run {ID} is deleted.\n"
    elsewhere = {"NETMESH_STORE": f"sqlite:///{tmp_path / 'other.sqlite'}"}
    assert controller("runs", "import", path, **elsewhere).code == 0
    assert "before" in controller("--store", elsewhere["NETMESH_STORE"], "runs").stdout
    assert "no run, or none that fits" in controller("runs").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("runs", "list", "--state", "done"), 2, ("--state", "complete")),
        (("runs", "rename", "nonesuch", "x"), 2, ("nonesuch", "latest")),
        (("runs", "rename", "latest", "latest"), 2, ("NAME",)),
        (("runs", "tag", "latest"), 2, ("TAG", "--remove")),
        (("runs", "import", "nonesuch.json"), 2, ("nonesuch.json", "No such file")),
        (("runs", "export", "latest"), 2, ("no run yet",)),
        (("--store", "mysql://x/y", "runs"), 2, ("--store", "postgresql://")),
        (("--store", "postgresql://127.0.0.1:1/netmesh", "runs"), 1, ("postgresql://127.0.0.1:1/netmesh",)),
        (("sweep", "--lab", "2", "--resume", "nonesuch.json"), 2, ("nonesuch.json",)),
    ],
)
def test_what_is_wrong_is_one_sentence(
    controller: Controller, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    answer = controller(*arguments)
    sentence = one_sentence(answer)
    assert answer.code == code
    for word in words:
        assert word in sentence


def test_a_stored_run_is_held_against_expectations(controller: Controller, tmp_path: Path) -> None:
    file = tmp_path / "expected.txt"
    file.write_text("# what the racks must give\ntcp-bandwidth.mean@pod-to-pod/remote >= 900 Mbit/s\n")
    junit = tmp_path / "junit.xml"
    answer = controller("report", SAMPLE, "--expect-file", file, "--output", junit)
    assert answer.code == 4, answer.stderr
    assert "not in 1 of 2 cells, 1 of them without a figure" in answer.stdout.replace("\n    ", " ")
    assert 'failures="1"' in junit.read_text()
    wrong = controller("sweep", "--lab", "2", "--expect", "tcp-bandwidth.mean > 1 GB")
    assert (wrong.code, "UNIT" in one_sentence(wrong)) == (2, True)
