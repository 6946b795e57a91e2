"""`netmesh-controller nodes`: who is there, what each can do, and where they differ."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import TypeAdapter
from rich.console import Console

from netmesh_common import logs
from netmesh_controller.clients.reach import controller_at
from netmesh_controller.engines.roster import Present, Roster
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Node, Reason
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode, one_sentence
from netmesh_controller.surfaces.cli.sources import agent_source
from netmesh_controller.surfaces.terminal.nodes import show_nodes

_NODES = TypeAdapter(tuple[Node, ...])
_REASONS = TypeAdapter(dict[str, Reason])


def nodes(
    lab: Annotated[str | None, typer.Option(help="A lab: N nodes, a lab file, or the name of one that is up.")] = None,
    agents: Annotated[str | None, typer.Option(help="Agents: a YAML file, or HOST:PORT,…")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="Folder with the controller's ca.crt, tls.crt, tls.key (with --agents).")
    ] = None,
    controller: Annotated[
        str | None, typer.Option(metavar="URL", help="A controller that stays; NETMESH_TOKEN is its token.")
    ] = None,
    output_format: Annotated[
        Literal["terminal", "json"],
        typer.Option("--format", help="json writes all facts on stdout."),
    ] = "terminal",
) -> None:
    """Show the nodes that are there, what their agents say of them, and where they differ."""
    logs.set_up("error")
    with one_sentence():
        if lab is None and agents is None:
            found = asyncio.run(_there(controller))
        elif controller is not None:
            raise BadUsageError("--controller: the agents are that controller's; leave --lab and --agents out")
        else:
            with agent_source(lab, agents, certificates) as source:
                found = asyncio.run(_here(source))
    if output_format == "json":
        typer.echo(json.dumps(_plain(found), indent=1))
    else:
        show_nodes(Console(), found.nodes, found.unreachable, found.remarks)
    raise typer.Exit(ExitCode.GAPS if found.unreachable else ExitCode.COMPLETE)


async def _here(source: Source) -> Present:
    async with source.running():
        return await Roster(source).nodes()


async def _there(controller: str | None) -> Present:
    async with controller_at(controller) as client:
        answer = await client.call("GET", "nodes")
    return Present(
        _NODES.validate_python(answer["nodes"]),
        _REASONS.validate_python(answer["unreachable"]),
        tuple(answer["remarks"]),
        answer["asked_at"],
    )


def _plain(found: Present) -> dict[str, Any]:
    """As the API tells it."""
    return {
        "nodes": [node.model_dump(mode="json") for node in found.nodes],
        "unreachable": {name: reason.model_dump() for name, reason in found.unreachable.items()},
        "remarks": list(found.remarks),
        "asked_at": found.asked_at,
    }
