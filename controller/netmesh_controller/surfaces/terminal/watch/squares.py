"""The matrix of a watched mesh, for any number of nodes: figures, a letter a pair, or a letter a block of pairs.

A time is held against the median between its two zones, and is only remarkable where it is half as long again and
`LEAST_SECONDS` more: what is noise stays without colour, so that a quiet mesh is a quiet picture. A bandwidth is
remarkable where it is two thirds of that median or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.grid import Entry, grid
from netmesh_controller.surfaces.terminal.names import shorten
from netmesh_controller.surfaces.terminal.units import Scale, scale_for
from netmesh_controller.surfaces.terminal.watch.bandwidths import Bandwidths
from netmesh_controller.surfaces.terminal.watch.seen import QUIET, Floats, Seen
from netmesh_controller.surfaces.terminal.words import joined, short

LEAST_SECONDS = 100e-6
_SLOW, _VERY_SLOW = 1.5, 3.0
_LOSS, _MUCH_LOSS = 0.0, 0.01
# How bad a place is; a block shows the worst of its pairs. A gap, of an agent that is gone, hides nothing that is bad.
NOTHING, USUAL, GAP, BAD, VERY_BAD = range(5)
_LETTERS = " .?oX"
_STYLES = ("", palette.QUIET, palette.GAP, palette.BAD, f"bold {palette.VERY_BAD}")
_INDENT = "  "


@dataclass(frozen=True, slots=True, eq=False)
class Square:
    """What a matrix shows, each of shape (nodes, nodes): numbers in SI units, NaN where there is none, reasons for none
    ("": nobody knows), and how bad each is. `words` tell what `o`, `X` and a blank stand for.
    """

    title: str
    nodes: tuple[str, ...]
    zones: tuple[str | None, ...]
    values: Floats
    reasons: NDArray[np.str_]
    levels: NDArray[np.int8]
    scale: Scale
    words: tuple[str, str, str]


def square_of(seen: Seen, shown: str, tested: Bandwidths | None = None) -> Square:
    """The matrix of `loss`, of a statistic of the times, or of `bandwidth`, where it is `tested`."""
    if shown == "bandwidth" and tested is not None:
        return Square(
            "TCP bandwidth, the last test of each pair",
            tested.nodes,
            tested.zones,
            tested.values,
            tested.reasons,
            slowness(tested),
            scale_for("bits_per_second", "bit/s", [float(one) for one in tested.values[np.isfinite(tested.values)]]),
            ("slow", "3 times as slow", "not tested yet"),
        )
    if shown == "loss":
        values, what, scale = seen.losses, "loss", scale_for("loss_ratio", "1", [])
        words = ("lost", f"{_MUCH_LOSS:.0%} and more lost", "not probed")
    else:
        values, what = seen.times, f"network round trip, {seen.statistic}"
        scale = scale_for(shown, "s", [float(one) for one in values[np.isfinite(values)]])
        words = ("slow", "3 times as slow", "not probed")
    reasons = np.where((seen.reasons == "") & np.isnan(values), "loss", seen.reasons)
    return Square(what, seen.nodes, seen.zones, values, reasons, ranks(seen, shown), scale, words)


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
    result[np.isin(seen.reasons, QUIET)] = NOTHING
    return result


def slowness(tested: Bandwidths) -> NDArray[np.int8]:
    """How bad each pair's bandwidth is."""
    result = np.full(tested.values.shape, USUAL, dtype=np.int8)
    usual = tested.usual
    result[_SLOW * tested.values <= usual] = BAD
    result[_VERY_SLOW * tested.values <= usual] = VERY_BAD
    result[tested.reasons != ""] = GAP
    result[np.isin(tested.reasons, QUIET)] = NOTHING
    return result


def matrix_lines(square: Square, width: int, height: int) -> list[Text]:
    """The matrix in at most `height` lines of `width`; none where not even a coarse map fits."""
    title = Text(f"{square.title}, {square.scale.unit}", "bold")
    title.append("  from row to column", palette.QUIET)
    drawn = grid(square.nodes, _entries(square), width) if len(square.nodes) + 3 <= height else None
    if drawn is not None and len(drawn) < height:
        return [title, *_with_zones(drawn, square.zones, height - 1)]
    return _map(square, title, width, height)


def _entries(square: Square) -> list[list[Entry]]:
    rows: list[list[Entry]] = []
    for row in range(len(square.nodes)):
        line: list[Entry] = []
        for column in range(len(square.nodes)):
            level, number = int(square.levels[row, column]), float(square.values[row, column])
            if row == column:
                line.append(Entry("·", palette.QUIET))
            elif np.isfinite(number):
                line.append(Entry(square.scale.text(number), "" if level == USUAL else _STYLES[level]))
            else:
                line.append(Entry(short(str(square.reasons[row, column])), _STYLES[level] or palette.QUIET))
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


def _map(square: Square, title: Text, width: int, height: int) -> list[Text]:
    """A letter a pair, or the worst of a block of pairs; blocks do not reach over the end of a zone."""
    room = height - 4
    if room < 1:
        return []
    for step in range(1, len(square.nodes) + 1):
        blocks = _blocks(square.zones, step)
        names = _heads(square, blocks)
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
            level = int(square.levels[rows[0] : rows[1], columns[0] : columns[1]].max())
            line.append(gutter + _LETTERS[level], _STYLES[level])
        line.rstrip()
        zone = square.zones[rows[0]]
        if len(set(square.zones)) > 1 and (rows[0] == 0 or zone != square.zones[rows[0] - 1]):
            beside = f"   zone {zone or '-'}"
            if line.cell_len + len(beside) <= width:
                line.append(beside, palette.QUIET)
        lines.append(line)
    bad, very, blank = square.words
    key = [f". usual, o {bad}, X {very}, ? no figure, blank: {blank}", "columns in the order of the rows"]
    if note := shorten(square.nodes).note():
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


def _heads(square: Square, blocks: Sequence[tuple[int, int]]) -> list[str]:
    cut = shorten(square.nodes).names
    return [cut[begin] if end - begin == 1 else f"{cut[begin]} … {cut[end - 1]}" for begin, end in blocks]
