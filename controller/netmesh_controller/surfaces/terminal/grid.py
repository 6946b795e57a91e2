"""A matrix as aligned columns, where it fits the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from netmesh_controller.surfaces.terminal.names import shorten
from netmesh_controller.surfaces.terminal.palette import QUIET

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in one place, and its style; `local` marks a place on the diagonal."""

    text: str
    style: str = ""
    local: bool = False


def grid(
    names: Sequence[str], rows: Sequence[Sequence[Entry]], width: int, targets: Sequence[str] | None = None
) -> list[Text] | None:
    """The lines of the matrix, None where it is wider than `width`; names are shortened only where that makes it fit.

    `targets` are the columns where they are not the same as the rows. Local entries stand in brackets; a line says
    which parts of names were left out.
    """
    for heads, columns, said in _namings(tuple(names), tuple(targets if targets is not None else names)):
        lines = _lines(heads, columns, rows, width)
        if lines is not None and (said is None or len(_INDENT + said) <= width):
            return lines if said is None else [*lines, Text(_INDENT + said, QUIET)]
    return None


def _namings(
    names: tuple[str, ...], targets: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], str | None]]:
    """Heads of rows and of columns, each shorter than the one before, and what is said of them."""
    cut = shorten(names)
    note = cut.note()
    yield names, targets, None
    if targets != names:
        yield cut.names, targets, note
        numbers = tuple(str(position) for position in range(1, len(targets) + 1))
        columns = ", ".join(f"{number} {name}" for number, name in zip(numbers, targets, strict=True))
        yield names, numbers, f"columns: {columns}"
        yield cut.names, numbers, "; ".join(filter(None, (f"columns: {columns}", note)))
        return
    numbers = tuple(str(position) for position in range(1, len(names) + 1))
    by_number = "columns have the numbers of the rows"
    yield names, cut.names, note and f"columns: {note}"
    yield cut.names, cut.names, note
    yield tuple(f"{number}  {name}" for number, name in zip(numbers, names, strict=True)), numbers, by_number
    numbered = tuple(f"{number}  {name}" for number, name in zip(numbers, cut.names, strict=True))
    yield numbered, numbers, f"{by_number}; {note}" if note else by_number


def _lines(
    heads: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Entry]], width: int
) -> list[Text] | None:
    head = max(map(len, heads))
    # A bracket stands right of the digits, so every text ends one place before its column does.
    own = [max([len(column), *(_room(row[index]) for row in rows)]) for index, column in enumerate(columns)]
    for widths, gutter in (([max(own)] * len(own), 2), (own, 2), (own, 1)):
        if len(_INDENT) + head + sum(widths) + (gutter + 1) * len(widths) <= width:
            break
    else:
        return None
    top = Text(_INDENT + " " * head)
    for column, room in zip(columns, widths, strict=True):
        top.append(" " * gutter + column.rjust(room) + " ", "bold")
    lines = [top]
    for name, row in zip(heads, rows, strict=True):
        line = Text(_INDENT)
        line.append(name.ljust(head), "bold")
        for entry, room in zip(row, widths, strict=True):
            text = f"[{entry.text}]" if entry.local else f"{entry.text} "
            line.append(" " * (gutter + room + 1 - len(text)))
            line.append(text, entry.style)
        lines.append(line)
    for line in lines:
        line.rstrip()
    return lines


def _room(entry: Entry) -> int:
    return len(entry.text) + entry.local
