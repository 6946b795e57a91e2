"""What is kept of a lab on this machine: a folder below /run/netmesh/labs with its lock, its spec and its agents.

A lab's lock is shared: the controller that a lab was made for holds it, or each of its agents do. Nobody holds it
when they are dead, whatever they died of, and so a lab whose lock is free is rubbish. A second lock, of all labs,
is held while labs are made, changed or removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netmesh_controller.lab import cgroups, namespaces, processes
from netmesh_controller.lab.addressing import MAX_LABS, NAME, ROLES, belongs, fabric_namespace
from netmesh_controller.lab.agents import AgentKey
from netmesh_controller.lab.errors import LabError, LabInputError
from netmesh_controller.lab.processes import Process
from netmesh_controller.lab.spec import LabSpec, parse_spec

FOLDER = Path("/run/netmesh/labs")


@dataclass
class State:
    """A lab as it is recorded."""

    name: str
    index: int
    ephemeral: bool
    spec: LabSpec
    agents: dict[AgentKey, Process] = field(default_factory=dict)
    relay: Process | None = None

    @property
    def folder(self) -> Path:
        """Where the lab's files are."""
        return FOLDER / self.name

    @property
    def relay_report(self) -> Path:
        """What the relay says of itself."""
        return self.folder / "relay.json"

    @property
    def certificates(self) -> Path:
        """Where the lab's certificates are, as identity.make_identity writes them."""
        return self.folder / "certificates"

    def save(self) -> None:
        """Writes the record, whole or not at all."""
        record = {
            "index": self.index,
            "ephemeral": self.ephemeral,
            "spec": self.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
            "agents": [
                {"node": node, "role": role, "pid": process.pid, "started": process.started}
                for (node, role), process in self.agents.items()
            ],
            "relay": {"pid": self.relay.pid, "started": self.relay.started} if self.relay is not None else None,
        }
        new = self.folder / "lab.json.new"
        new.write_text(json.dumps(record, indent=1))
        new.replace(self.folder / "lab.json")


def load(name: str) -> State | None:
    """The record of a lab; None where there is none, or none that this version understands."""
    roles = {role: role for role in ROLES}
    try:
        record: dict[str, Any] = json.loads((FOLDER / name / "lab.json").read_text())
        agents = {
            (each["node"], roles[each["role"]]): Process(each["pid"], each["started"]) for each in record["agents"]
        }
        relay = Process(record["relay"]["pid"], record["relay"]["started"]) if record["relay"] is not None else None
        return State(name, record["index"], record["ephemeral"], parse_spec(record["spec"]), agents, relay)
    except (OSError, KeyError, TypeError, ValueError, LabInputError):
        return None


def recorded() -> list[str]:
    """The names of all labs that have a folder."""
    if not FOLDER.is_dir():
        return []
    return sorted(entry.name for entry in FOLDER.iterdir() if entry.is_dir() and NAME.fullmatch(entry.name))


@contextmanager
def changing() -> Iterator[None]:
    """Holds the lock of all labs; waits for it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(FOLDER / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def hold(name: str) -> int:
    """Takes the lab's lock, shared with others that hold it; the descriptor holds it until it is closed."""
    descriptor = os.open(FOLDER / name / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def held(name: str) -> bool:
    """Whether anybody holds the lab's lock."""
    try:
        descriptor = os.open(FOLDER / name / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def free_index() -> int:
    """An index whose addresses no lab on this machine has; to be called while `changing`."""
    taken = {state.index for state in map(load, recorded()) if state is not None}
    for index in range(MAX_LABS):
        if index not in taken:
            return index
    raise LabError(f"There are {MAX_LABS} labs on this machine, and no addresses for another: take one down.")


def remove(name: str) -> None:
    """Removes all of a lab: processes, namespaces, control groups, folder. To be called while `changing`.

    Not only its agents end but all that runs on its nodes and in its pods, such as a shell of `lab exec`.
    """
    state = load(name)
    mine = [namespace for namespace in namespaces.names() if belongs(namespace, name)]
    # The fabric is where the controller stands, which may be the one that is tidying up.
    inside = processes.inside(namespaces.FOLDER / each for each in mine if each != fabric_namespace(name))
    mine_too = [*state.agents.values(), *([state.relay] if state.relay is not None else [])] if state else []
    processes.kill({*inside, *mine_too})
    processes.reap(mine_too)
    for namespace in mine:
        namespaces.remove(namespace)
    cgroups.remove(name)
    shutil.rmtree(FOLDER / name, ignore_errors=True)


def remove_abandoned() -> list[str]:
    """Removes every lab that nobody holds, and gives their names. To be called while `changing`."""
    abandoned = [name for name in recorded() if not held(name)]
    for name in abandoned:
        remove(name)
    return abandoned
