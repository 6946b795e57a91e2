"""PNG and SVG: heatmaps to be pasted into a report. Each test's first value, or the values that were asked for."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.reports.content import Content
from netmesh_controller.surfaces.reports.formats import Format, ReportError, Wanted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
# A picture of more panels is read by nobody, and some programs refuse one larger than 65,535 pixels a side.
_MOST_PANELS = 40
_WIDEST = 21.0  # inches


def render(wanted: Wanted, ending: str) -> Iterator[bytes]:
    """The picture; ReportError where there is nothing to draw, or far too much."""
    panels = _panels(wanted)
    # Takes half a second to import, which no other command should wait for.
    import matplotlib as mpl  # noqa: PLC0415

    held = io.BytesIO()
    # Names come from strangers: a $ in one begins no formula. The same picture twice is the same file.
    with mpl.rc_context(
        {
            "text.parse_math": False,
            "svg.hashsalt": "netmesh",
            "hatch.linewidth": 0.7,
            "font.family": ["DejaVu Sans"],
            "axes.titlesize": 10,
        }
    ):
        figure = _draw(wanted.content, panels)
        when: dict[str, str | None] = {"Date": None} if ending == ".svg" else {}
        figure.savefig(
            held, format=ending.removeprefix("."), dpi=_DPI, metadata={**when, "Title": _title(wanted.content)}
        )
    yield held.getvalue()


def _panels(wanted: Wanted) -> list[Table]:
    statistic, found, there = wanted.choice.statistic, [], set[str]()
    for one in wanted.content.series:
        for value in wanted.headline(one.tables):
            there |= one.tables[value].keys()
            if statistic in one.tables[value]:
                found.append(one.tables[value][statistic])
    if not there:
        raise ReportError("the run has no matrix, so that there is nothing to draw")
    if not found:
        raise ReportError(f"--statistic: no value has '{statistic}'; there are {', '.join(sorted(there))}")
    if len(found) > _MOST_PANELS:
        raise ReportError(
            f"--output: {len(found)} heatmaps are too many for one picture; choose some with --path, --test, --value"
        )
    return found


def _draw(content: Content, panels: list[Table]) -> Figure:
    # The same as above: what needs matplotlib is imported where a picture is drawn.
    from matplotlib.figure import Figure  # noqa: PLC0415

    from netmesh_controller.surfaces.reports.drawing.panel import Panel, left_out, panel_inches  # noqa: PLC0415

    sizes = [panel_inches(table) for table in panels]
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    columns = min(len(panels), max(1, int(_WIDEST // width)))
    rows = math.ceil(len(panels) / columns)
    # Four are two by two, not three and one.
    columns = math.ceil(len(panels) / rows)
    # A narrow picture still has room for its title.
    figure = Figure(figsize=(max(columns * width, 6.0), rows * height + 0.8), layout="constrained")
    figure.suptitle(_title(content), fontsize=12, fontweight="bold", x=0.01, ha="left")
    zones = {node.name: node.zone for node in content.nodes}
    for number, table in enumerate(panels, start=1):
        Panel(table, zones).draw(figure.add_subplot(rows, columns, number))
    notes = dict.fromkeys(note for table in panels for note in left_out(table))
    figure.supxlabel(
        f"Rows send to columns; darker is worse; [in brackets]: within a node; hatched: a gap.  "
        f"{''.join(f'{note}.  ' for note in notes)}netmesh {content.run.netmesh_version}, run {content.run.id}",
        fontsize=7,
        color="#59616b",
        x=0.01,
        ha="left",
    )
    return figure


def _title(content: Content) -> str:
    run = content.run
    return f"{run.name or run.id}: {len(content.nodes)} nodes, {run.started_at[:16].replace('T', ' ')} UTC, {run.state}"


FORMAT = Format((".png", ".svg"), render)
