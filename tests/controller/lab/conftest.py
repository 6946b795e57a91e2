"""Labs for tests: real namespaces, taken down whatever the test does."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.controller.lab.support import LabMaker

from netmesh_controller.lab import Lab, load_spec, up


@pytest.fixture(scope="module")
def make_lab() -> Iterator[LabMaker]:
    """Starts a lab from the text of its file; `agents=False` unless told: the network alone."""
    if os.geteuid() != 0:
        pytest.fail("These tests make network namespaces, which takes root: run them with sudo.")
    made: list[Lab] = []

    def make(text: str, *, agents: bool = False) -> Lab:
        made.append(up(load_spec(text), agents=agents))
        return made[-1]

    yield make
    for lab in made:
        lab.close()
