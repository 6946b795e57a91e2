"""A matrix as a map, a letter a pair: where numbers have no room, rows, columns and blocks still show."""

from __future__ import annotations

from rich.text import Text

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.names import shorten
from netmesh_controller.surfaces.terminal.view import View, spread
from netmesh_controller.surfaces.terminal.words import QUIET_CODES, joined

# More rows are no longer seen at one glance.
MOST_ROWS = 64
_INDENT = "  "
# Worse than the median by this factor at least; the worst first.
_STEPS = ((3.0, "#"), (1.5, "O"), (palette.NOTABLE, "o"))
_BETTER, _USUAL, _GAP, _LOCAL, _QUIET = "+", ".", "x", "\\", " "
_KEY = (
    f"{_USUAL} within 10 % of the median",
    f"{_BETTER} better",
    "o worse",
    "O by half and more",
    "# three times and more",
    f"{_GAP} gap",
    f"{_LOCAL} same node",
)


def map_lines(matrix: Table, seen: View, width: int) -> list[Text]:
    """The lines of the map and its key; none where it is wider than `width`, too high, or has no number, or leads
    out of the mesh."""
    found = spread(seen.remote)
    if matrix.sources != matrix.targets:
        return []
    names = shorten(matrix.sources).names
    head = max(map(len, names))
    room = width - len(_INDENT) - head - 2
    if found is None or len(matrix.sources) > MOST_ROWS or len(matrix.targets) > room:
        return []
    gutter = " " if 2 * len(matrix.targets) <= room else ""
    more = matrix.value in MORE_IS_BETTER
    lines = []
    for row, (name, source) in enumerate(zip(names, matrix.sources, strict=True)):
        line = Text(_INDENT)
        line.append(name.rjust(head), "bold")
        line.append(" ")
        for column, target in enumerate(matrix.targets):
            number, reason = matrix.number(row, column), matrix.reason(row, column)
            letter, style = _letter(number, reason, found.middle, more=more, local=source == target)
            line.append(gutter + letter, style)
        line.rstrip()
        lines.append(line)
    note = shorten(matrix.sources).note()
    said = [*_KEY, "columns in the order of the rows", *([note] if note else [])]
    return lines + [Text(one, palette.QUIET) for one in joined(said, width, _INDENT)]


def _letter(number: float | None, reason: str | None, middle: float, *, more: bool, local: bool) -> tuple[str, str]:
    if number is None:
        return (_QUIET, "") if reason in QUIET_CODES else (_GAP, palette.GAP)
    if local:
        return _LOCAL, palette.QUIET
    factor = palette.worse_by(number, middle, more=more)
    if factor <= 1 / palette.NOTABLE:
        return _BETTER, palette.GOOD
    for least, letter in _STEPS:
        if factor >= least:
            return letter, palette.VERY_BAD if letter != "o" else palette.BAD
    return _USUAL, palette.QUIET
