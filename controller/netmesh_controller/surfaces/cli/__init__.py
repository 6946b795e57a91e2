"""`netmesh-controller`: one file a command. Options in, settings out, one call.

A command's file is imported when the command is called: help is there at once, and `certificates` does not wait for
the database and the plots that other commands need.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# Every command, the module and name it stands under, and its line in the help.
COMMANDS = {
    "sweep": ("sweep:sweep", "Measure every ordered pair of nodes and print the matrices."),
    "diagnose": ("diagnose:diagnose", "Say why a pair of nodes is slow, with the evidence and what to do."),
    "serve": ("serve:serve", "Stay, and serve the HTTP API: sweeps are started over it, and resumed after a restart."),
    "monitor": ("monitor:monitor", "Watch the mesh on the terminal: open events, the worst pairs, the matrix."),
    "report": ("report:report", "Show a run, or write it as HTML, PNG, SVG, CSV, JSON, YAML or JUnit XML."),
    "runs": ("runs:runs", "Stored runs: list, rename, tag, delete, export and import them."),
    "nodes": ("nodes:nodes", "Show the nodes that are there, what their agents say, and where they differ."),
    "install": ("install:install", "Install netmesh in a Kubernetes cluster."),
    "uninstall": ("install:uninstall", "Remove netmesh from a Kubernetes cluster."),
    "compare": ("compare:compare", "Compare runs: better, worse, or not distinguishable."),
    "certificates": ("certificates:certificates", "Make the certificates of agents outside Kubernetes."),
    "lab": ("lab:lab", "A small cluster network out of network namespaces, on this machine."),
}
# Commands that only read runs.
READING = ("runs", "report", "compare")


def _load(name: str) -> Any:
    """The command, with its options, out of its file."""
    place, help_line = COMMANDS[name]
    module, attribute = place.split(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return _with_environment(group)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    alone.command(name, short_help=help_line)(found)
    return _with_environment(typer.main.get_command(alone))


def _with_environment(command: Any) -> Any:
    """Names each option's environment variable: NETMESH_<OPTION>, after the option as it is typed.

    The prefix that click offers goes by the parameter's name in the code and by the subcommand: `monitor --for` would
    end by a NETMESH_DURATION that was meant for sweeps.
    """
    for one in getattr(command, "commands", {}).values():
        _with_environment(one)
    for parameter in command.params:
        long = next((name for name in parameter.opts if name.startswith("--")), None)
        if long is not None and long != "--help":
            parameter.envvar = "NETMESH_" + long.removeprefix("--").replace("-", "_").upper()
    return command


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # typer's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        return _load(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


app = typer.Typer(
    cls=_Commands,
    name="netmesh-controller",
    help="Measures the network of a Kubernetes cluster, every ordered pair of nodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root(
    context: typer.Context,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="NETMESH_STORE",
            help="Where runs are: postgresql://…, sqlite:///FILE, a controller's URL, kubernetes. [the data directory]",
        ),
    ] = None,
) -> None:
    """Measures the network of a Kubernetes cluster, every ordered pair of nodes."""
    if store is not None:
        # Whoever opens the store looks there, programs that are started for this command too.
        os.environ["NETMESH_STORE"] = store
    elif context.invoked_subcommand in READING:
        _read_the_cluster_s()


def _read_the_cluster_s() -> None:
    """With nothing but a kubeconfig, runs are those of the cluster's controller."""
    from netmesh_controller.clients.reach import may_have_cluster  # noqa: PLC0415
    from netmesh_controller.clients.store.location import FILE_NAME, KUBERNETES, data_directory  # noqa: PLC0415

    if may_have_cluster() and not (data_directory() / FILE_NAME).exists():
        os.environ["NETMESH_STORE"] = KUBERNETES


def main() -> None:
    """Entry point. SIGTERM ends a command as Ctrl-C does: what it has made is taken down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app()
