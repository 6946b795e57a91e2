"""`netmesh-controller certificates DIR`: an identity for agents outside Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netmesh_controller.identity import make_identity
from netmesh_controller.surfaces.cli.errors import BadUsageError, one_sentence


def certificates(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder to make; nothing in it is overwritten.")],
    days: Annotated[int, typer.Option(min=1, help="How long the certificates are valid.")] = 365,
) -> None:
    """Makes a CA and the certificates of agents (DIR/agent) and controller (DIR/controller)."""
    with one_sentence():
        for folder in (directory, *directory.parents):
            if folder.exists() and not folder.is_dir():
                raise BadUsageError(f"DIR: {folder} is a file; name a folder, which need not be there yet")
        make_identity(directory, days=days)
    typer.echo(f"{directory}/agent is for every agent, {directory}/controller for the controller; keep ca.key apart.")
