"""The comparison itself: every value of every series that runs have in common, as a whole and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netmesh_controller.mesh.catalogue import UNITS
from netmesh_controller.mesh.comparison.aligned import Aligned, aligned, remarks_on
from netmesh_controller.mesh.comparison.directions import BETTER, BY_DIFFERENCE, EXACT
from netmesh_controller.mesh.comparison.facts import different_facts
from netmesh_controller.mesh.comparison.noise import Noise, noise_of
from netmesh_controller.mesh.comparison.shapes import (
    Cells,
    Comparison,
    Effect,
    Group,
    How,
    PairDifference,
    Side,
    Verdict,
)
from netmesh_controller.mesh.comparison.significance import Floats, discoveries, means_of, two_sided
from netmesh_controller.mesh.comparison.whole import RATE, Whole, whole_of
from netmesh_controller.mesh.statistics.student import above
from netmesh_controller.mesh.table import Series

# Beyond this p no discovery is possible, however many tests there are: it need not be known exactly.
_UNLIKELY_T = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Studied:
    """A group before the verdicts: its cells' effects (log ratios or differences), errors and p."""

    group: Group
    whole: Whole
    data: Aligned
    effects: Floats
    errors: Floats
    dfs: Floats
    p: Floats


def compare(sides: Sequence[Side]) -> Comparison:
    """Each run held against the first; ValueError for fewer than two.

    Verdicts are such that two runs of one unchanged mesh are told apart in at most 5 % of all comparisons.
    """
    if len(sides) < 2:
        raise ValueError("a comparison is of two runs at least")
    studied: list[_Studied] = []
    remarks: list[str] = []
    for place, second in enumerate(sides[1:], 1):
        remarks += remarks_on(sides[0], second)
        studied += _study(sides[0], second, place)
    groups, pairs = _verdicts(studied)
    return Comparison(tuple(sides), different_facts(sides), tuple(dict.fromkeys(remarks)), groups, pairs)


def _study(first: Side, second: Side, place: int) -> Iterator[_Studied]:
    for series, gathered in first.series.items():
        other = second.series.get(series)
        if other is None:
            continue
        for value in gathered.value_names:
            if value not in BETTER:
                continue
            data = aligned(gathered, other, value)
            kinds: tuple[Cells, ...] = ("remote", "local")
            for cells in kinds:
                part = data.of(cells)
                found = _study_group(series, value, cells, place, part)
                if found is not None:
                    yield found


def _study_group(series: Series, value: str, cells: Cells, place: int, data: Aligned) -> _Studied | None:
    how: How = "difference" if value in BY_DIFFERENCE else "ratio"
    first, second = (repeats.reshape(len(repeats), -1) for repeats in (data.first, data.second))
    means = tuple(means_of(repeats) for repeats in (first, second))
    both = np.isfinite(means[0]) & np.isfinite(means[1])
    if not both.any():
        return None
    scaled = (first, second)
    if how == "ratio":
        # A single repeat of 0 has no ratio, and leaving it out would hide it.
        if any((repeats[:, both] <= 0).any() for repeats in scaled):
            how = "difference"
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                scaled = tuple(np.where(repeats > 0, np.log(repeats), np.nan) for repeats in (first, second))  # type: ignore[assignment]
    effects = np.where(both, means_of(scaled[1]) - means_of(scaled[0]), np.nan)
    counts = tuple(np.isfinite(repeats).sum(axis=0) for repeats in scaled)
    most = (int(counts[0][both].max()), int(counts[1][both].max()))
    noise = None if value in EXACT else noise_of((scaled[0][:, both], scaled[1][:, both]))
    errors, dfs = np.full(effects.shape, np.nan), np.full(effects.shape, np.nan)
    if noise is not None:
        errors[both], dfs[both] = _cell_errors(noise, counts[0][both], counts[1][both], most)
    p_cells = _cell_p(effects, errors, dfs)
    if value in EXACT:
        p_cells = np.where(both, np.where(effects == 0, 1.0, 0.0), np.nan)
    whole = whole_of(effects.reshape(len(data.sources), -1), noise, most, how, exact=value in EXACT)
    group = Group(
        against=place,
        series=series,
        value=value,
        unit=UNITS[value],
        cells=cells,
        pairs=int(both.sum()),
        repeats=most,
        first=float(np.median(means[0][both])),
        second=float(np.median(means[1][both])),
        effect=_effect(how, whole.size, None, None),
        p=whole.p,
        verdict="not distinguishable",
        why=whole.why,
        better=0,
        worse=0,
        untold=int((both & ~np.isfinite(p_cells)).sum()),
    )
    return _Studied(group, whole, data, effects, errors, dfs, p_cells)


def _cell_errors(noise: Noise, first: Floats, second: Floats, most: tuple[int, int]) -> tuple[Floats, Floats]:
    """The standard error of each cell's effect, and its degrees of freedom (Satterthwaite)."""
    own = noise.variance * (1 / first + 1 / second)
    common = noise.common * (1 / most[0] + 1 / most[1])
    total = own + common
    with np.errstate(invalid="ignore", divide="ignore"):
        df = total**2 / (own**2 / noise.df + (common**2 / noise.common_df if noise.common_df else 0.0))
    known = noise.df > 0
    return np.where(known, np.sqrt(total), np.nan), np.where(known, df, np.nan)


def _cell_p(effects: Floats, errors: Floats, dfs: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(effects / errors)
    # 0 over 0: nothing ever varied, and nothing did now.
    t = np.where((effects == 0) & np.isfinite(errors), 0.0, t)
    p = np.where(np.isnan(t), np.nan, 1.0)
    for place in np.nonzero(t > _UNLIKELY_T)[0]:
        p[place] = two_sided(float(t[place]), float(dfs[place])) if np.isfinite(dfs[place]) else 0.0
    return p


def _effect(how: How, size: float, low: float | None, high: float | None) -> Effect:
    def shown(number: float | None) -> float | None:
        if number is None or how == "difference":
            return number
        return math.exp(min(number, 700.0))

    return Effect(how, shown(size) or 0.0, shown(low), shown(high))


def _verdicts(studied: Sequence[_Studied]) -> tuple[tuple[Group, ...], tuple[PairDifference, ...]]:
    """Discoveries among all groups, and among all cells: every comparison that was made counts.

    Intervals are at the level at which the discoveries were made (Benjamini and Yekutieli 2005): what is told leaves 0
    out of its interval, and what is not told has it in.
    """
    found = discoveries(np.array([one.group.p for one in studied]), RATE)
    known = [np.isfinite(one.p) for one in studied]
    flat = np.concatenate([one.p[there] for one, there in zip(studied, known, strict=True)]) if studied else np.zeros(0)
    found_cells = discoveries(flat, RATE)
    # The first p that is no discovery is above its own line, which is one step beyond that of the last discovery.
    level_told, level_rest = (RATE * (int(found.sum()) + step) / max(1, len(found)) for step in (0, 1))
    level_cells = RATE * int(found_cells.sum()) / max(1, flat.size)
    groups, pairs, begin = [], [], 0
    for one, there, told in zip(studied, known, found, strict=True):
        count = int(there.sum())
        places = np.nonzero(there)[0][found_cells[begin : begin + count]]
        begin += count
        mine = [_pair(one, int(place), level_cells) for place in places]
        pairs += mine
        size, how = one.whole.size, one.group.effect.how
        low, high, why = one.whole.interval(level_told if told else level_rest)
        groups.append(
            replace(
                one.group,
                effect=_effect(how, size, low, high),
                verdict=_verdict(one.group.value, size) if told else "not distinguishable",
                why=why,
                better=sum(pair.verdict == "better" for pair in mine),
                worse=sum(pair.verdict == "worse" for pair in mine),
            )
        )
    return tuple(groups), tuple(pairs)


def _verdict(value: str, size: float) -> Verdict:
    if size == 0:
        return "different"
    return "better" if (size > 0) == (BETTER[value] == "more") else "worse"


def _pair(studied: _Studied, place: int, level: float) -> PairDifference:
    group, data = studied.group, studied.data
    row, column = divmod(place, len(data.targets))
    size, error, df = (float(array[place]) for array in (studied.effects, studied.errors, studied.dfs))
    low, high = None, None
    if math.isfinite(error) and math.isfinite(df):
        half = above(level / 2, max(1.0, df)) * error
        low, high = size - half, size + half
    return PairDifference(
        against=group.against,
        series=group.series,
        value=group.value,
        unit=group.unit,
        source=data.sources[row],
        target=data.targets[column],
        first=float(means_of(data.first[:, row, column][:, None])[0]),
        second=float(means_of(data.second[:, row, column][:, None])[0]),
        effect=_effect(group.effect.how, size, low, high),
        p=float(studied.p[place]),
        verdict=_verdict(group.value, size),
    )
