"""Single figures of reports, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.share import Share
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.terminal.shares import told, words
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.words import parameters_in_words


@dataclass(frozen=True, slots=True)
class Middle:
    """The median of a table's figures between nodes, and over how many pairs; a reason where there is none."""

    table: Table
    figure: float | None
    pairs: int
    reason: str | None


def middle(table: Table) -> Middle:
    """The median over the pairs of two nodes."""
    remote = table.remote
    there = remote & table.known
    pairs = int(np.count_nonzero(there))
    if pairs:
        return Middle(table, float(np.median(table.values[there])), pairs, None)
    codes = Counter(table.codes[code] for code in table.reasons[remote].tolist())
    return Middle(table, None, 0, codes.most_common(1)[0][0] if codes else "not_applicable")


def in_words(one: Middle) -> str:
    """The median with its unit and its pairs, or why there is none."""
    if one.figure is None:
        return one.reason or ""
    scale = scale_for(one.table.value, one.table.unit, [one.figure])
    return f"{scale.full(one.figure)} ({one.pairs})"


def shares_in_words(found: Iterable[Share]) -> list[list[str]]:
    """A row a path and test: what it makes of the hosts' own network."""
    rows: dict[tuple[str, str, Parameters], list[Share]] = {}
    for share in found:
        rows.setdefault((share.path, share.test, share.parameters), []).append(share)
    return [
        [
            path,
            f"{test}, {parameters_in_words(parameters)}",
            ", ".join(filter(None, map(words, told(of_test)))) or "no pair has both",
        ]
        for (path, test, parameters), of_test in rows.items()
    ]
