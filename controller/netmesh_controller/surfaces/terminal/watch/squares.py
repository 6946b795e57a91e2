"""The matrix of a watched mesh, for any number of nodes: figures, a letter a pair, or a letter a block of pairs.

A time is held against the median between its two zones, and is only remarkable where it is half as long again and
`LEAST_SECONDS` more: what is noise stays without colour, so that a quiet mesh is a quiet picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.grid import Entry, grid
from netmesh_controller.surfaces.terminal.names import shorten
from netmesh_controller.surfaces.terminal.units import scale_for
from netmesh_controller.surfaces.terminal.watch.seen import Floats, Seen
from netmesh_controller.surfaces.terminal.words import joined, short

LEAST_SECONDS = 100e-6
_SLOW, _VERY_SLOW = 1.5, 3.0
_LOSS, _MUCH_LOSS = 0.0, 0.01
# How bad a place is; a block shows the worst of its pairs. A gap, of an agent that is gone, hides nothing that is bad.
NOTHING, USUAL, GAP, BAD, VERY_BAD = range(5)
_LETTERS = " .?oX"
_STYLES = ("", palette.QUIET, palette.GAP, palette.BAD, f"bold {palette.VERY_BAD}")
_INDENT = "  "


def ranks(seen: Seen, shown: str) -> NDArray[np.int8]:
    """How bad each pair is, as the numbers above; `shown` is `loss` or a statistic of the times."""
    result = np.full(seen.losses.shape, USUAL, dtype=np.int8)
    if shown == "loss":
        result[seen.losses > _LOSS] = BAD
        result[seen.losses >= _MUCH_LOSS] = VERY_BAD
    else:
        usual = seen.usual
        remarkable = seen.times >= usual + LEAST_SECONDS
        result[remarkable & (seen.times >= _SLOW * usual)] = BAD
        result[remarkable & (seen.times >= _VERY_SLOW * usual)] = VERY_BAD
        # All probes were lost, or none came back with its stamps: there is no time, and a reason to look.
        result[np.isnan(seen.times)] = GAP
    result[seen.reasons != ""] = GAP
    result[np.isin(seen.reasons, ("not_applicable", "not_scheduled"))] = NOTHING
    return result


def matrix_lines(seen: Seen, shown: str, width: int, height: int) -> list[Text]:
    """The matrix in at most `height` lines of `width`; none where not even a coarse map fits."""
    values = seen.losses if shown == "loss" else seen.times
    known = values[np.isfinite(values)]
    scale = (
        scale_for("loss_ratio", "1", []) if shown == "loss" else scale_for(shown, "s", [float(one) for one in known])
    )
    levels = ranks(seen, shown)
    what = "loss" if shown == "loss" else f"network round trip, {shown}"
    title = Text(f"{what}, {scale.unit}", "bold")
    title.append("  from row to column", palette.QUIET)
    entries = _entries(seen, values, levels, scale.text)
    drawn = grid(seen.nodes, entries, width) if len(seen.nodes) + 3 <= height else None
    if drawn is not None and len(drawn) < height:
        return [title, *_with_zones(drawn, seen.zones, height - 1)]
    return _map(seen, levels, title, width, height)


def _entries(seen: Seen, values: Floats, levels: NDArray[np.int8], text: Callable[[float], str]) -> list[list[Entry]]:
    rows: list[list[Entry]] = []
    for row in range(len(seen.nodes)):
        line: list[Entry] = []
        for column in range(len(seen.nodes)):
            code, number = str(seen.reasons[row, column]), float(values[row, column])
            if row == column:
                line.append(Entry("·", palette.QUIET))
            elif np.isfinite(number):
                level = int(levels[row, column])
                line.append(Entry(text(number), "" if level == USUAL else _STYLES[level]))
            else:
                line.append(Entry(short(code or "loss"), _STYLES[int(levels[row, column])] or palette.QUIET))
        rows.append(line)
    return rows


def _with_zones(lines: Sequence[Text], zones: Sequence[str | None], height: int) -> list[Text]:
    """A line before the rows of each zone, where there are several and there is room."""
    names = list(dict.fromkeys(zones))
    if len(names) < 2 or len(lines) + len(names) > height:
        return list(lines)
    result = [lines[0]]
    for place, line in enumerate(lines[1 : len(zones) + 1]):
        if place == 0 or zones[place] != zones[place - 1]:
            result.append(Text(f"{_INDENT}zone {zones[place] or '-'}", palette.QUIET))
        result.append(line)
    return [*result, *lines[len(zones) + 1 :]]


def _map(seen: Seen, levels: NDArray[np.int8], title: Text, width: int, height: int) -> list[Text]:
    """A letter a pair, or the worst of a block of pairs; blocks do not reach over the end of a zone."""
    room = height - 4
    if room < 1:
        return []
    for step in range(1, len(seen.nodes) + 1):
        blocks = _blocks(seen.zones, step)
        names = _heads(seen, blocks)
        head = max(map(len, names))
        if len(blocks) <= room and len(_INDENT) + head + 1 + len(blocks) <= width:
            break
    else:
        return []
    gutter = " " if len(_INDENT) + head + 1 + 2 * len(blocks) <= width else ""
    lines = [title]
    for name, rows in zip(names, blocks, strict=True):
        line = Text(_INDENT)
        line.append(name.rjust(head), "bold")
        line.append(" ")
        for columns in blocks:
            level = int(levels[rows[0] : rows[1], columns[0] : columns[1]].max())
            line.append(gutter + _LETTERS[level], _STYLES[level])
        line.rstrip()
        zone = seen.zones[rows[0]]
        if len(set(seen.zones)) > 1 and (rows[0] == 0 or zone != seen.zones[rows[0] - 1]):
            beside = f"   zone {zone or '-'}"
            if line.cell_len + len(beside) <= width:
                line.append(beside, palette.QUIET)
        lines.append(line)
    bad, very = (
        ("lost", f"{_MUCH_LOSS:.0%} and more lost") if title.plain.startswith("loss") else ("slow", "3 times as slow")
    )
    key = [f". usual, o {bad}, X {very}, ? no figure, blank: not probed", "columns in the order of the rows"]
    if note := shorten(seen.nodes).note():
        key.append(note)
    if step > 1:
        key.insert(0, f"a letter is the worst of up to {step} x {step} pairs")
    return lines + [Text(one, palette.QUIET) for one in joined(key, width, _INDENT)][: height - len(lines)]


def _blocks(zones: Sequence[str | None], step: int) -> list[tuple[int, int]]:
    """Stretches of at most `step` nodes, each of one zone where a zone has as many."""
    result: list[tuple[int, int]] = []
    begin = 0
    for place in range(1, len(zones) + 1):
        if place == len(zones) or place - begin == step or (zones[place] != zones[begin]):
            result.append((begin, place))
            begin = place
    return result


def _heads(seen: Seen, blocks: Sequence[tuple[int, int]]) -> list[str]:
    cut = shorten(seen.nodes).names
    return [cut[begin] if end - begin == 1 else f"{cut[begin]} … {cut[end - 1]}" for begin, end in blocks]
