"""Where a command's agents come from: `--lab N|FILE|NAME`, `--agents FILE|HOST:PORT,…`, else its cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from netmesh_common.tls import rereading
from netmesh_common.units import parse_duration
from netmesh_controller.identity.rotation import Lifetimes
from netmesh_controller.inventory.source import Source
from netmesh_controller.inventory.static import static_agents
from netmesh_controller.surfaces.cli.errors import BadUsageError

if TYPE_CHECKING:
    from netmesh_controller.lab import Lab


@contextmanager
def agent_source(
    lab: str | None, agents: str | None, certificates: Path | None, *, stays: bool = False
) -> Iterator[Source]:
    """The agents that the options name; a lab that is made for this command is taken down at its end.
    `stays`: for a controller that stays.

    Must be entered before the event loop starts: the process itself moves into the lab's network.
    """
    if lab is not None and agents is not None:
        raise BadUsageError("--lab and --agents: give one of them")
    if lab is not None:
        # Only here: what makes network namespaces takes a third of a second to import.
        from netmesh_controller.inventory.lab import lab_agents  # noqa: PLC0415

        with _lab(lab) as running:
            running.enter()
            folder = running.certificates / "controller"
            facts = {"lab": running.facts()}
            yield Source(lambda: lab_agents(running), rereading(folder), {"lab": lab}, facts)
    elif agents is not None:
        if certificates is None:
            raise BadUsageError(
                "--certificates: name the folder with ca.crt, tls.crt and tls.key of the controller "
                "(netmesh-controller certificates DIR makes it as DIR/controller)"
            )
        recorded = {"agents": agents, "certificates": str(certificates.absolute())}
        # What is wrong with them is told before anything starts.
        yield Source(lambda: static_agents(agents), rereading(certificates), recorded)
    elif os.environ.get("KUBERNETES_SERVICE_HOST"):
        # Only here: the client's package takes more than a second to import.
        from netmesh_controller.engines.incluster import cluster_source  # noqa: PLC0415

        yield cluster_source(_lifetimes(), stays=stays)
    else:
        raise BadUsageError("where are the agents? Give --lab N|FILE|NAME or --agents FILE|HOST:PORT,…")


def _lifetimes() -> Lifetimes:
    """How long certificates are valid, by NETMESH_{AUTHORITY,CERTIFICATE}_LIFETIME and NETMESH_AUTHORITY_SETTLE."""
    default = Lifetimes()

    def read(name: str, otherwise: timedelta) -> timedelta:
        text = os.environ.get(name)
        try:
            return otherwise if text is None else timedelta(seconds=parse_duration(text))
        except ValueError as error:
            raise BadUsageError(f"{name}: {error}") from error

    return Lifetimes(
        authority=read("NETMESH_AUTHORITY_LIFETIME", default.authority),
        leaf=read("NETMESH_CERTIFICATE_LIFETIME", default.leaf),
        settle=read("NETMESH_AUTHORITY_SETTLE", default.settle),
    )


@contextmanager
def _lab(text: str) -> Iterator[Lab]:
    """The lab; its taking down is not interrupted, so that nothing of it is left."""
    from netmesh_controller.lab import lab_for  # noqa: PLC0415

    running = lab_for(text)
    try:
        yield running
    finally:
        stopping = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
        try:
            running.close()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)
