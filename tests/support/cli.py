"""The command line as its user has it: a process of its own, with a store of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import Cell, RunDocument

COMMAND_SECONDS = 240


@dataclass(frozen=True)
class Answer:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str

    def document(self) -> RunDocument:
        """The run document on stdout (--format json)."""
        return RunDocument.model_validate(json.loads(self.stdout))


@dataclass(frozen=True)
class Controller:
    """netmesh-controller with a data directory of its own."""

    data: Path

    def environment(self, **more: str) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("NETMESH_")}
        return {**clean, "NETMESH_DATA_DIR": str(self.data), "COLUMNS": "80", "NO_COLOR": "1", **more}

    def __call__(self, *arguments: object, **environment: str) -> Answer:
        """Runs a command to its end."""
        done = subprocess.run(
            self.argv(*arguments),
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Starts a command and returns at once."""
        return subprocess.Popen(
            self.argv(*arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def argv(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "netmesh_controller", *map(str, arguments)]


def sweep(controller: Controller, lab: Lab, *options: object, code: int = 0) -> RunDocument:
    """A sweep of a lab that is up, and how it has to end."""
    answer = controller("sweep", "--lab", lab.name, "--format", "json", *options)
    assert answer.code == code, answer.stderr
    return answer.document()


def one_sentence(answer: Answer) -> str:
    """The single line on stderr of a command that was called wrongly; fails on a traceback or on more than that."""
    assert "Traceback" not in answer.stderr, answer.stderr
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, answer.stderr
    return lines[0]


def cell(document: RunDocument, source: str, target: str, test: str, **parameters: Any) -> Cell:
    """The one cell of a pair, test and parameters."""
    found = [
        one
        for one in document.cells
        if (one.source, one.target, one.test) == (source, target, test)
        and all(getattr(one.parameters, name) == value for name, value in parameters.items())
    ]
    assert len(found) == 1, found
    return found[0]


def mean(one: Cell, value: str) -> float:
    """A measured cell's mean of a value."""
    assert one.outcome == "measured", one.reason
    summary = one.values[value]
    assert summary is not None
    return summary.mean
