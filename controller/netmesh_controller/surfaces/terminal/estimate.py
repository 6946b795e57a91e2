"""What a sweep will do and cost, before it starts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from netmesh_common.units import format_bytes, format_duration
from netmesh_controller.mesh.outline import Outline
from netmesh_controller.surfaces.terminal.words import clean, count, wrapped

_HEAD = 10
_NAMES_SHOWN = 6
_ZONE_PAIRS_SHOWN = 6


def show_remarks(console: Console, remarks: Sequence[str]) -> None:
    """Prints what was noticed before the start, a sentence each; where there is no terminal on one line each."""
    for sentence in remarks:
        for line in wrapped(sentence, console.width) if console.is_terminal else [clean(sentence)]:
            # A text has no markup: an address in brackets stays.
            console.print(Text(line), highlight=False, soft_wrap=True)


def show_estimate(console: Console, outline: Outline) -> None:
    """Prints nodes, tests, numbers, time, traffic, and the gaps that are known beforehand, with a reason each."""
    each = f"{format_duration(outline.duration_seconds)} each"
    used = {tool for test in outline.tests for tool in test.instruments}
    if warmed := [tool for tool in ("iperf3", "stamp") if tool in used and outline.omit_seconds]:
        each += f" ({' and '.join(warmed)} after {format_duration(outline.omit_seconds)} of warm-up)"
    cells = "" if outline.cells == outline.measurements else f" of {count(outline.cells, 'cell')}"
    work = f"{count(outline.measurements, 'measurement')}{cells}, {each}, pairs {outline.pairs}"
    if outline.repeat > 1:
        work += f", {outline.repeat} repeats"
    if outline.max_concurrent is not None:
        work += f", at most {outline.max_concurrent} at once"
    if outline.per_zone_pair is not None:
        work += f", at most {outline.per_zone_pair} at once between two zones"
    expected, least = format_duration(outline.expected_seconds), format_duration(outline.lower_bound_seconds)
    time = f"about {expected}, at least {least}" if outline.measurements else "nothing to measure"
    if outline.until is not None and outline.most_seconds is not None:
        work += f", each cell up to {outline.most_repeats} times until {outline.until}"
        time += f", at most about {format_duration(outline.most_seconds)}"
    if outline.budget_seconds is not None:
        time += f", within {format_duration(outline.budget_seconds)}"
    rows = [("nodes", _nodes(outline)), ("tests", _tests(outline)), ("plan", work), ("time", time)]
    if outline.measurements:
        rows.append(("traffic", _traffic(outline)))
        if crossing := _between_zones(outline):
            rows.append(("", crossing))
    if outline.gap_cells:
        known = f"{count(outline.gap_cells, 'cell')} cannot be measured, known before the start:"
        rows += [("gaps", known), *(("", line) for line in _gaps(outline))]
    for head, text in rows:
        for number, line in enumerate(wrapped(text, console.width, head.ljust(_HEAD))):
            shown = Text(line)
            if number == 0:
                shown.stylize("bold", 0, len(head))
            console.print(shown, soft_wrap=True, highlight=False)
    console.print()


def _nodes(outline: Outline) -> str:
    names = outline.nodes
    if len(names) > _NAMES_SHOWN:
        names = [*names[: _NAMES_SHOWN - 2], "...", names[-1]]
    where = f" in {count(outline.zones, 'zone')}" if outline.zones else ""
    return f"{len(outline.nodes)}{where}: {', '.join(names)}"


def _tests(outline: Outline) -> str:
    tests = [f"{each.test} by {' and '.join(each.instruments)}" for each in outline.tests]
    return f"{', '.join(tests)}; {', '.join(outline.paths)}"


def _traffic(outline: Outline) -> str:
    if outline.traffic_bytes is None:
        return f"unknown: {outline.traffic_note}"
    most = outline.most_traffic_bytes
    repeats = "" if most is None else f", up to {format_bytes(most)} with all repeats"
    return f"{format_bytes(outline.traffic_bytes)}, {outline.traffic_note}{repeats}"


def _between_zones(outline: Outline) -> str | None:
    """Traffic from zone to zone, what crosses first and the most first; None where there is one zone, or none."""
    parts = sorted(
        outline.traffic_by_zone_pair,
        key=lambda part: (part.zones[0] == part.zones[1], -(part.traffic_bytes or 0), part.zones),
    )
    if all(part.zones[0] == part.zones[1] for part in parts):
        return None
    shown = [
        f"{' -> '.join(part.zones)} {'unknown' if part.traffic_bytes is None else format_bytes(part.traffic_bytes)}"
        for part in parts[:_ZONE_PAIRS_SHOWN]
    ]
    more = len(parts) - len(shown)
    return f"by zone: {', '.join(shown)}" + (f" and {count(more, 'further pair')}" if more else "")


def _gaps(outline: Outline) -> list[str]:
    """One line a reason and sentence, the commonest first."""
    shown = [f"{gap.code} ({gap.cells}): {gap.message}" for gap in outline.gaps]
    if outline.further_reasons:
        shown.append(f"and {count(outline.further_reasons, 'further reason')}")
    return shown
