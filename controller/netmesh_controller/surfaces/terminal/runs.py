"""Stored runs, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from netmesh_common.units import format_duration
from netmesh_controller.clients.store import RunInfo
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.closing import wall_seconds


def show_runs(console: Console, runs: Sequence[RunInfo]) -> None:
    """Prints the runs; what a died controller left behind is told below."""
    if not runs:
        console.print("There is no run, or none that fits.", highlight=False)
        return
    rows = [_row(info) for info in runs]
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="bold")
    # What gives way in a narrow terminal are names and tags.
    for heading in ("run", "name", "state", "cells", "nodes", "took", "tags"):
        gives_way = heading in ("name", "tags")
        texts = [heading, *(str(row[heading]) for row in rows)]
        table.add_column(
            heading,
            overflow="fold",
            no_wrap=not gives_way,
            min_width=1 if gives_way else max(map(len, texts)),
            justify="right" if heading == "nodes" else "left",
        )
    for info, row in zip(runs, rows, strict=True):
        style = palette.GOOD if info.state in ("complete", "running") else palette.VERY_BAD
        table.add_row(*(Text(text, style if heading == "state" else "") for heading, text in row.items()))
    console.print(table, highlight=False)
    for info in runs:
        if info.abandoned:
            said = f"Run {info.run.id}: nobody measures it now; sweep --resume {info.run.id} goes on."
            console.print(Text(said), soft_wrap=True, highlight=False)


def _row(info: RunInfo) -> dict[str, str]:
    took = wall_seconds(info.run)
    return {
        "run": info.run.id,
        "name": info.run.name or "",
        "state": info.state,
        "cells": str(info.cells) if info.measured == info.cells else f"{info.measured} of {info.cells}",
        "nodes": str(info.node_count),
        "took": "" if took is None else format_duration(took),
        "tags": ", ".join(info.tags),
    }
