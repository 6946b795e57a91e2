"""What a run says on the terminal: its matrices, curves, shares and findings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import Console

from netmesh_controller.mesh.curves import curves
from netmesh_controller.mesh.document import Cell, Finding, Node
from netmesh_controller.mesh.share import shares
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.terminal.curves import show_curves
from netmesh_controller.surfaces.terminal.findings import show_findings
from netmesh_controller.surfaces.terminal.matrices import show_matrices
from netmesh_controller.surfaces.terminal.shares import show_shares


def show_run(
    console: Console,
    nodes: Sequence[Node],
    tables: Sequence[Table],
    cells: Sequence[Cell],
    findings: Sequence[Finding],
    *,
    chosen: Sequence[Table] | None = None,
    values: Collection[str] = (),
    by: str | None = None,
) -> None:
    """Prints all of it, or in place of its tables the `chosen` ones, and their further `values` in full.

    `tables` are those of the mean; `cells` may be none where a run is too large for them. `by`: see `show_matrices`.
    """
    shown = tables if chosen is None else chosen
    show_matrices(console, nodes, shown, cells, values, by)
    show_curves(console, curves(shown))
    show_shares(console, shares(shown, cells))
    show_findings(console, findings, tables)
