"""`netmesh-controller compare` as its user has it, on run files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.controller.mesh.meshes import Mesh
from tests.support.cli import Controller, one_sentence

from netmesh_controller.mesh.comparison import Side


def _write(side: Side, path: Path, cni: str) -> Path:
    run = side.run.model_copy(update={"facts": {"cni": cni}}).model_dump(mode="json")
    nodes = [node.model_dump(mode="json") for node in side.nodes]
    lines: list[dict[str, Any]] = [
        {"schema": "netmesh.run/1", "run": run, "nodes": nodes, "matrices": [], "findings": []}
    ]
    for series, gathered in side.series.items():
        value = gathered.value_names[0]
        for (repeat, row, column), number in np.ndenumerate(gathered.repeats(value)):
            lines.append(
                {
                    "path": series.path,
                    "test": series.test,
                    "parameters": series.parameters.model_dump(),
                    "source": gathered.names[row],
                    "target": gathered.targets[column],
                    "repeat": repeat + 1,
                    "attempt": 1,
                    "outcome": "measured",
                    "values": {value: {"mean": number}},
                }
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path / "data")


def test_runs_are_compared_from_files_and_from_the_store(controller: Controller, tmp_path: Path) -> None:
    mesh = Mesh(5, 3)
    old = _write(mesh.run(3, name="calico"), tmp_path / "old.jsonl", "calico 3.29")
    new = _write(mesh.run(3, {None: 0.8}, name="cilium"), tmp_path / "new.jsonl", "cilium 1.18")
    assert controller("runs", "import", old).code == 0
    shown = controller("compare", "calico", new, "--fail-on", "worse")
    assert shown.code == 4, shown.stderr
    lines = shown.stdout.splitlines()
    facts = next(number for number, line in enumerate(lines) if "cni: calico 3.29 in calico" in line)
    assert facts < next(number for number, line in enumerate(lines) if "tcp-bandwidth by iperf3" in line)
    assert "cilium against calico: worse in" in shown.stdout
    assert max(map(len, lines)) <= 80
    answer = controller("compare", old, old, "--format", "json", "--fail-on", "different")
    assert answer.code == 0
    written = json.loads(answer.stdout)
    assert (written["schema"], written["worse"], written["pairs"]) == ("netmesh.comparison/1", False, [])
    assert {group["verdict"] for group in written["groups"]} == {"not distinguishable"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compare", "latest"), ("RUN", "two")),
        (("compare", "nonesuch", "other"), ("nonesuch",)),
        # A file that is there, and is no run.
        (("compare", __file__, "latest"), ("no run file",)),
    ],
)
def test_what_is_wrong_is_one_sentence(
    controller: Controller, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    answer = controller(*arguments)
    sentence = one_sentence(answer)
    assert answer.code == 2
    for word in words:
        assert word in sentence
