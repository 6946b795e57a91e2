"""Three nodes on addresses of the loopback: agents that are started and killed one by one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import psutil
from tests.support.agents import Identity, RunningAgent, running_agent
from tests.support.clock import SteppedClock

TOOLS = {"iperf3", "qperf"}
# From an agent's port for calls to that of its metrics.
HTTP = 100


def tools_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """The measuring programs that live below the given agents."""
    found = []
    for agent in processes:
        try:
            found += [child for child in agent.children(recursive=True) if child.name() in TOOLS]
        except psutil.NoSuchProcess:
            continue
    return found


class Mesh:
    """Three agents on addresses of the loopback, started and killed one by one."""

    def __init__(
        self, identity: Identity, folder: Path, stack: ExitStack, clocks: Mapping[int, SteppedClock] | None = None
    ) -> None:
        self.identity = identity
        self.agents: dict[str, RunningAgent] = {}
        # By a node's number: the wall clock of its agents, where it is one of their own.
        self._clocks = clocks or {}
        self._folder = folder
        self._stack = stack

    def certificates(self, number: int) -> Identity:
        """A node's agents have a folder of their own."""
        own = Identity(self._folder / f"identity-{number}")
        if not own.agent.exists():
            shutil.copytree(self.identity.agent, own.agent)
        return own

    def start(self, number: int) -> None:
        for role, port in (("pod", 19410), ("peer", 19411)):
            # The peer's pool is its own: both stand on one address here.
            first = 61863 if role == "pod" else 62863
            self.agents[f"node-{number}/{role}"] = self._stack.enter_context(
                running_agent(
                    self.certificates(number),
                    self._folder,
                    node=f"node-{number}",
                    role=role,
                    port=port,
                    address=f"127.0.0.{number}",
                    options=(
                        "--tool-ports",
                        f"{first}-{first + 7}",
                        "--max-rate",
                        "1G",
                        "--http-port",
                        str(port + HTTP),
                    ),
                    clock=self._clocks.get(number),
                )
            )

    def kill(self, node: str, *roles: str) -> None:
        for role in roles or ("pod", "peer"):
            process = self.agents[f"{node}/{role}"].process
            process.kill()
            process.wait()

    @property
    def option(self) -> str:
        return ",".join(agent.target for agent in self.agents.values())

    def tools(self) -> list[psutil.Process]:
        alive = [agent.process.pid for agent in self.agents.values() if agent.process.poll() is None]
        return tools_of([psutil.Process(pid) for pid in alive])

    def metrics(self, agent: RunningAgent) -> str:
        """What an agent tells Prometheus."""
        with urlopen(f"http://{agent.address}:{agent.port + HTTP}/metrics", timeout=30) as answer:
            data: bytes = answer.read()
        return data.decode()

    def assert_tools_end(self, seconds: float) -> None:
        """No measuring program is left, within this time: an agent ends them once its stream is gone."""
        until = time.monotonic() + seconds
        while left := self.tools():
            assert time.monotonic() < until, left
            time.sleep(0.05)
