"""`netmesh-controller lab`: a small cluster network on this machine, to try things on."""

from __future__ import annotations

import os
from typing import Annotated, NoReturn, get_args

import typer

from netmesh_controller import lab as labs
from netmesh_controller.lab.addressing import Where
from netmesh_controller.surfaces.cli.errors import one_sentence

lab = typer.Typer(
    no_args_is_help=True,
    help="A small cluster network out of network namespaces, on this machine.",
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The lab's name.")]


@lab.command("up")
def up(
    shape: Annotated[str, typer.Argument(metavar="[N|FILE]", help="How many nodes, or a file that says more.")] = "4",
    name: Annotated[str, typer.Option(help="The lab's name.")] = "lab",
) -> None:
    """Start a lab that stays; where it is up with this shape, start again the agents that have died."""
    with one_sentence():
        started = labs.up(labs.spec_from(shape), name)
        print(f"Lab {name} is up: {started.spec.nodes} nodes. Measure it with: netmesh-controller sweep --lab {name}")
        started.close()


@lab.command("list")
def list_() -> None:
    """List the labs on this machine."""
    with one_sentence():
        for each in labs.list_labs():
            if each.abandoned:
                kind = "abandoned, the next start removes it"
            else:
                kind = "ends with its process" if each.ephemeral else "stays"
            print(f"{each.name}  {each.nodes} nodes, {each.agents_alive} of {each.agents} agents alive, {kind}")


@lab.command("set")
def set_(
    name: Name,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The lab's new shape.")],
) -> None:
    """Give a running lab another shape."""
    with one_sentence():
        labs.set_lab(name, labs.spec_from(file))


@lab.command("exec")
def exec_(
    name: Name,
    node: Annotated[str, typer.Argument(metavar="NODE", help="A node, such as node-1.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="[agent|peer|host] -- COMMAND", help="Where (default: agent), and what to run there."),
    ],
) -> NoReturn:
    """Run a command in a pod of a node, or on the node itself."""
    where: Where = "agent"
    for place in get_args(Where):
        if command[0] == place:
            where, command = place, command[1:]
            break
    with one_sentence():
        arguments = labs.exec_argv(name, node, where, command)
        os.execvp(arguments[0], arguments)  # noqa: S606  # no shell is wanted


@lab.command("down")
def down(name: Name) -> None:
    """Take a lab down."""
    with one_sentence():
        labs.down(name)
