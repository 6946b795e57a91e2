"""Something goes wrong in mid-sweep: nothing measured is lost, nothing wrong is shown, and nothing is left behind.

`make chaos` takes every case at every moment; a seed of its own (printed) says which step of the sweep comes to it.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.chaos import actions, left
from tests.chaos.gate import MOMENTS
from tests.chaos.scene import CELLS, RATE, NamedController, Scene, small_folder
from tests.support.agents import Identity, new_identity
from tests.support.cli import Controller
from tests.support.clock import SteppedClock
from tests.support.loopback import Mesh

from netmesh_controller.mesh.document import Cell, RunDocument

BEYOND = 1.15
# A cell on a machine on which all is late, its tool stopped for 4 s too; a clock is set by an hour.
LONGEST_SECONDS = 120
NAMES = {number: f"agent-{number}.chaos.example" for number in (1, 2, 3)}
LOST = {"agent_lost", "unreachable", "timeout"}


@dataclass(frozen=True)
class Row:
    """An action, and what it may leave: the reasons of gaps, where they are, and how the sweep may end."""

    action: Callable[[Scene], None]
    reasons: frozenset[str] = frozenset()
    everywhere: bool = False
    exits: frozenset[int] = frozenset({0, 3})
    # A tool is seen however late the test looks, but at no moment at which none runs any more.
    tools: bool = False


TABLE = [
    Row(actions.nothing, exits=frozenset({0})),
    Row(actions.agent_killed, frozenset(LOST)),
    Row(actions.agent_stopped, frozenset(LOST)),
    Row(actions.agent_slowed, frozenset({*LOST, "starved"})),
    Row(actions.tool_killed, frozenset({"tool_failed", "tool_output", "refused"}), everywhere=True, tools=True),
    Row(actions.tool_stopped, frozenset({"timeout", "tool_failed", "starved"}), everywhere=True, tools=True),
    Row(actions.controller_killed, exits=frozenset({0, -9})),
    Row(actions.controller_stopped, frozenset({*LOST, "starved"}), everywhere=True),
    # -2: at the very end of its process the signal itself ends it, which is 130 to a shell as well.
    Row(actions.controller_interrupted, frozenset({"cancelled"}), everywhere=True, exits=frozenset({0, 130, -2})),
    Row(actions.disk_full, exits=frozenset({0, 1})),
    Row(actions.controller_without_descriptors, frozenset(LOST), everywhere=True, exits=frozenset({0, 1, 3})),
    Row(actions.agent_without_descriptors, frozenset({*LOST, "tool_failed", "busy", "refused"})),
    Row(actions.names_gone, exits=frozenset({0})),
    Row(actions.certificates_swapped, frozenset({*LOST, "refused"})),
    Row(actions.certificates_expired, frozenset({*LOST, "refused"})),
    Row(actions.agent_clock_ahead, exits=frozenset({0})),
    Row(actions.agent_clock_behind, exits=frozenset({0})),
    Row(actions.controller_clock_ahead, exits=frozenset({0})),
    Row(actions.controller_clock_behind, exits=frozenset({0})),
    Row(actions.no_way_to_the_agent, frozenset(LOST)),
    Row(actions.no_way_back_from_the_agent, frozenset(LOST)),
]
# In `make test`: each action once, at the moment where most is under way.
QUICK = {"controller_killed": "storing", "disk_full": "storing", "tool_killed": "running", "agent_stopped": "running"}


def cases() -> Iterator[object]:
    full = os.environ.get("NETMESH_CHAOS") == "full"
    for row in TABLE:
        name = row.action.__name__
        for moment in MOMENTS if full else [QUICK[name]] if name in QUICK else []:
            if not (row.tools and moment == "aggregating"):
                yield pytest.param(row, moment, id=f"{name}-{moment}")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("chaos") / "mesh")


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    """That of the victim's node."""
    return SteppedClock(tmp_path / "clock")


@pytest.fixture
def mesh(identity: Identity, tmp_path: Path, clock: SteppedClock) -> Iterator[Mesh]:
    with ExitStack() as stack:
        made = Mesh(identity, tmp_path, stack, {3: clock})
        for number in (1, 2, 3):
            made.start(number)
        yield made


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[NamedController]:
    with small_folder(tmp_path / "data") as folder:
        hosts = tmp_path / "hosts"
        hosts.write_text("".join(f"127.0.0.{number} {name}\n" for number, name in NAMES.items()))
        yield NamedController(folder, hosts, SteppedClock(tmp_path / "controller-clock"))


@pytest.mark.parametrize(("row", "moment"), list(cases()))
def test_nothing_is_lost_wrong_or_left(
    row: Row,
    moment: str,
    mesh: Mesh,
    controller: NamedController,
    identity: Identity,
    clock: SteppedClock,
    tmp_path: Path,
) -> None:
    before, others = left.of_agents(mesh), left.beside(mesh)
    named = ",".join(f"{NAMES[int(one.address[-1])]}:{one.port}" for one in mesh.agents.values())
    where = ("--agents", named, "--certificates", identity.directory / "controller")
    what = ("--tests", "tcp-bandwidth", "--rate", "50M", "--duration", "3s" if row.tools else "1s", "--omit", "0s")
    # Which step comes to the moment, by a seed that is shown when it fails.
    seed = int(os.environ.get("NETMESH_CHAOS_SEED", time.time_ns() % 1_000_000))
    number = random.Random(seed).randint(1, MOMENTS[moment][1])  # no secret
    print(f"seed {seed}")
    scene = Scene(mesh, controller, *controller.start_held(moment, number, "sweep", *where, *what), clock)
    with scene:
        scene.wait()
        finished = scene.stored()
        # As it is seen from outside.
        assert moment != "opening" or mesh.tools()
        assert len(finished) >= {"storing": 1, "aggregating": CELLS}.get(moment, 0)
        row.action(scene)
        scene.go_on()
        _, stderr = scene.sweep.communicate(timeout=180)
    assert "Traceback" not in stderr, stderr
    assert scene.sweep.returncode in row.exits, stderr
    found = exported(controller, tmp_path)
    looked_at(found.cells, row)
    assert finished.keys() <= measured(found.cells).keys()
    for undo in scene.undo:
        undo()
    if "seconds" in found.run.facts:
        assert 0 < found.run.facts["seconds"] < CELLS * LONGEST_SECONDS
    # What a controller that is gone had under way keeps its agents busy until it ends.
    mesh.assert_tools_end(left.LEASE_SECONDS)
    resumed = controller("sweep", "--resume", "latest", "--format", "json")
    assert resumed.code == 0 or found.run.state == "complete", resumed.stderr
    after = exported(controller, tmp_path)
    assert after.run.state == "complete"
    assert len(measured(after.cells)) == CELLS, [one.reason for one in after.cells]
    looked_at(after.cells, row)
    # What was measured is what it was.
    again = measured(after.cells)
    assert all(again[pair] == one for pair, one in measured(found.cells).items())
    left.assert_nothing(mesh, before, others)
    for agent in mesh.agents.values():
        assert "Traceback" not in agent.log.read_text(), agent.log.read_text()


def exported(controller: Controller, tmp_path: Path) -> RunDocument:
    """The run as the store has it."""
    file = tmp_path / "run.json"
    file.unlink(missing_ok=True)
    answer = controller("runs", "export", "latest", file)
    assert answer.code == 0, answer.stderr
    return RunDocument.model_validate(json.loads(file.read_text()))


def measured(cells: list[Cell]) -> dict[tuple[str, str], Cell]:
    return {(one.source, one.target): one for one in cells if one.outcome == "measured"}


def looked_at(cells: list[Cell], row: Row) -> None:
    """Gaps are where the fault was, with its reason; no number is above what the tool was told to send."""
    for one in cells:
        if one.reason is not None:
            assert one.reason.code in row.reasons, one.reason
            assert row.everywhere or actions.VICTIM in (one.source, one.target), (one.source, one.target, one.reason)
            continue
        # By a clock that nobody sets: a test of a second, and what is around it.
        took = one.duration_seconds or 0.0
        assert 1 <= took < LONGEST_SECONDS, (one.source, one.target, took)
        value = one.values["bits_per_second"]
        assert value is not None
        # A tool that was held up sends less; never more than it was told to, in bursts of its pacing.
        assert 0 < value.mean < RATE * BEYOND, (one.source, one.target)
