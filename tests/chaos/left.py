"""What a sweep leaves: in the agents that lived through it, and beside them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psutil
from tests.soak.watch import Held, held
from tests.support.loopback import Mesh

# An endpoint that was opened ahead by a controller that is gone lives until its lease ends.
LEASE_SECONDS = 90
# Descriptors that gRPC may keep for itself.
SPARE = 4
# What an agent may take at its first tests and keep, such as modules; 1.6 are usual.
FIRST_MEGABYTES = 4.0


def of_agents(mesh: Mesh) -> dict[int, Held]:
    """What each agent holds, by its process."""
    return {one.process.pid: held(one.process.pid, partial(mesh.metrics, one)) for one in mesh.agents.values()}


def beside(mesh: Mesh) -> dict[int, str]:
    """The processes in the network of the test, but for the agents: whoever started them may be gone."""
    ours, agents = Path("/proc/self/ns/net").readlink(), {agent.process.pid for agent in mesh.agents.values()}
    found = {}
    for process in psutil.process_iter(["name"]):
        try:
            if process.pid not in agents and Path(f"/proc/{process.pid}/ns/net").readlink() == ours:
                found[process.pid] = process.info["name"]
        except OSError:  # it has ended
            continue
    return found


def assert_nothing(mesh: Mesh, before: Mapping[int, Held], others: Mapping[int, str]) -> None:
    """Agents hold what they held, and no lease; no process lives that did not before."""
    until = time.monotonic() + LEASE_SECONDS
    while left := _left(mesh, before, others):
        assert time.monotonic() < until, left
        time.sleep(0.2)


def _left(mesh: Mesh, before: Mapping[int, Held], others: Mapping[int, str]) -> list[object]:
    left: list[object] = [(pid, name) for pid, name in beside(mesh).items() if pid not in others]
    left += [one.target for one in mesh.agents.values() if "\nnetmesh_agent_groups 0.0\n" not in mesh.metrics(one)]
    for pid, now in of_agents(mesh).items():
        was = before.get(pid, now)
        more = now.descriptors > was.descriptors + SPARE or now.tasks > was.tasks or now.programs
        if more or now.resident_megabytes > was.resident_megabytes + FIRST_MEGABYTES:
            left.append((was, now))
    return left
