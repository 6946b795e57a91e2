"""What goes wrong in mid-sweep, a row a case: no finished cell is lost, gaps have true reasons, a resume completes.

`make chaos` draws the moment of each row by a seed that it prints (NETMESH_CHAOS_SEED for it again).
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.chaos import actions
from tests.integration.test_failures import Mesh, options, wait_for_cells
from tests.support.agents import Identity, new_identity
from tests.support.cli import Controller

from netmesh_controller.mesh.document import Cell

SEED = int(os.environ.get("NETMESH_CHAOS_SEED", random.SystemRandom().randrange(10**6)))
CELLS = 9
# Of 50 Mbit/s that the tool is told to send; a wrong number would be outside of what pacing in bursts makes of it.
RATE, BEYOND = 50e6, 1.15
# At rest an agent has 60 to 65 MB.
AGENT_BYTES = 90e6


@dataclass(frozen=True)
class Row:
    """An action, the reasons that its gaps may have, and whether they are at one node only."""

    action: Callable[..., actions.Undo]
    reasons: frozenset[str]
    at_node: str | None = None
    dies: bool = False


ROWS = {
    "agent killed": Row(actions.agent_killed, frozenset({"agent_lost"}), "node-3"),
    "agent stopped": Row(actions.agent_stopped, frozenset({"agent_lost", "timeout"}), "node-3"),
    "tool killed": Row(actions.tool_killed, frozenset({"tool_failed", "refused", "tool_output"})),
    "controller killed": Row(actions.controller_killed, frozenset(), dies=True),
    "controller stopped": Row(actions.controller_stopped, frozenset()),
    "agent without descriptors": Row(
        actions.descriptors_exhausted, frozenset({"agent_lost", "tool_failed", "timeout"}), "node-3"
    ),
}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


@pytest.fixture
def mesh(identity: Identity, tmp_path: Path) -> Iterator[Mesh]:
    with ExitStack() as stack:
        made = Mesh(identity, tmp_path, stack)
        for number in (1, 2, 3):
            made.start(number)
        yield made


def by_key(cells: list[Cell]) -> dict[tuple[str, str], Cell]:
    found = {(cell.source, cell.target): cell for cell in cells}
    assert len(found) == len(cells)
    return found


@pytest.mark.parametrize("name", ROWS)
def test_a_sweep_survives_it(name: str, mesh: Mesh, tmp_path: Path) -> None:
    row = ROWS[name]
    after = random.Random(f"{SEED} {name}").randint(1, 5)  # no secret
    print(f"seed {SEED}: {name} after {after} cells")
    controller = Controller(tmp_path / "data")
    sweep = controller.start(*options(mesh, "--tests", "tcp-bandwidth", "--format", "json"))
    wait_for_cells(controller, after)
    undo = row.action(mesh, sweep)
    try:
        stdout, stderr = sweep.communicate(timeout=150)
    finally:
        undo()
    assert "Traceback" not in stderr
    first: dict[tuple[str, str], Cell] = {}
    if not row.dies:
        cells = [Cell.model_validate(one) for one in json.loads(stdout)["cells"]]
        first = by_key([one for one in cells if one.outcome == "measured"])
        gaps = [one for one in cells if one.outcome != "measured"]
        assert len(cells) == CELLS
        assert sweep.returncode == (3 if gaps else 0)
        assert {one.reason.code for one in gaps if one.reason} <= row.reasons
        assert all(one.reason for one in gaps)
        assert row.at_node is None or all(row.at_node in (one.source, one.target) for one in gaps)
        assert len(first) >= after
    mesh.assert_tools_end(60)
    resumed = controller("sweep", "--resume", "latest", "--format", "json")
    assert resumed.code == 0, resumed.stderr
    last = by_key(list(resumed.document().cells))
    assert len(last) == CELLS
    assert resumed.document().run.state == "complete"
    # What was finished is what it was, and no figure is above what was sent.
    assert all(last[key] == one for key, one in first.items())
    for one in last.values():
        summary = one.values["bits_per_second"]
        assert summary is not None
        assert 0 < summary.mean < RATE * BEYOND
    mesh.assert_tools_end(60)
    for key, running in mesh.agents.items():
        assert "Traceback" not in running.log.read_text(), (key, running.log.read_text())
        if running.process.poll() is None:
            assert psutil.Process(running.process.pid).memory_info().rss < AGENT_BYTES
