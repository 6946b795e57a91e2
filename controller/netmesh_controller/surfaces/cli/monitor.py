"""`netmesh-controller monitor`: the mesh that is watched, on the terminal."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from netmesh_common import logs
from netmesh_common.units import parse_duration
from netmesh_controller.clients.controller import Access, ControllerClient, direct
from netmesh_controller.clients.reach import controller_at
from netmesh_controller.inventory.source import Source
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode, one_sentence
from netmesh_controller.surfaces.cli.sources import agent_source
from netmesh_controller.surfaces.cli.watching import Wanted, watch


def monitor(
    controller: Annotated[
        str | None, typer.Option(metavar="URL", help="A controller that stays; NETMESH_TOKEN is its token.")
    ] = None,
    lab: Annotated[str | None, typer.Option(help="A lab: N nodes, a lab file, or the name of one that is up.")] = None,
    agents: Annotated[str | None, typer.Option(help="Agents: a YAML file, or HOST:PORT,…")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder with the controller's ca.crt, tls.crt, tls.key (with --agents).")
    ] = None,
    statistic: Annotated[
        Literal["p50", "min", "max", "loss", "bandwidth"],
        typer.Option(help="What the matrix shows, bandwidth as tested in the background; the key s changes it."),
    ] = "p50",
    window: Annotated[
        Literal["10s", "1m", "10m", "1h"], typer.Option(help="Over how long; the key w changes it.")
    ] = "1m",
    every: Annotated[str, typer.Option(metavar="DURATION", help="How often the controller is asked.")] = "5s",
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="End by itself after that. [until q or Ctrl-C]")
    ] = None,
    output_format: Annotated[
        Literal["terminal", "json"],
        typer.Option("--format", help="json writes a line a window and a line an event."),
    ] = "terminal",
) -> None:
    """Watch the mesh: open events, the worst pairs and the matrix, drawn anew as windows end.

    Of a controller that stays (`serve`), or of the agents of --lab or --agents, which are then watched from here until
    it ends. Without a terminal it writes a line a window and a line whenever an event opens, changes or closes.
    """
    logs.set_up("error")
    # A screen is drawn here, and lines are read by programs: what happens is told by events.
    logging.getLogger("netmesh_controller").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with one_sentence():
        wanted = Wanted(
            statistic=statistic,
            window=window,
            every_seconds=_seconds("--every", every, least=1.0),
            for_seconds=None if duration is None else _seconds("--for", duration, least=0.0),
            as_json=output_format == "json",
        )
        if lab is None and agents is None:
            interrupted = asyncio.run(_there(controller, wanted))
        elif controller is not None:
            raise BadUsageError("--controller: the agents are that controller's; leave --lab and --agents out")
        else:
            with agent_source(lab, agents, certificates, stays=True) as source:
                shown = f"lab {lab}" if lab is not None else f"agents {agents}"
                interrupted = asyncio.run(_here(source, wanted, shown))
    raise typer.Exit(ExitCode.INTERRUPTED if interrupted else ExitCode.COMPLETE)


async def _there(controller: str | None, wanted: Wanted) -> bool:
    async with controller_at(controller) as client:
        return await watch(client, wanted, client.url)


async def _here(source: Source, wanted: Wanted, shown: str) -> bool:
    async with _controller(source) as client:
        return await watch(client, wanted, shown)


@asynccontextmanager
async def _controller(source: Source) -> AsyncIterator[ControllerClient]:
    """A controller of this process alone, asked as any other: over its API, by a socket in a folder of its own."""
    # Only here: a controller elsewhere needs none of it.
    import aiohttp  # noqa: PLC0415

    from netmesh_controller.app import Settings, running  # noqa: PLC0415

    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="netmesh-monitor-") as folder, socket.socket(socket.AF_UNIX) as listener:
        place = f"{folder}/api"
        listener.bind(place)
        listener.listen(16)
        async with (
            running(Settings(listener, lambda: token), source),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(place)) as session,
            ControllerClient(Access("http://controller", direct("", token).headers, session)) as client,
        ):
            yield client


def _seconds(option: str, text: str, *, least: float) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadUsageError(f"{option}: {error}") from error
    if seconds < least:
        raise BadUsageError(f"{option}: {text} is too short; give {least:.0f}s or more")
    return seconds
