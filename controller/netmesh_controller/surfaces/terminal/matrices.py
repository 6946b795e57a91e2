"""The matrices of a run: one a test in full where it fits the width, a summary where it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from rich.console import Console
from rich.text import Text

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER, TESTS
from netmesh_controller.mesh.derived import groups_of
from netmesh_controller.mesh.document import Cell, Node
from netmesh_controller.mesh.statistics.arrays import median_of
from netmesh_controller.mesh.table import Series, Table
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.grid import Entry, grid
from netmesh_controller.surfaces.terminal.map import map_lines
from netmesh_controller.surfaces.terminal.names import without_domain
from netmesh_controller.surfaces.terminal.overview import (
    gap_entry,
    group_lines,
    node_lines,
    other_lines,
    spread_lines,
    worst_lines,
)
from netmesh_controller.surfaces.terminal.units import Scale, scale_for
from netmesh_controller.surfaces.terminal.view import View, spread, view
from netmesh_controller.surfaces.terminal.words import (
    count,
    label,
    parameters_in_words,
    sentence,
    short,
    wrapped,
)


def show_matrices(
    console: Console,
    nodes: Sequence[Node],
    tables: Iterable[Table],
    cells: Iterable[Cell] = (),
    values: Collection[str] = (),
    by: str | None = None,
) -> None:
    """Prints the matrices of a run, sources in rows.

    Each test's first value is shown in full, and so is each of the further `values` (names of the catalogue); the
    others take one line each. `cells` give the sentences that explain gaps, where the run is not too large for them.
    `by` is a label, or `zone`: medians between the groups that it makes stand below each matrix in full; else those
    between zones do where the matrix does not fit.
    """
    examples = _examples(cells)
    plain = without_domain([node.name for node in nodes])
    shown_as = {node.name: name for node, name in zip(nodes, plain.names, strict=True)}
    named = [node.model_copy(update={"name": shown_as[node.name]}) for node in nodes]
    if note := plain.note():
        _print(console, [Text(line, palette.QUIET) for line in wrapped(f"node {note}", console.width)])
    for series, group in groupby(tables, key=lambda table: table.series):
        of_test = [_renamed(matrix, shown_as) for matrix in group]
        first = TESTS[series.test].headline_by(series.parameters.instrument)
        in_full = [m for m in of_test if m.value == first or m.value in values]
        for number, matrix in enumerate(in_full):
            if number:
                console.print()
            _print(console, _block(console, matrix, named, examples, shown_as, by))
        shown = {matrix.value for matrix in in_full}
        # Gaps of the first value are explained below its matrix.
        known = view(in_full[0]).gaps if in_full else Counter()
        others = []
        for matrix in of_test:
            if matrix.value not in shown:
                seen = view(matrix)
                others.append((label(matrix.value), seen, _scale(console, matrix, seen)))
        _print(console, other_lines(others, known, console.width))
        console.print()


def _renamed(matrix: Table, shown_as: Mapping[str, str]) -> Table:
    sources, targets = (tuple(shown_as.get(name, name) for name in names) for names in (matrix.sources, matrix.targets))
    return replace(matrix, sources=sources, targets=targets)


def _examples(cells: Iterable[Cell]) -> dict[tuple[Series, str], Cell]:
    """The first cell of each series and reason: its sentence explains the reason."""
    found: dict[tuple[Series, str], Cell] = {}
    for cell in cells:
        if cell.reason is not None:
            found.setdefault((Series.of(cell), cell.reason.code), cell)
    return found


def _print(console: Console, lines: Iterable[Text]) -> None:
    for line in lines:
        # The lines keep to the width themselves: rich must neither wrap nor colour them further.
        console.print(line, soft_wrap=True, highlight=False)


def _scale(console: Console, matrix: Table, seen: View) -> Scale:
    sizes = np.abs(seen.peers.numbers)
    sizes = sizes[sizes > 0]
    # The median alone says as much as all of them.
    numbers = [median_of(sizes)] if len(sizes) else []
    return scale_for(matrix.value, matrix.unit, numbers, ascii_only=console.options.ascii_only)


def _block(
    console: Console,
    matrix: Table,
    nodes: Sequence[Node],
    examples: Mapping[tuple[Series, str], Cell],
    shown_as: Mapping[str, str],
    by: str | None,
) -> list[Text]:
    seen, width = view(matrix), console.width
    scale = _scale(console, matrix, seen)
    measured = len(seen.peers) > 0
    unit = f", {scale.unit}" if measured and scale.unit else ""
    title = f"{matrix.series.test}, {label(matrix.value)}{unit}"
    about = f"{matrix.series.path}, {parameters_in_words(matrix.series.parameters)}, from row to column"
    lines = [Text(line, "bold") for line in wrapped(title, width)]
    if len(title) + 2 + len(about) <= width:
        lines[-1].append("  " + about, palette.QUIET)
    else:
        lines += [Text(line, palette.QUIET) for line in wrapped(about, width)]
    if measured and not len(seen.remote) and seen.remote_gaps.keys() <= {"not_scheduled", "not_applicable"}:
        # Only the diagonal is measured: a list says it shorter than a matrix.
        listed = ", ".join(f"{figure.source} {scale.text(figure.number)}" for figure in seen.local)
        lines += [Text(line) for line in wrapped(f"same node: {listed}", width, "  ")]
        return lines + _legend(matrix, seen.local_gaps, examples, shown_as, width, lines)
    if not measured and len(seen.remote_gaps) <= 1:
        # All pairs have one reason: a matrix would say it once for each.
        return lines + _legend(matrix, seen.gaps, examples, shown_as, width, lines)
    # A column takes two characters at least: of a million cells nothing is made that cannot be drawn.
    entries = _entries(matrix, seen, scale) if 2 * len(matrix.targets) <= width else []
    drawn = grid(matrix.sources, entries, width, matrix.targets) if entries else None
    if drawn is not None:
        lines += drawn
        lines += spread_lines(seen, scale, width)
    else:
        said = f"The matrix of {len(matrix.sources)} nodes is wider than {width} columns; in short:"
        lines += [Text(line, palette.QUIET) for line in wrapped(said, width, "  ")]
        lines += map_lines(matrix, seen, width)
        lines += spread_lines(seen, scale, width)
        lines += worst_lines(seen.remote, scale, matrix.value, width)
        lines += node_lines(seen.remote, scale, matrix.value, width)
    if by not in (None, "zone"):
        lines += group_lines(seen, groups_of(nodes, by), f"label {by}", scale, matrix.value, width, least=1)
    elif by is not None or drawn is None:
        lines += group_lines(seen, groups_of(nodes), "zones", scale, matrix.value, width)
    coloured = any(entry.style and entry.style not in (palette.QUIET, palette.GAP) for row in entries for entry in row)
    if drawn is not None and coloured and palette.has_colour(console):
        lines += [Text(line, palette.QUIET) for line in wrapped(palette.NOTE, width, "  ")]
    return lines + _legend(matrix, seen.gaps, examples, shown_as, width, lines)


def _entries(matrix: Table, seen: View, scale: Scale) -> list[list[Entry]]:
    more = matrix.value in MORE_IS_BETTER
    found = spread(seen.peers)
    rows: list[list[Entry]] = []
    for place, source in enumerate(matrix.sources):
        row: list[Entry] = []
        for column, target in enumerate(matrix.targets):
            local, number = source == target, matrix.number(place, column)
            if number is None or found is None:
                row.append(gap_entry(matrix.reason(place, column) or "", local=local))
                continue
            worst = (found.lowest if more else found.highest).number
            # What stays on a node is another thing than what leaves it: it has no part in the comparison.
            style = (
                palette.QUIET if local and len(seen.remote) else palette.style(number, found.middle, worst, more=more)
            )
            row.append(Entry(scale.text(number), style, local))
        rows.append(row)
    return rows


def _legend(
    matrix: Table,
    gaps: Counter[str],
    examples: Mapping[tuple[Series, str], Cell],
    shown_as: Mapping[str, str],
    width: int,
    above: Sequence[Text],
) -> list[Text]:
    """Each reason of the matrix: how often, and one sentence; what is short for it where that stands `above`."""
    lines: list[Text] = []
    for code, number in gaps.most_common():
        brief = short(code)
        name = f"{brief} = {code}" if brief != code and any(brief in line.plain for line in above) else code
        cell = examples.get((matrix.series, code))
        if cell is not None and cell.reason is not None:
            pair = " -> ".join(dict.fromkeys(shown_as.get(end, end) for end in (cell.source, cell.target)))
            said = cell.reason.message if number == 1 else f"for example {pair}: {cell.reason.message}"
        else:
            said = sentence(code) or ""
        text = f"{name} ({count(number, 'cell')}){': ' if said else ''}{said.rstrip('.')}"
        lines += [Text(line) for line in wrapped(text, width, "  ", "    ")]
    return lines
