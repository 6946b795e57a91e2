"""`netmesh-controller report RUN`: a run on the terminal, or as files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netmesh_controller.clients.store import open_store
from netmesh_controller.engines import runs
from netmesh_controller.mesh.curves import curves
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.share import shares
from netmesh_controller.surfaces.cli.errors import one_sentence
from netmesh_controller.surfaces.cli.outputs import check_outputs, write_outputs
from netmesh_controller.surfaces.reports.formats import Choice, CsvLayout, Wanted
from netmesh_controller.surfaces.terminal.closing import show_closing
from netmesh_controller.surfaces.terminal.curves import show_curves
from netmesh_controller.surfaces.terminal.matrices import show_matrices
from netmesh_controller.surfaces.terminal.shares import show_shares


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="An id, the beginning of one, a name, or latest.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file to write: .html, .png, .svg, .csv, .json, .yaml or .xml. May be given several times."
        ),
    ] = None,
    path: Annotated[list[str] | None, typer.Option(help="Only this path. [all]")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Only this test. [all]")] = None,
    value: Annotated[list[str] | None, typer.Option(help="Only this value, such as loss_ratio. [all]")] = None,
    statistic: Annotated[str, typer.Option(help="The statistic of pictures and wide CSV.")] = "mean",
    csv: Annotated[CsvLayout, typer.Option(help="A row a pair and value, or a matrix a section.")] = "long",
    expect: Annotated[list[str] | None, typer.Option(help="An expectation, for .xml.")] = None,
) -> None:
    """Shows a run, or writes it as files, each in the format that its ending names."""
    choice = Choice(
        paths=tuple(path or ()),
        tests=tuple(test or ()),
        values=tuple(value or ()),
        statistic=statistic,
        csv=csv,
        expectations=tuple(expect or ()),
    )
    with one_sentence():
        check_outputs(output or ())
        wanted = Wanted.of(asyncio.run(_document(run)), choice)
        if not output:
            _show(wanted)
            return
        write_outputs(wanted, output)
        for file in output:
            typer.echo(f"{file} is written.")


async def _document(reference: str) -> RunDocument:
    store = await open_store()
    try:
        return runs.stored_document(await store.load(await store.find(reference)))
    finally:
        await store.close()


def _show(wanted: Wanted) -> None:
    console = Console()
    document = wanted.document()
    matrices = [table.document() for table in wanted.tables]
    shown = document.model_copy(update={"matrices": matrices})
    show_matrices(console, shown, wanted.choice.values)
    show_curves(console, curves(matrices))
    show_shares(console, shares(matrices, document.cells))
    show_closing(console, document)
