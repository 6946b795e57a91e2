"""All single observations of a series' tests together, as a line: which share of them took longer than what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The library has no types.
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from netmesh_controller.mesh.document import Cell
from netmesh_controller.mesh.statistics.merged import merged

_NANOSECONDS = 1e-9
# Reading a histogram takes a millisecond.
MOST_HISTOGRAMS = 20_000
_POINTS = 400


@dataclass(frozen=True, slots=True)
class Observations:
    """`above[i]` (ratio) is the share of the `count` observations that are larger than `values[i]` (seconds)."""

    values: tuple[float, ...]
    above: tuple[float, ...]
    count: int


def observed(cells: Sequence[Cell]) -> dict[str, Observations]:
    """The observations of measured cells between nodes, by value; the same node's are another thing.

    A value is left out where a cell that gives it kept no histogram, since a part is not the whole.
    """
    remote = [cell for cell in cells if cell.outcome == "measured" and cell.source != cell.target]
    found: dict[str, Observations] = {}
    for value in dict.fromkeys(name for cell in remote for name in cell.histograms):
        giving = [cell for cell in remote if cell.values.get(value) is not None]
        if len(giving) > MOST_HISTOGRAMS or any(value not in cell.histograms for cell in giving):
            continue
        whole = merged(cell.histograms[value] for cell in giving)
        count = 0 if whole is None else int(whole.get_total_count())
        if count:
            found[value] = _curve(whole, count)
    return found


def _curve(whole: HdrHistogram, count: int) -> Observations:
    values: list[float] = []
    above: list[float] = []
    passed = 0
    for item in whole.get_recorded_iterator():
        passed += int(item.count_added_in_this_iter_step)
        values.append(int(item.value_iterated_to) * _NANOSECONDS)
        above.append((count - passed) / count)
    # The last one has nothing above it, which a logarithmic axis cannot show.
    values, above = values[:-1] or values, above[:-1] or [1 / count]
    step = max(1, len(values) // _POINTS)
    # Thin where it is crowded; the tail, where each observation counts, stays whole.
    kept = [place for place in range(len(values)) if place % step == 0 or above[place] < 0.02]
    return Observations(tuple(values[place] for place in kept), tuple(above[place] for place in kept), count)
