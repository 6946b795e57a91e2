"""Recorded outputs of the real programs; each case is NAME.stdout, NAME.stderr and NAME.meta.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from netmesh_agent.tools.base import Output

_SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="session")
def samples() -> Callable[[str], dict[str, Output]]:
    """All recorded outputs of one tool, by their names."""

    def load(tool: str) -> dict[str, Output]:
        folder = _SAMPLES / tool
        return {
            path.name.removesuffix(".meta.json"): Output(
                stdout=path.with_name(path.name.replace(".meta.json", ".stdout")).read_bytes().decode(),
                stderr=path.with_name(path.name.replace(".meta.json", ".stderr")).read_bytes().decode(),
                exit_code=json.loads(path.read_text())["exit_code"],
            )
            for path in folder.glob("*.meta.json")
        }

    return load
