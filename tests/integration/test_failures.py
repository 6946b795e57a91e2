"""What goes away in the middle of a sweep: its cells are gaps with the true reason, and a resume fills just those."""

import json
import os
import re
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import psutil
import pytest
from tests.support.agents import Identity, new_identity, running_agent
from tests.support.cli import Controller, one_sentence
from tests.support.loopback import Mesh

from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import RunDocument

WAIT_SECONDS = 60
SAMPLES = Path(__file__).parents[1] / "samples/run"


@pytest.fixture
def mesh(identity: Identity, tmp_path: Path) -> Iterator[Mesh]:
    with ExitStack() as stack:
        made = Mesh(identity, tmp_path, stack)
        for number in (1, 2, 3):
            made.start(number)
        yield made


def options(mesh: Mesh, *more: object) -> tuple[object, ...]:
    where = ("--agents", mesh.option, "--certificates", mesh.identity.directory / "controller")
    return ("sweep", *where, "--rate", "50M", "--duration", "1s", "--omit", "0s", *more)


def wait_for_cells(controller: Controller, least: int) -> None:
    """Until the store holds that many cells, asked as a reader of the database would."""
    path = controller.data / "netmesh.sqlite"
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if path.exists():
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                if connection.execute("SELECT count(*) FROM cells").fetchone()[0] >= least:
                    return
            except sqlite3.OperationalError:
                pass
            finally:
                connection.close()
        time.sleep(0.05)
    raise AssertionError(f"there are fewer than {least} cells after {WAIT_SECONDS} s")


def reasons(document: RunDocument) -> dict[tuple[str, str], str]:
    return {(one.source, one.target): one.reason.code for one in document.cells if one.reason is not None}


def test_an_agent_killed_in_mid_sweep_and_a_resume(mesh: Mesh, controller: Controller) -> None:
    sweep = controller.start(*options(mesh, "--tests", "tcp-bandwidth", "--format", "json", "--repeat", "2"))
    wait_for_cells(controller, 3)
    mesh.kill("node-3")
    stdout, stderr = sweep.communicate(timeout=120)
    assert sweep.returncode == 3, stderr
    document = RunDocument.model_validate(json.loads(stdout))
    assert document.run.state == "partial"
    assert len(document.cells) == 18
    gaps = reasons(document)
    assert gaps
    assert all("node-3" in pair for pair in gaps)
    assert set(gaps.values()) == {"agent_lost"}
    measured = {(one.source, one.target, one.repeat): one for one in document.cells if one.outcome == "measured"}
    assert set(product(("node-1", "node-2"), repeat=2)) <= {key[:2] for key in measured}
    mesh.start(3)
    resumed = controller(*options(mesh)[:5], "--resume", "latest", "--format", "json")
    assert resumed.code == 0, resumed.stderr
    after = resumed.document()
    assert after.run.id == document.run.id
    assert after.run.state == "complete"
    assert not reasons(after)
    again = {(one.source, one.target, one.repeat): one for one in after.cells}
    assert len(again) == 18
    # Just the gaps were filled: what was measured is what it was.
    assert all(again[key] == one for key, one in measured.items())


def test_a_peer_that_dies_costs_its_nodes_local_cells_only(mesh: Mesh, controller: Controller) -> None:
    sweep = controller.start(*options(mesh, "--tests", "tcp-bandwidth", "--repeat", "2", "--format", "json"))
    wait_for_cells(controller, 1)
    mesh.kill("node-3", "peer")
    stdout, stderr = sweep.communicate(timeout=120)
    assert "Traceback" not in stderr
    document = RunDocument.model_validate(json.loads(stdout))
    assert len(document.cells) == 18
    assert set(reasons(document)) <= {("node-3", "node-3")}
    assert set(reasons(document).values()) <= {"agent_lost"}
    assert sweep.returncode == (3 if reasons(document) else 0)


def test_the_controller_killed_in_mid_sweep_and_a_resume(mesh: Mesh, controller: Controller) -> None:
    sweep = controller.start(*options(mesh))
    wait_for_cells(controller, 2)
    until = time.monotonic() + WAIT_SECONDS
    while not mesh.tools():
        assert time.monotonic() < until
        time.sleep(0.02)
    sweep.send_signal(signal.SIGKILL)
    sweep.communicate()
    # Streams break at once; an endpoint that was opened ahead waits for its lease.
    mesh.assert_tools_end(WAIT_SECONDS)
    # Where its agents were, and by which certificates, is in the run.
    resumed = controller("sweep", "--resume", "latest", "--format", "json")
    assert resumed.code == 0, resumed.stderr
    document = resumed.document()
    assert document.run.state == "complete"
    assert len(document.cells) == 18
    assert not reasons(document)


def test_ctrl_c_keeps_what_was_measured(mesh: Mesh, controller: Controller, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    sweep = controller.start(*options(mesh, "--output", output))
    wait_for_cells(controller, 2)
    sweep.send_signal(signal.SIGINT)
    stdout, stderr = sweep.communicate(timeout=30)
    assert sweep.returncode == 130, stderr
    assert "Traceback" not in stderr
    document = RunDocument.model_validate(json.loads(output.read_text()))
    assert document.run.state == "cancelled"
    assert 2 <= len(document.cells) < 18
    assert all(one.outcome == "measured" for one in document.cells)
    waiting = [code for matrix in document.matrices for row in matrix.reasons for code in row if code == "cancelled"]
    assert waiting
    assert "cancelled" in stdout
    mesh.assert_tools_end(10)


def test_strangers_at_every_waiting_port(mesh: Mesh, controller: Controller) -> None:
    """Connects that end the one-off servers: each cell is measured at a later attempt, or is a typed gap."""
    stop = threading.Event()
    met = [0]

    def knock() -> None:
        while not stop.is_set():
            for number in (1, 2, 3):
                for port in range(61863, 61871):
                    with socket.socket() as stranger:
                        stranger.settimeout(0.2)
                        if stranger.connect_ex((f"127.0.0.{number}", port)) == 0:
                            met[0] += 1
            stop.wait(4)

    knocking = threading.Thread(target=knock)
    knocking.start()
    again = False
    try:
        # A stranger who comes while a test runs is turned away by the tool: one has to come before.
        for _ in range(4):
            answer = controller(*options(mesh, "--tests", "tcp-bandwidth", "--format", "json"))
            document = answer.document()
            assert len(document.cells) == 9
            assert set(reasons(document).values()) <= {"refused", "tool_failed", "timeout", "busy"}
            assert sum(one.outcome == "measured" for one in document.cells) >= 5
            again = any(one.attempt > 1 for one in document.cells)
            if again:
                break
    finally:
        stop.set()
        knocking.join()
    assert met[0] > 0
    assert again
    mesh.assert_tools_end(10)


def test_a_tool_that_is_missing_on_one_node_is_a_typed_gap(
    mesh: Mesh, controller: Controller, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = tmp_path / "bin"
    without.mkdir()
    for program in ("setpriv", "timeout", "iperf3"):
        (without / program).symlink_to(next(path for path in map(Path, _paths(program)) if path.exists()))
    monkeypatch.setenv("PATH", str(without))
    with running_agent(identity, tmp_path, node="node-4", port=19410, address="127.0.0.4") as agent:
        monkeypatch.undo()
        where = f"{mesh.option},{agent.target}"
        answer = controller(*options(mesh, "--tests", "tcp-latency", "--agents", where, "--format", "json"))
    assert answer.code == 3, answer.stderr
    gaps = reasons(answer.document())
    assert {pair for pair in gaps if "node-4" in pair} == set(gaps)
    assert {code for pair, code in gaps.items() if pair[0] != pair[1]} == {"tool_missing"}
    assert "qperf differs" in answer.stderr


def _paths(program: str) -> list[str]:
    return [f"{folder}/{program}" for folder in os.environ["PATH"].split(":")]


def test_an_agent_that_cannot_be_reached_is_a_gap_not_the_end(mesh: Mesh, controller: Controller) -> None:
    where = f"{mesh.option},127.0.0.9:19410"
    answer = controller(*options(mesh, "--tests", "tcp-latency", "--agents", where, "--format", "json"))
    assert answer.code == 3, answer.stderr
    document = answer.document()
    assert set(reasons(document).values()) == {"unreachable"}
    assert all("127.0.0.9:19410" in pair for pair in reasons(document))
    assert sum(one.outcome == "measured" for one in document.cells) == 9


def test_certificates_of_another_authority_end_in_one_sentence(
    mesh: Mesh, controller: Controller, tmp_path: Path
) -> None:
    other = new_identity(tmp_path / "other")
    answer = controller("sweep", "--agents", mesh.option, "--certificates", other.directory / "controller")
    assert answer.code == 2
    assert "--certificates" in one_sentence(answer)
    assert "TLS handshake" in one_sentence(answer)


def test_a_lab_and_its_tools_end_with_a_controller_that_is_killed(controller: Controller) -> None:
    """`sweep --lab N` killed with -9: its agents and their tools go with it; the next start removes the namespaces."""
    sweep = controller.start("sweep", "--lab", "2", "--duration", "2s")
    wait_for_cells(controller, 1)
    below = psutil.Process(sweep.pid).children(recursive=True)
    assert below
    # Other tests have labs too: its own is the one that its agents' certificates are in.
    words = [word for process in below for word in process.cmdline()]
    (name,) = {found[1] for word in words if (found := re.match("/run/netmesh/labs/(lab-[0-9a-f]+)/", word))}

    def its_own() -> list[Path]:
        return list(Path("/run/netns").glob(f"nm-{name}-*"))

    assert its_own()
    sweep.send_signal(signal.SIGKILL)
    sweep.communicate()
    _, alive = psutil.wait_procs(below, timeout=20)
    assert not alive
    assert controller("sweep", "--lab", "2", "--duration", "1s", "--pairs", "node-1:node-2").code == 0
    assert not its_own()


def test_a_resume_in_a_lab_needs_no_word_of_where_it_was(
    controller: Controller, lab: Callable[[str], Lab], tmp_path: Path
) -> None:
    """Nor of the earlier runs that it is compared with, which may come in files."""
    earlier = [tmp_path / f"{number}.json" for number in range(3)]
    for number, file in enumerate(earlier):
        document = json.loads((SAMPLES / "run-1.json").read_text())
        file.write_text(json.dumps({**document, "run": {**document["run"], "id": f"earlier-{number}"}}))
    running = lab("nodes: 2")
    quick = ("--lab", running.name, "--duration", "1s", "--omit", "0s", "--tests", "tcp-latency")
    same = controller("sweep", *quick, "--history", f"{earlier[0]},{earlier[0]},earlier-0,{tmp_path}/0.json")
    assert same.code == 2
    assert "it takes at least 3" in one_sentence(same)
    done = controller("sweep", *quick, "--history", ",".join(map(str, earlier)))
    assert done.code == 0, done.stderr
    again = controller("sweep", "--resume", "latest", "--format", "json")
    assert again.code == 0, again.stderr
    assert len(again.document().cells) == 4
    assert again.document().run.facts["history"] == ["earlier-0", "earlier-1", "earlier-2"]
