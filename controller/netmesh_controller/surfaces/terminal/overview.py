"""What a matrix says in a few lines: its ends and its middle, and for many nodes its worst pairs and its zones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from rich.text import Text

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER
from netmesh_controller.mesh.natural import natural
from netmesh_controller.mesh.statistics import median
from netmesh_controller.surfaces.terminal import palette
from netmesh_controller.surfaces.terminal.grid import Entry, grid
from netmesh_controller.surfaces.terminal.units import Scale
from netmesh_controller.surfaces.terminal.view import Figures, View, medians, spread
from netmesh_controller.surfaces.terminal.words import QUIET_CODES, joined, short, wrapped

WORST_PAIRS = 10
WORST_NODES = 3
# Of fewer nodes the pairs say it all.
LEAST_NODES = 6


def spread_lines(seen: View, scale: Scale, width: int) -> list[Text]:
    """Minimum, median and maximum of the pairs of nodes, and of the same node, with where they are."""
    lines: list[Text] = []
    for name, figures, end in (("remote", seen.remote, ""), ("[local]", seen.local, " (same node)")):
        found = spread(figures)
        if found is None:
            continue
        parts = [
            f"min {scale.text(found.lowest.number)} {found.lowest.pair}",
            f"median {scale.text(found.middle)}",
            f"max {scale.text(found.highest.number)} {found.highest.pair}{end}",
        ]
        if found.count == 1:
            parts = [f"{scale.text(found.middle)} {found.lowest.pair}{end}"]
        lines += [Text(line) for line in joined(parts, width, f"  {name:<8} ")]
    return lines


def worst_lines(figures: Figures, scale: Scale, value: str, width: int) -> list[Text]:
    """The worst pairs, worst first, each with how far it is from the median."""
    more = value in MORE_IS_BETTER
    found = spread(figures)
    if found is None or found.lowest.number == found.highest.number:
        return []
    ordered = figures.first(WORST_PAIRS, highest=not more)
    worst = ordered[0].number
    lines = [Text(f"  worst {len(ordered)} pairs", "bold")]
    for figure in ordered:
        line = Text("  ")
        style = palette.style(figure.number, found.middle, worst, more=more)
        line.append(f"{scale.text(figure.number):>9}", style)
        share = f"{figure.number / found.middle:.2f} of the median" if found.middle else "the median is 0"
        line.append(f"  {share:<20}  {figure.pair}")
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def node_lines(figures: Figures, scale: Scale, value: str, width: int) -> list[Text]:
    """The nodes whose median, of what they send or of what they receive, is clearly worse than that of all pairs."""
    found = spread(figures)
    if found is None:
        return []
    more = value in MORE_IS_BETTER
    lines: list[Text] = []
    ends = (("sends", figures.sources, figures.rows), ("receives", figures.targets, figures.columns))
    for head, names, places in ends:
        by_node = medians(figures.numbers, places)
        if len(by_node) < LEAST_NODES:
            return []
        ordered = sorted(((number, names[place]) for place, number in by_node.items()), reverse=not more)
        told = [
            f"{name} {scale.text(number)}{_beside(number, found.middle)}"
            for number, name in ordered[:WORST_NODES]
            if palette.worse_by(number, found.middle, more=more) >= palette.NOTABLE
        ]
        lines += [Text(line) for line in joined(told, width, f"  {head:<8} ")] if told else []
    if not lines:
        return []
    return [Text("  worst nodes: their median, and beside that of all pairs", "bold"), *lines]


def _beside(number: float, middle: float) -> str:
    return f" ({number / middle:.2f})" if middle else ""


def group_lines(
    seen: View, groups: Mapping[str, str], what: str, scale: Scale, value: str, width: int, least: int = 2
) -> list[Text]:
    """Medians between groups of nodes, sources in rows; the diagonal is between nodes of one group.

    `groups` is by node, and `what` says what they are ("zones"). Empty with fewer than `least` groups.
    """
    names = sorted(set(groups.values()), key=natural)
    if len(names) < least:
        return []
    by_group = _by_groups(seen.remote, groups, names)
    if not by_group:
        return []
    more = value in MORE_IS_BETTER
    middle = median(by_group.values())
    worst = (min if more else max)(by_group.values())

    def entry(source: str, target: str) -> Entry:
        number = by_group.get((source, target))
        if number is None:
            return Entry("none", palette.GAP)
        return Entry(scale.text(number), palette.style(number, middle, worst, more=more))

    rows = [[entry(source, target) for target in names] for source in names]
    title = Text(f"  median by {what}, from row to column", "bold")
    drawn = grid(names, rows, width)
    if drawn is not None:
        return [title, *drawn]
    ordered = sorted(by_group.items(), key=lambda item: item[1], reverse=not more)[:WORST_PAIRS]
    lines = [Text(f"  worst {len(ordered)} of {len(by_group)} pairs of {what}, by median", "bold")]
    for (source, target), number in ordered:
        line = Text(f"  {scale.text(number):>9}  {source} -> {target}")
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _by_groups(figures: Figures, groups: Mapping[str, str], names: Sequence[str]) -> dict[tuple[str, str], float]:
    """The median of each pair of groups, in the order in which the matrix has them."""
    place = {name: number for number, name in enumerate(names)}
    rows, columns = (
        np.array([place[groups[node]] if node in groups else -1 for node in nodes], dtype=np.intp)[places]
        for nodes, places in ((figures.sources, figures.rows), (figures.targets, figures.columns))
    )
    there = np.flatnonzero((rows >= 0) & (columns >= 0))
    pairs = rows[there] * len(names) + columns[there]
    by_pair = medians(figures.numbers[there], pairs)
    kinds, begins = np.unique(pairs, return_index=True)
    return {
        (names[pair // len(names)], names[pair % len(names)]): by_pair[pair]
        for pair in kinds[np.argsort(begins)].tolist()
    }


def other_lines(others: Sequence[tuple[str, View, Scale]], known: Counter[str], width: int) -> list[Text]:
    """Further values, one line each: minimum, median and maximum over the pairs of nodes, or why there is none.

    `known` are gaps that are told elsewhere.
    """
    if not others:
        return []
    head = max(len("also, remote"), *(len(name) for name, _, _ in others))
    kind = "also, remote" if any(len(seen.remote) for _, seen, _ in others) else "also"
    lines = [Text(f"  {kind:<{head}}  {'min':>8}  {'median':>8}  {'max':>8}", "bold")]
    without: dict[tuple[str, ...], list[str]] = {}
    for name, seen, scale in others:
        found = spread(seen.peers)
        if found is None:
            without.setdefault(tuple(_reasons(seen.gaps - known) or _reasons(seen.gaps)), []).append(name)
            continue
        ends = (scale.text(found.lowest.number), scale.text(found.middle), scale.text(found.highest.number))
        row = f"  {name:<{head}}  " + "  ".join(f"{text:>8}" for text in ends)
        tail = [scale.unit] if scale.unit else []
        tail += _reasons((seen.remote_gaps if len(seen.remote) else seen.local_gaps) - known)
        lines += [Text(line) for line in (joined(tail, width, row + "  ") if tail else [row])]
    if len(lines) == 1:
        # No number stands below the heads.
        lines = []
    for reasons, names in without.items():
        said = f"no number, {', '.join(reasons)}: {'; '.join(names)}"
        lines += [Text(line, palette.QUIET) for line in wrapped(said, width, "  ", "    ")]
    return lines


def _reasons(gaps: Counter[str]) -> list[str]:
    return [f"{code} ({number})" for code, number in gaps.most_common()]


def gap_entry(code: str, *, local: bool) -> Entry:
    """A gap inside a matrix."""
    return Entry(short(code), palette.QUIET if code in QUIET_CODES else palette.GAP, local)
