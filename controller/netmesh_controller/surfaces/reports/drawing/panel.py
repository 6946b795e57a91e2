"""One heatmap of a picture, by matplotlib."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize

from netmesh_controller.mesh.catalogue import MORE_IS_BETTER
from netmesh_controller.mesh.table import Table
from netmesh_controller.surfaces.reports.scales import peers, robust_range
from netmesh_controller.surfaces.terminal.names import shorten
from netmesh_controller.surfaces.terminal.units import Scale, scale_for
from netmesh_controller.surfaces.terminal.words import QUIET_CODES, label, parameters_in_words, short

_INK, _MUTED, _QUIET, _GAP = "#16191d", "#59616b", "#e4e8ed", "#c4540a"
_TEXT_UP_TO = 14
_LABELS_UP_TO = 100
_LONGEST = 24


def panel_inches(table: Table) -> tuple[float, float]:
    """Width and height of a panel: enough for each name up to a hundred nodes, no more than fits a page above."""
    width, height = _inner_inches(table)
    names = 0.075 * min(max(map(len, table.sources)), _LONGEST)
    below = 0.075 * min(max(map(len, table.targets)), _LONGEST)
    return max(width + names + 1.5, 4.4), height + below + 1.3


def _inner_inches(table: Table) -> tuple[float, float]:
    """Width and height of the cells themselves."""
    rows, columns = table.values.shape
    each = 0.62 if max(rows, columns) <= _TEXT_UP_TO else 0.15 if max(rows, columns) <= _LABELS_UP_TO else 0.012
    return min(max(each * columns, 1.6), 12.0), min(max(each * rows, 1.6), 12.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """A table, and the zones of its nodes by name."""

    table: Table
    zones: Mapping[str, str | None]

    def draw(self, axes: Axes) -> None:
        """Draws into `axes`: numbers in colour, gaps hatched, names, zones, a colour bar with the unit."""
        table = self.table
        scale = scale_for(table.value, table.unit, peers(table).tolist())
        more = table.value in MORE_IS_BETTER
        low, high = (end * scale.factor for end in robust_range(table))
        rows, columns = table.values.shape
        numbers = np.ma.masked_invalid(table.values * scale.factor)
        # What nothing is drawn over is a gap: the ground is hatched.
        axes.patch.set(facecolor="white", edgecolor=_GAP, hatch="/////", linewidth=0)
        axes.imshow(self._quiet(), cmap=_flat(_QUIET), aspect="equal", interpolation="none")
        image = axes.imshow(
            numbers,
            cmap="cividis" if more else "cividis_r",
            norm=Normalize(low, high),
            aspect="equal",
            interpolation="none",
        )
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        self._names(axes)
        self._borders(axes)
        if max(rows, columns) <= _TEXT_UP_TO:
            self._figures(axes, scale, low, high, more=more)
        if table.known.any():  # a scale of no numbers would be made up
            bar = axes.figure.colorbar(
                image,
                ax=axes,
                shrink=0.85,
                pad=0.02,
                aspect=25 if rows <= _TEXT_UP_TO else 45,
                extend=self._beyond(low, high, scale),
            )
            bar.set_label(scale.unit or label(table.value), color=_INK)
            bar.outline.set_visible(False)
        for spine in axes.spines.values():
            spine.set_color(_MUTED)
        self._title(axes)

    def _title(self, axes: Axes) -> None:
        table = self.table
        what = f"{table.series.path}: {table.series.test}, {label(table.value)}"
        how = parameters_in_words(table.series.parameters)
        gaps = Counter(table.codes[code] for code in table.reasons[table.reasons > 0].tolist())
        said = [f"{code} {number}" for code, number in gaps.most_common() if code not in QUIET_CODES]
        statistic = "" if table.statistic == "mean" else f", {table.statistic}"
        lines = [f"{what}{statistic}", f"{how}" + (f"; gaps: {', '.join(said)}" if said else "")]
        axes.set_title("\n".join(lines), loc="left", pad=18 if self._zone_runs() else 6)

    def _quiet(self) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]:
        """Where nobody expected a number."""
        table = self.table
        quiet = np.array([code in QUIET_CODES for code in table.codes])
        return np.ma.masked_where(~quiet[table.reasons], np.zeros(table.values.shape))

    def _names(self, axes: Axes) -> None:
        for axis, names in ((axes.yaxis, self.table.sources), (axes.xaxis, self.table.targets)):
            shown = _labels(names)
            step = 1 if len(names) <= _LABELS_UP_TO else -(-len(names) // 50)
            places = range(0, len(names), step)
            axis.set_ticks(list(places), [shown[place] for place in places], fontsize=9 if len(names) <= 40 else 6.5)
        if len(self.table.targets) > 6 or max(map(len, _labels(self.table.targets))) > 8:
            axes.tick_params(axis="x", labelrotation=90)
        axes.tick_params(length=0, colors=_INK)

    def _zone_runs(self) -> list[tuple[str, int, int]]:
        """Zones of the columns with the first and last place of each; empty where there are no two."""
        runs, place = [], 0
        for zone, group in groupby(self.zones.get(name) for name in self.table.targets):
            size = len(list(group))
            runs.append((zone or "no zone", place, place + size - 1))
            place += size
        return runs if len(runs) > 1 else []

    def _borders(self, axes: Axes) -> None:
        zones = self._zone_runs()
        for _, first, _ in zones[1:]:
            axes.axvline(first - 0.5, color=_INK, linewidth=1.2)
        before = object()
        for place, name in enumerate(self.table.sources):
            zone = self.zones.get(name)
            if place and zone != before:
                axes.axhline(place - 0.5, color=_INK, linewidth=1.2)
            before = zone
        inches = _inner_inches(self.table)[0] / max(len(self.table.targets), 1)
        for zone, first, last in zones:
            if (last - first + 1) * inches >= 0.075 * min(len(zone), _LONGEST):
                x = (first + last) / 2
                axes.annotate(
                    _cut(zone), (x, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                    ha="center", va="bottom", fontsize=8, color=_MUTED,
                )  # fmt: skip

    def _figures(self, axes: Axes, scale: Scale, low: float, high: float, *, more: bool) -> None:
        table = self.table
        for row, source in enumerate(table.sources):
            for column, target in enumerate(table.targets):
                code = table.reason(row, column)
                if code is not None:
                    box = None if code in QUIET_CODES else {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
                    said = "-" if code in QUIET_CODES else short(code)
                    axes.text(column, row, said, ha="center", va="center", fontsize=8, color=_INK, bbox=box)
                    continue
                number = float(table.values[row, column])
                place = (number * scale.factor - low) / (high - low)
                dark = (place if more else 1 - place) < 0.55
                said = scale.text(number)
                axes.text(
                    column, row, f"[{said}]" if source == target else said, ha="center", va="center", fontsize=8,
                    color="white" if dark else "#111111",
                )  # fmt: skip

    def _beyond(self, low: float, high: float, scale: Scale) -> str:
        """At which ends numbers lie outside of the colours, as matplotlib calls it."""
        numbers = self.table.values[self.table.known] * scale.factor
        under, over = bool((numbers < low).any()), bool((numbers > high).any())
        return {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
            under, over
        ]


def left_out(table: Table) -> list[str]:
    """What the names on the axes are without, for whoever reads the picture alone."""
    found = [shorten(names).note() for names in (table.sources, table.targets) if not _whole(names)]
    return [f"{note[0].upper()}{note[1:]}" for note in dict.fromkeys(found) if note]


def _labels(names: Sequence[str]) -> list[str]:
    """Names for an axis: without what all share where there are many or they are long."""
    return [_cut(name) for name in (names if _whole(names) else shorten(names).names)]


def _whole(names: Sequence[str]) -> bool:
    return len(names) <= _TEXT_UP_TO and max(map(len, names)) <= 12


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:10]}…{name[-13:]}"


def _flat(colour: str) -> ListedColormap:
    return ListedColormap([colour])
