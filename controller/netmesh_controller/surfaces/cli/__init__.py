"""`netmesh-controller`: one file a command. Options in, settings out, one call."""

from __future__ import annotations

import signal
import sys

import typer

from netmesh_controller.surfaces.cli.certificates import certificates
from netmesh_controller.surfaces.cli.lab import lab
from netmesh_controller.surfaces.cli.serve import serve
from netmesh_controller.surfaces.cli.sweep import sweep

app = typer.Typer(
    name="netmesh-controller",
    help="Measures the network of a Kubernetes cluster, every ordered pair of nodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# Each option's environment variable is NETMESH_<OPTION>, whatever the command.
ENVIRONMENT = {"auto_envvar_prefix": "NETMESH"}
app.command("sweep", context_settings=ENVIRONMENT)(sweep)
app.command("serve", context_settings=ENVIRONMENT)(serve)
app.command("certificates", context_settings=ENVIRONMENT)(certificates)
app.add_typer(lab, name="lab", context_settings=ENVIRONMENT)


def main() -> None:
    """Entry point. SIGTERM ends a command as Ctrl-C does: what it has made is taken down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app()
