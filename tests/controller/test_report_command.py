"""`report` as its user has it: a run file in, files of every format out, and mistakes told in one sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from tests.support.cli import Controller, one_sentence
from tests.support.meshes import generated

from netmesh_controller.clients.runfile import RunFile
from netmesh_controller.mesh.document import Cell, RunDocument


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path / "data")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    file = tmp_path / "run.json"
    file.write_text(generated(2, zones=0, histograms=False).model_dump_json(by_alias=True))
    return file


def test_every_format_is_written_by_its_ending(controller: Controller, run: Path, tmp_path: Path) -> None:
    files = {ending: tmp_path / f"out.{ending}" for ending in ("html", "csv", "json", "yaml", "jsonl.zst")}
    answer = controller("report", run, *(part for file in files.values() for part in ("--output", file)))
    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout.split() == " ".join(f"{file} is written." for file in files.values()).split()
    document = RunDocument.model_validate(json.loads(files["json"].read_text()))
    given = RunDocument.model_validate_json(run.read_text()).cells
    series = list(dict.fromkeys((cell.path, cell.test) for cell in given))
    assert document.cells == sorted(given, key=lambda cell: series.index((cell.path, cell.test)))
    read = [line for batch in RunFile(files["jsonl.zst"]).lines() for line in batch]
    assert [line.cell or Cell.model_validate(line.fields) for line in read] == document.cells
    assert yaml.safe_load(files["yaml"].read_text()) == json.loads(files["json"].read_text())
    with files["csv"].open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == sum(len(one.sources) * len(one.targets) for one in document.matrices)
    assert files["html"].read_text().startswith("<!doctype html>")


def test_without_output_the_run_is_shown(controller: Controller, run: Path) -> None:
    answer = controller("report", run, "--path", "host-to-host", "--test", "udp-latency")
    assert answer.code == 0
    assert "udp-latency, round trip, µs" in answer.stdout
    assert "tcp-bandwidth" not in answer.stdout
    assert "pod-to-pod" not in answer.stdout
    assert "partial: " in answer.stdout
    assert "is stored" not in answer.stdout


def test_mistakes_are_told_in_one_sentence(controller: Controller, run: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--output", tmp_path / "x.csv", "--path", "pod-to-moon"], "the run has no path 'pod-to-moon'"),
        (["--output", tmp_path / "x.xml"], "give --expect"),
        (["--by", "rack"], "--by: no node has 'rack'; there are no labels and no zones"),
        (["--output", tmp_path / "x.csv", "--statistic", "p33"], "--statistic: there is no 'p33'; there are mean"),
        (["--output", tmp_path / "x.csv", "--csv", "wide", "--statistic", "p999"], "no value has 'p999'"),
    ):
        answer = controller("report", run, *arguments)
        assert answer.code == 2, answer
        assert said in one_sentence(answer)
        assert not list(tmp_path.glob("x.*"))


def test_a_sweep_is_told_of_a_wrong_ending_before_anything_starts(controller: Controller, tmp_path: Path) -> None:
    answer = controller("sweep", "--agents", "127.0.0.1:1", "--output", tmp_path / "x.pdf")
    assert answer.code == 2
    assert "x.pdf must end in" in one_sentence(answer)
