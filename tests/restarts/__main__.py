"""Kills a controller, an agent and a PostgreSQL server one after the other, and reads what the history has of it.

Three agents on addresses of the loopback, in a network namespace of their own. Held: no minute of any pair is without
a count and a reason at once, no window is counted twice, pairs of agents that lived all the time miss nothing, and what
was lost to the agent that was killed is no loss of the network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.support.agents import Identity, RunningAgent, new_identity, running_agent
from tests.support.cli import Controller
from tests.support.postgres import postgres_server

TOKEN = "of-this-test-alone"  # noqa: S105  # a controller on the loopback
URL = "http://127.0.0.1:19412"
PAIRS = [(a, b) for a in ("node-1", "node-2", "node-3") for b in ("node-1", "node-2", "node-3") if a != b]
# A probe a second, with jitter: each window of 10 s has one more or less.
LEAST, MOST = 54, 66


class Mesh:
    """Agents, and the controller that watches them."""

    def __init__(self, folder: Path, store: str, stack: ExitStack) -> None:
        self._stack = stack
        self._folder = folder
        self._identity: Identity = new_identity(folder / "pki")
        self._store = store
        self.agents: dict[int, RunningAgent] = {}
        self.controller: subprocess.Popen[bytes] | None = None
        stack.callback(self.kill_controller)

    def start_agent(self, number: int) -> None:
        made = running_agent(
            self._identity, self._folder, node=f"node-{number}", port=19410, address=f"127.0.0.{number}"
        )
        self.agents[number] = self._stack.enter_context(made)

    def kill_agent(self, number: int) -> None:
        self.agents[number].process.kill()
        self.agents[number].process.wait()

    def start_controller(self) -> None:
        command = Controller(self._folder / "data")
        where = ",".join(f"127.0.0.{number}:19410" for number in (1, 2, 3))
        with (self._folder / "controller.log").open("ab") as log:
            self.controller = subprocess.Popen(
                command.argv(
                    *("serve", "--agents", where, "--certificates", self._identity.directory / "controller"),
                    *("--listen", URL.removeprefix("http://")),
                ),
                env=command.environment(NETMESH_TOKEN=TOKEN, NETMESH_STORE=self._store),
                stdout=log,
                stderr=log,
            )

    def kill_controller(self) -> None:
        if self.controller is not None:
            self.controller.kill()
            self.controller.wait()
            self.controller = None


def ask(path: str) -> Any:
    request = Request(f"{URL}/api/v1/{path}", headers={"X-Netmesh-Token": TOKEN})  # noqa: S310  # its own address
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.loads(answer.read())


def say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S}  {what}", flush=True)


def wait_for_counts() -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if all(one is not None for row in ask("mesh?window=10s")["sent"][:2] for one in row[:2] if one):
                return
        except (URLError, OSError, ValueError):
            pass
        if time.monotonic() > until:
            raise AssertionError("no window within a minute")
        time.sleep(1)


def wait_for_minute(begin: int) -> None:
    """Until the history has the minute that begins then, or a bound is over."""
    until = time.monotonic() + 150
    since = datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    while True:
        try:
            if ask(f"pairs/node-1/node-2/history?step=1m&since={since}")["sent"][:1] not in ([], [None]):
                return
        except (URLError, OSError):
            pass
        if time.monotonic() > until:
            said = ask(f"pairs/node-1/node-2/history?step=1m&since={since}")
            raise AssertionError(f"the minute of {since} did not come: {said}")
        time.sleep(2)


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="nmrestarts-") as folder,
        postgres_server() as database,
        ExitStack() as stack,
    ):
        Path(folder).chmod(0o755)
        mesh = Mesh(Path(folder), database.create("netmesh"), stack)
        for number in (1, 2, 3):
            mesh.start_agent(number)
        mesh.start_controller()
        wait_for_counts()
        first = (int(time.time()) // 60 + 1) * 60
        say("the mesh is watched")
        time.sleep(max(0.0, first + 40 - time.time()))
        mesh.kill_controller()
        say("controller killed")
        time.sleep(25)
        mesh.start_controller()
        say("controller started")
        time.sleep(35)
        mesh.kill_agent(3)
        say("agent of node-3 killed")
        time.sleep(20)
        mesh.start_agent(3)
        say("agent of node-3 started")
        time.sleep(20)
        database.stop()
        say("database stopped")
        time.sleep(60)
        database.start()
        say("database started")
        last = int(time.time()) // 60 * 60
        stack.callback(lambda: print(mesh_log(Path(folder)), file=sys.stderr))
        wait_for_minute(last)
        # Late reports are written with the minute after theirs.
        wait_for_minute(last + 60)
        found = {pair: history(*pair, first, last + 60) for pair in PAIRS}
        for pair, points in found.items():
            say(f"{pair[0]} -> {pair[1]}  sent {points['sent']}  lost {points['lost']}  reasons {points['reasons']}")
        wrong = [said for pair, points in found.items() for said in faults(*pair, points)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    say("no gap without a reason, and no window twice")


def history(source: str, target: str, since: int, until: int) -> Any:
    times = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in (since, until)]
    return ask(f"pairs/{source}/{target}/history?step=1m&since={times[0]}&until={times[1]}")


def faults(source: str, target: str, points: Any) -> list[str]:
    """What is wrong with a pair's points; nothing where all is well."""
    wrong = []
    steady = "node-3" not in (source, target)
    for minute, (sent, lost, reason) in enumerate(zip(points["sent"], points["lost"], points["reasons"], strict=True)):
        place = f"{source} -> {target}, minute {minute}: sent {sent}, lost {lost}, reason {reason}"
        if (sent is None) == (reason is None):
            wrong.append(f"{place}: a count or a reason, not both and not neither")
        if sent is not None and sent > MOST:
            wrong.append(f"{place}: counted twice")
        if steady and (sent is None or sent < LEAST):
            wrong.append(f"{place}: something is missing")
        if lost:
            wrong.append(f"{place}: nothing was lost on a loopback")
    return wrong


def mesh_log(folder: Path) -> str:
    text = (folder / "controller.log").read_text()
    return "\n".join(text.splitlines()[-30:])


if __name__ == "__main__":
    main()
