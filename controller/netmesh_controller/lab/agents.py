"""The agents inside of a lab: in each pod and on each node, in a PID namespace of its own as a container has."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from netmesh_controller.lab import namespaces, processes
from netmesh_controller.lab.addressing import PLACE_NAMES, Addresses, LabAddresses, Role, agent_namespace
from netmesh_controller.lab.errors import LabError
from netmesh_controller.lab.processes import Process

PORT = 9410
# On a machine with few cores the agents load their libraries one after the other.
READY_SECONDS, READY_SECONDS_EACH = 30.0, 2.0
_TAIL_LINES = 5

AgentKey = tuple[str, Role]


def program() -> str:
    """The agent's program: the one beside this interpreter, else the first on PATH. LabError where there is none."""
    beside = Path(sys.executable).parent / "netmesh-agent"
    found = str(beside) if beside.exists() else shutil.which("netmesh-agent")
    if found is None:
        raise LabError("There is no program netmesh-agent beside this Python or on PATH: install netmesh whole.")
    return found


def address(key: AgentKey, addresses: LabAddresses) -> IPv4Address:
    """Where an agent listens: on its pod's address, or its node's."""
    return own_addresses(key, addresses).v4.ip


def own_addresses(key: AgentKey, addresses: LabAddresses) -> Addresses:
    """An agent's addresses: its pod's, or its node's."""
    name, role = key
    node = addresses.nodes[name]
    return node.uplink if role == "host" else node.pods[role].pod


def log_file(folder: Path, key: AgentKey) -> Path:
    """Where an agent of the lab in `folder` writes."""
    node, role = key
    return folder / f"{node}-{PLACE_NAMES[role]}.log"


def command(
    lab: str, key: AgentKey, addresses: LabAddresses, certificates: Path, *, dies_with_parent: bool
) -> list[str]:
    """The command line that starts an agent in its place.

    `unshare` stays outside and kills the PID namespace with itself, tini reaps inside, and so nothing outlives its
    agent. `nsenter` and not `ip netns exec`, which would hide the control groups.
    """
    node, role = key
    return [
        *(["setpriv", "--pdeathsig", "KILL", "--"] if dies_with_parent else []),
        "nsenter",
        f"--net={namespaces.FOLDER / agent_namespace(lab, node, role)}",
        "--",
        *("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--"),
        *("tini", "--"),
        *(program(), "--node", node, "--role", role, "--listen", f"{address(key, addresses)}:{PORT}"),
        *("--certificates", str(certificates / "agent")),
    ]


def wait_ready(folder: Path, started: Mapping[AgentKey, Process], addresses: LabAddresses) -> None:
    """Returns when every agent listens in its place; LabError with the end of its log where one ended or is late."""
    seconds = READY_SECONDS + READY_SECONDS_EACH * len(started)
    deadline = time.monotonic() + seconds
    waiting = dict(started)
    while waiting:
        for key, process in list(waiting.items()):
            if not process.alive():
                raise LabError(f"The agent of {_label(key)} ended at its start: {_tail(log_file(folder, key))}")
            if processes.listens(process, address(key, addresses), PORT):
                del waiting[key]
        if waiting and time.monotonic() > deadline:
            key = next(iter(waiting))
            raise LabError(
                f"The agent of {_label(key)} does not listen after {seconds:.0f} s: {_tail(log_file(folder, key))}"
            )
        if waiting:
            time.sleep(0.02)


def _label(key: AgentKey) -> str:
    return f"{key[0]} ({key[1]})"


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    last = [line.strip() for line in lines if line.strip()][-_TAIL_LINES:]
    return " | ".join(last) or f"it wrote nothing to {log}"
