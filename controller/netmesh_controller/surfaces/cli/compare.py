"""`netmesh-controller compare RUN RUN [RUN…]`: better, worse, or not distinguishable."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Literal

import typer
from rich.console import Console

from netmesh_controller.clients.store import open_store
from netmesh_controller.engines.exchange import load_arrays
from netmesh_controller.mesh.comparison import Side
from netmesh_controller.mesh.comparison import compare as compared
from netmesh_controller.mesh.comparison.record import record
from netmesh_controller.surfaces.cli.errors import BadUsageError, ExitCode, one_sentence
from netmesh_controller.surfaces.terminal.comparison import show_comparison


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN [RUN]...", help="Ids, names, latest, or run files; the first is the baseline."),
    ],
    fail_on: Annotated[
        Literal["worse", "different", "nothing"],
        typer.Option(help="Exit with 4 where a run is worse than the first, or differs in either way."),
    ] = "nothing",
    output_format: Annotated[
        Literal["terminal", "json"],
        typer.Option("--format", help="json writes the comparison alone on stdout."),
    ] = "terminal",
) -> None:
    """Compare runs: each against the first, as a whole and cell by cell, with noise learnt from their repeats."""
    with one_sentence():
        if len(runs) < 2:
            raise BadUsageError("RUN: a comparison is of two runs at least")
        comparison = compared(asyncio.run(_sides(runs)))
    if output_format == "json":
        typer.echo(json.dumps(record(comparison), indent=1))
    else:
        show_comparison(Console(), comparison)
    differs = any(one.verdict != "not distinguishable" for one in comparison.groups) or bool(comparison.pairs)
    if (fail_on == "worse" and comparison.worse) or (fail_on == "different" and differs):
        raise typer.Exit(ExitCode.FAILED)


async def _sides(references: list[str]) -> list[Side]:
    store = await open_store()
    try:
        sides = []
        for reference in references:
            arrays = await load_arrays(store, reference)
            sides.append(Side(arrays.run, arrays.nodes, arrays.series))
        return sides
    finally:
        await store.close()
