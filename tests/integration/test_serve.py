"""The controller that stays, over real agents in a lab: driven by HTTP and by the command line, killed and resumed."""

import json
import os
import pty
import re
import secrets
import select
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.support.cli import Answer, Controller

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import RunDocument

TOKEN = "a-token-of-the-tests"  # noqa: S105  # it opens nothing else
WAIT_SECONDS = 60
# Two nodes, four cells of a second each.
QUICK = {"tests": "tcp-bandwidth", "rate": "20M", "duration": "1s", "omit": "0s"}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Lab]:
    with labs.up(labs.load_spec("nodes: 2"), f"nmtest-{secrets.token_hex(2)}", ephemeral=True) as running:
        yield running


class Serving:
    """`serve` as a process; started again, it has the same store and the same address."""

    def __init__(self, folder: Path, lab: Lab, **environment: str) -> None:
        self._environment = {"NETMESH_TOKEN": TOKEN, **environment}
        self.command = Controller(folder)
        self.port = _free_port()
        self._lab = lab.name
        target = lab.targets()[0]
        self._agent = f"{target.address}:{target.port}"
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command.argv(
                *("serve", "--lab", self._lab, "--listen", f"127.0.0.1:{self.port}", "--check-interval", "1s"),
                *("--check", f"agent=tcp://{self._agent}", "--check", "closed=tcp://127.0.0.1:1"),
            ),
            env=self.command.environment(**self._environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert self.url in said, said
        until = time.monotonic() + WAIT_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=5):  # noqa: S310  # its own address
                return True
        except OSError:
            return False

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ends it, and answers with its exit code and what it said."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        return process.returncode, stderr

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that a request answers, of an error too."""
        request = Request(  # noqa: S310  # its own address
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Netmesh-Token": TOKEN, "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=WAIT_SECONDS) as response:  # noqa: S310
                data = response.read()
        except HTTPError as error:
            data = error.read()
        return json.loads(data) if data else None

    def events(self, run: str, after: str | None = None) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """A sweep's events: id, kind, data."""
        headers = {"X-Netmesh-Token": TOKEN, **({"Last-Event-ID": after} if after else {})}
        with urlopen(Request(f"{self.url}/api/v1/sweeps/{run}/events", headers=headers), timeout=30) as stream:  # noqa: S310
            fields: dict[str, str] = {}
            for line in stream:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    yield fields["id"], fields["event"], json.loads(fields["data"])
                    fields = {}

    def sweep(self, *arguments: object) -> subprocess.Popen[str]:
        """The command line's sweep, at this controller."""
        return subprocess.Popen(
            self.command.argv("sweep", "--controller", self.url, *arguments),
            env=self.command.environment(NETMESH_TOKEN=TOKEN, NETMESH_DATA_DIR="/nonexistent"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_cells(self, least: int, *, name: str) -> str:
        """Until the run of that name has that many measured cells; its id."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            about = self.ask("GET", f"runs/{name}")
            if about.get("outcomes", {}).get("measured", 0) >= least:
                return str(about["run"]["id"])
            time.sleep(0.1)
        raise AssertionError(f"there are fewer than {least} measured cells after {WAIT_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def options(asked: dict[str, str]) -> list[str]:
    return [word for key, value in asked.items() for word in (f"--{key}", value)]


def ended(process: subprocess.Popen[str]) -> Answer:
    stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
    return Answer(process.returncode, stdout, stderr)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, mesh: Lab) -> Iterator[Serving]:
    """One for all tests: each leaves it running."""
    running = Serving(tmp_path_factory.mktemp("serve") / "data", mesh)
    running.start()
    yield running
    if running.process is not None:
        code, stderr = running.end()
        assert code == 0, stderr
        assert "Traceback" not in stderr


def test_the_command_line_at_a_controller_elsewhere(serving: Serving, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    answer = ended(serving.sweep(*options(QUICK), "--output", output, "--name", "first"))
    assert answer.code == 0, answer.stderr
    assert "4 measurements" in answer.stdout
    assert "complete: 4 of 4 cells measured" in answer.stdout
    document = RunDocument.model_validate(json.loads(output.read_text()))
    assert document.run.name == "first"
    assert len(document.cells) == 4
    assert serving.ask("GET", "runs/first/document") == json.loads(output.read_text())
    dry = ended(serving.sweep(*options(QUICK), "--dry-run"))
    assert dry.code == 0
    assert [one["run"]["name"] for one in serving.ask("GET", "runs")["runs"]] == ["first"]
    wrong = ended(serving.sweep("--duration", "0s"))
    assert wrong.code == 2
    assert "duration" in wrong.stderr
    wrong = ended(serving.sweep(*options(QUICK), "--history", "first,second,third"))
    assert wrong.code == 2
    assert "there is no run 'second'" in wrong.stderr
    nodes = serving.ask("GET", "nodes")
    assert [node["name"] for node in nodes["nodes"]] == ["node-1", "node-2"]
    assert not nodes["unreachable"]


def test_events_are_read_on_after_a_lost_connection_and_readers_that_stall_hold_nothing_up(serving: Serving) -> None:
    run = serving.ask("POST", "sweeps", {"options": QUICK})["run"]
    with socket.create_connection(("127.0.0.1", serving.port)) as stalled:
        request = f"GET /api/v1/sweeps/{run}/events HTTP/1.1\r\nHost: x\r\nX-Netmesh-Token: {TOKEN}\r\n\r\n"
        stalled.sendall(request.encode())
        second = serving.ask("POST", "sweeps", {"options": QUICK})
        assert (second["status"], second["code"], second["run"]) == (409, "busy", run)
        assert serving.ask("DELETE", f"runs/{run}")["status"] == 409
        seen: list[tuple[str, dict[str, Any]]] = []
        last = None
        reading = True
        while reading:
            # Three events a connection, then it is lost.
            for number, (event_id, kind, data) in enumerate(serving.events(run, last)):
                last = event_id
                seen.append((kind, data))
                if kind == "finished":
                    reading = False
                if number == 2:
                    break
    assert seen[0][0] == "started"
    assert "reset" not in {kind for kind, _ in seen}
    cells = [(data["source"], data["target"]) for kind, data in seen if kind == "cell"]
    assert len(cells) == len(set(cells)) == 4
    assert seen[-1][1] == {"run": run, "state": "complete", "planned": 4, "measured": 4, "gaps": 0}
    assert all(data["values"]["bits_per_second"] > 0 for kind, data in seen if kind == "cell")


def test_the_watched_mesh_on_a_terminal_and_as_lines(serving: Serving) -> None:
    environment = serving.command.environment(NETMESH_TOKEN=TOKEN, NETMESH_DATA_DIR="/nonexistent", TERM="xterm")
    command = serving.command.argv("monitor", "--controller", serving.url, "--window", "10s", "--every", "1s")
    lines = subprocess.Popen([*command, "--format", "json"], env=environment, stdout=subprocess.PIPE, text=True)
    assert lines.stdout is not None
    # Agents that have just begun to probe have no figures yet, and they need not begin in the same window.
    windows = (one for one in map(json.loads, lines.stdout) if one["what"] == "window")
    told = next(one for one in windows if one["measured_pairs"] == 2)
    lines.send_signal(signal.SIGINT)
    assert lines.wait(WAIT_SECONDS) == 130
    lines.stdout.close()
    assert (told["nodes"], told["window_seconds"]) == (2, 10)
    assert told["measured_pairs"] + sum(told["gaps"].values()) == 2
    assert told["slowest"][0]["seconds"] >= told["median_seconds"] > 0
    # Two at each of two nodes, and one of them is refused.
    failing = {(one["node"], one["check"], one["reason"]) for one in told["checks_failing"]}
    assert failing <= {(node, "closed", "refused") for node in ("node-1", "node-2")}
    checks = {(one["node"], one["check"]): one for one in serving.ask("GET", "checks?window=10m")["checks"]}
    assert set(checks) == {(node, name) for node in ("node-1", "node-2") for name in ("agent", "closed")}
    for (_, name), one in checks.items():
        assert one["count"] > 0
        assert one["failed"] == (one["count"] if name == "closed" else 0)
        assert one["reason"] == ("refused" if name == "closed" else None)
        assert (one["median_of_medians_seconds"] is None) == (name == "closed")
    mine, its = pty.openpty()
    before = termios.tcgetattr(its)
    screen = subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its)
    shown = b""
    while b"from row to column" not in shown:
        shown += os.read(mine, 65536)
    os.write(mine, b"q")
    while screen.poll() is None:
        if select.select([mine], [], [], 0.1)[0]:
            shown += os.read(mine, 65536)
    assert screen.returncode == 0, shown
    assert termios.tcgetattr(its) == before
    for descriptor in (mine, its):
        os.close(descriptor)


def test_ctrl_c_cancels_the_sweep_elsewhere(serving: Serving) -> None:
    sweep = serving.sweep(*options({**QUICK, "repeat": "5"}), "--format", "json", "--name", "given up")
    run = serving.wait_for_cells(1, name="given%20up")
    sweep.send_signal(signal.SIGINT)
    answer = ended(sweep)
    assert answer.code == 130, answer.stderr
    assert answer.document().run.state == "cancelled"
    assert serving.ask("GET", f"runs/{run}")["run"]["state"] == "cancelled"
    assert serving.ask("GET", "controller")["sweep"] is None


def test_without_a_token_or_a_controller_one_sentence_says_so(serving: Serving, mesh: Lab) -> None:
    command = serving.command
    bare = command("sweep", "--controller", serving.url)
    assert bare.code == 1
    assert "NETMESH_TOKEN" in bare.stderr
    nobody = command("sweep", "--controller", f"http://127.0.0.1:{_free_port()}")
    assert nobody.code == 1
    assert re.search(r"cannot be reached", nobody.stderr)
    both = command("sweep", "--controller", serving.url, "--lab", mesh.name)
    assert both.code == 2
    taken = command("serve", "--lab", mesh.name, "--listen", f"127.0.0.1:{serving.port}")
    assert taken.code == 1
    assert "--listen" in taken.stderr
    for answer in (bare, nobody, both, taken):
        assert "Traceback" not in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1
    assert os.environ.get("NETMESH_TOKEN") is None
