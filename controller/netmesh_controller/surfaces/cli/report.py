"""`netmesh-controller report RUN`: a run on the terminal, or as files."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from netmesh_controller.clients.runfile import RunFile, is_run_file
from netmesh_controller.clients.store import open_store
from netmesh_controller.engines import runs
from netmesh_controller.engines.arrays import RunArrays
from netmesh_controller.engines.exchange import load_arrays, load_run
from netmesh_controller.mesh.derived import groups_of
from netmesh_controller.mesh.document import Node
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode, one_sentence
from netmesh_controller.surfaces.cli.expectations import expected, show_expected
from netmesh_controller.surfaces.cli.outputs import check_outputs, too_large, write_outputs
from netmesh_controller.surfaces.reports.content import LARGE_MESH, Source
from netmesh_controller.surfaces.reports.formats import Choice, CsvLayout, Wanted
from netmesh_controller.surfaces.terminal.closing import show_closing
from netmesh_controller.surfaces.terminal.run import show_run


def report(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="An id, the beginning of one, a name, latest, or a run file.")
    ],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file to write: .html, .png, .svg, .csv, .json, .yaml, .jsonl.zst or .xml. "
            "May be given several times."
        ),
    ] = None,
    path: Annotated[list[str] | None, typer.Option(help="Only this path. [all]")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Only this test. [all]")] = None,
    value: Annotated[list[str] | None, typer.Option(help="Only this value, such as loss_ratio. [all]")] = None,
    statistic: Annotated[str, typer.Option(help="The statistic of pictures and wide CSV.")] = "mean",
    by: Annotated[
        str | None, typer.Option(metavar="LABEL", help="On the terminal, medians by a label of the nodes, or by zone.")
    ] = None,
    csv: Annotated[CsvLayout, typer.Option(help="A row a pair and value, or a matrix a section.")] = "long",
    expect: Annotated[
        list[str] | None,
        typer.Option(help="'TEST[.VALUE].STATISTIC[@PATH] OP NUMBER UNIT' must hold in every planned cell."),
    ] = None,
    expect_file: Annotated[Path | None, typer.Option(help="A file of such expectations, one a line.")] = None,
) -> None:
    """Shows a run, or writes it as files, each in the format that its ending names."""
    with one_sentence():
        expectations = expected(expect, expect_file)
    choice = Choice(
        paths=tuple(path or ()),
        tests=tuple(test or ()),
        values=tuple(value or ()),
        statistic=statistic,
        csv=csv,
        expectations=expectations,
    )
    with one_sentence():
        check_outputs(output or ())
        wanted = asyncio.run(_wanted(run, choice))
        _check_label(wanted.source.nodes, by)
        if not output:
            _show(wanted, by, stored=not is_run_file(run))
        write_outputs(wanted, output or ())
        for file in output or ():
            typer.echo(f"{file} is written.")
        if not show_expected(Console(), wanted):
            raise typer.Exit(ExitCode.FAILED)


async def _wanted(reference: str, choice: Choice) -> Wanted:
    store = await open_store()
    try:
        if is_run_file(reference):
            large = len(RunFile(Path(reference)).nodes) > LARGE_MESH
        else:
            large = len((await store.info(await store.find(reference))).nodes) > LARGE_MESH
        if not large:
            return Wanted.of(runs.stored_document(await load_run(store, reference)), choice)
        return _of_arrays(await load_arrays(store, reference), choice)
    finally:
        await store.close()


def _of_arrays(run: RunArrays, choice: Choice) -> Wanted:
    """A mesh of a million pairs: means and reasons, and no object a cell."""
    measured = sum(one.measured for one in run.series.values())
    outcomes = {"measured": measured, "failed": run.cells - measured}
    return Wanted(
        Source(run.run, run.nodes, runs.findings_of(run), runs.tables_of(run), (), outcomes), too_large, choice
    )


def _check_label(nodes: Sequence[Node], by: str | None) -> None:
    """BadUsageError where no node has the label that the terminal is to group by."""
    if by is None or groups_of(nodes, None if by == "zone" else by):
        return
    there = sorted({label for node in nodes for label in node.labels})
    if any(node.zone for node in nodes):
        there.append("zone")
    raise BadUsageError(f"--by: no node has '{by}'; there are {', '.join(there) or 'no labels and no zones'}")


def _show(wanted: Wanted, by: str | None, *, stored: bool) -> None:
    console = Console()
    source = wanted.source
    show_run(
        console,
        source.nodes,
        source.tables,
        source.cells,
        source.findings,
        chosen=wanted.tables,
        values=wanted.choice.values,
        by=by,
    )
    show_closing(console, source.run, source.cells, outcomes=source.outcomes, stored=stored)
