"""Where a command's agents come from: `--lab N|FILE|NAME` or `--agents FILE|HOST:PORT,…`."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netmesh_common.tls import Certificates
from netmesh_controller import lab as labs
from netmesh_controller.inventory.lab import lab_agents
from netmesh_controller.inventory.located import Located
from netmesh_controller.inventory.static import static_agents
from netmesh_controller.surfaces.cli.errors import BadUsageError


@dataclass(frozen=True, slots=True)
class Source:
    """Agents to be asked, and the identity to come with; `recorded` is how to name the source again.

    `facts` are what a run should say of the source.
    """

    locate: Callable[[], Awaitable[list[Located]]]
    certificates: Certificates
    recorded: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def agent_source(lab: str | None, agents: str | None, certificates: Path | None) -> Iterator[Source]:
    """The agents that the options name; a lab that is made for this command is taken down at its end.

    Must be entered before the event loop starts: the process itself moves into the lab's network.
    """
    if lab is not None and agents is not None:
        raise BadUsageError("--lab and --agents: give one of them")
    if lab is not None:
        with _lab(lab) as running:
            running.enter()
            certificate = Certificates.read(running.certificates / "controller")
            yield Source(lambda: lab_agents(running), certificate, {"lab": lab}, {"lab": running.facts()})
    elif agents is not None:
        if certificates is None:
            raise BadUsageError(
                "--certificates: name the folder with ca.crt, tls.crt and tls.key of the controller "
                "(netmesh-controller certificates DIR makes it as DIR/controller)"
            )
        recorded = {"agents": agents, "certificates": str(certificates.absolute())}
        yield Source(lambda: static_agents(agents), Certificates.read(certificates), recorded)
    else:
        raise BadUsageError("where are the agents? Give --lab N|FILE|NAME or --agents FILE|HOST:PORT,…")


@contextmanager
def _lab(text: str) -> Iterator[labs.Lab]:
    """The lab; its taking down is not interrupted, so that nothing of it is left."""
    running = labs.lab_for(text)
    try:
        yield running
    finally:
        stopping = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
        try:
            running.close()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)
