"""The findings of a run: a line each, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.text import Text

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.places import LEAST_NODES
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.words import count, wrapped

_SHOWN = 20
# What is as it is, and no fault that anybody has to look for.
_REMARKS = ("cpu_bound", "contention")


def show_findings(console: Console, findings: Sequence[Finding], tables: Iterable[Table]) -> None:
    """Prints the findings; says so where there are none, and where the mesh of `tables` is too small to tell."""
    rows = [(table, np.flatnonzero(np.any(table.known & table.remote, axis=1)).tolist()) for table in tables]
    nodes = len({table.sources[row] for table, there in rows for row in there})
    if not nodes:
        return
    found = without_twins(findings)
    if not found:
        small = "" if nodes >= LEAST_NODES else f"; slow nodes and pairs are told apart from {LEAST_NODES} nodes on"
        console.print(Text.assemble(("findings", "bold"), f": none{small}"), soft_wrap=True, highlight=False)
        console.print()
        return
    console.print(Text("findings", "bold"), soft_wrap=True, highlight=False)
    for one in found[:_SHOWN]:
        kind = one.kind.replace("_", " ")
        sure = "" if one.confidence is None else f" Confidence {_percent(one.confidence)}."
        style = palette.BAD if one.kind in _REMARKS else palette.VERY_BAD
        for number, line in enumerate(wrapped(one.sentence + sure, console.width, f"  {kind}: ", "    ")):
            shown = Text(line)
            if number == 0:
                shown.stylize(style, 2, 2 + len(kind))
            console.print(shown, soft_wrap=True, highlight=False)
    if len(found) > _SHOWN:
        more = count(len(found) - _SHOWN, "further finding")
        console.print(Text(f"  and {more}, in the run document"), soft_wrap=True, highlight=False)
    console.print()


def without_twins(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without the asymmetry of a pair that is said to be slow or lossy already: one fault, one line."""
    said = {
        (one.where["source"], one.where["target"], one.where["path"], one.where["test"])
        for one in findings
        if one.kind in ("slow_pair", "lossy_pair")
    }
    return [
        one
        for one in findings
        if one.kind != "asymmetric_pair"
        or (one.where["source"], one.where["target"], one.where["path"], one.where["test"]) not in said
    ]


def _percent(confidence: float) -> str:
    return f"{confidence * 100:.4g} %"
