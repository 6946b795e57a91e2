"""A comparison in sentences, and as the table that comparisons of CNIs print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netmesh_common.units import scale
from netmesh_controller.mesh.catalogue import TESTS, UNITS
from netmesh_controller.mesh.comparison.shapes import Comparison, Effect, Group, Side
from netmesh_controller.mesh.comparison.significance import means_of
from netmesh_controller.mesh.natural import natural
from netmesh_controller.mesh.table import Floats, Series


@dataclass(frozen=True, slots=True)
class Overview:
    """One value of one test: runs in rows, paths in columns; medians over the remote pairs, in `unit`, None for none.

    Where a path has no remote cells it is the median over the local ones.
    """

    test: str
    value: str
    unit: str
    instrument: str
    paths: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]


def summaries(comparison: Comparison) -> list[str]:
    """One plain sentence for each run that was held against the first."""
    first = comparison.sides[0].label
    said = []
    for place, side in enumerate(comparison.sides[1:], 1):
        groups = [group for group in comparison.groups if group.against == place]
        if not groups:
            said.append(f"{side.label} and {first} have nothing in common that could be compared.")
            continue
        verdicts = Counter(group.verdict for group in groups)
        parts = [f"{word} in {verdicts[word]}" for word in ("worse", "better", "different") if verdicts[word]]
        cells = Counter(pair.verdict for pair in comparison.pairs if pair.against == place)
        single = [f"{cells[word]} {word}" for word in ("worse", "better", "different") if cells[word]]
        of = f"of {len(groups)} comparisons"
        whole = f"{' and '.join(parts)} {of}" if parts else f"not distinguishable in any {of}"
        alone = f"; single cells: {', '.join(single)}" if single else "; no single cell stands out"
        untold = sum(group.untold for group in groups)
        if not single and untold == sum(group.pairs for group in groups):
            alone = "; single cells cannot be told without repeats"
        said.append(f"{side.label} against {first}: {whole}{alone}.")
    return said


def effect_in_words(effect: Effect, unit: str) -> str:
    """How far apart, with the interval: `8.1 % less (6.0 to 10.2 %)`."""
    if effect.how == "difference":
        return _difference(effect, unit)
    change = effect.size - 1
    word = "more" if change > 0 else "less"
    if effect.low is None or effect.high is None:
        return f"{abs(change):.1%} {word}".replace("%", " %")
    ends = sorted((effect.low - 1, effect.high - 1), key=lambda end: end * (1 if change > 0 else -1))
    low, high = (end * (1 if change > 0 else -1) for end in ends)
    # Without the sign of a number that is 0 by then.
    return f"{abs(change) * 100:.1f} % {word} ({low * 100:z.1f} to {high * 100:z.1f} %)"


def _difference(effect: Effect, unit: str) -> str:
    if effect.size == 0 and not effect.low and not effect.high:
        return "no difference"
    known = [effect.size, *(end for end in (effect.low, effect.high) if end is not None)]
    factor, label = scale(known, unit)
    size, word = effect.size * factor, "more" if effect.size > 0 else "less"
    text = f"{abs(size):.3g} {label}".rstrip() + f" {word}"
    if effect.low is None or effect.high is None:
        return text
    sign = 1 if effect.size > 0 else -1
    low, high = sorted((effect.low * factor * sign, effect.high * factor * sign))
    return f"{text} ({low:z.3g} to {high:z.3g})"


def place_in_words(group: Group) -> str:
    """What a group is of: `pod-to-pod tcp-bandwidth bits_per_second, remote`."""
    return f"{group.series.path} {group.series.test} {group.value}, {group.cells}"


def overviews(sides: Sequence[Side]) -> list[Overview]:
    """The tables of a comparison: headline values, CPU and memory, tests in the catalogue's order."""
    kinds: dict[tuple[str, Series, str], dict[str, list[float | None]]] = {}
    for place, side in enumerate(sides):
        for series, gathered in side.series.items():
            for value in _shown(series.test):
                repeats = gathered.repeats(value)
                figure = _median(repeats, gathered.names, gathered.targets)
                alike = Series("", series.test, series.parameters)
                columns = kinds.setdefault((series.test, alike, value), {})
                columns.setdefault(series.path, [None] * len(sides))[place] = figure
    order = list(TESTS)
    found = []
    for (test, alike, value), columns in sorted(kinds.items(), key=lambda item: order.index(item[0][0])):
        paths = tuple(sorted(columns, key=natural))
        rows = tuple(tuple(columns[path][place] for path in paths) for place in range(len(sides)))
        if any(number is not None for row in rows for number in row):
            found.append(Overview(test, value, UNITS[value], alike.parameters.instrument, paths, rows))
    return found


def _shown(test: str) -> tuple[str, ...]:
    kind = TESTS[test]
    return tuple(dict.fromkeys((kind.headline, *kind.host_values)))


def _median(repeats: Floats, names: tuple[str, ...], targets: tuple[str, ...]) -> float | None:
    means = means_of(repeats)
    local = np.zeros(means.shape, dtype=bool)
    places = {name: column for column, name in enumerate(targets)}
    for row, name in enumerate(names):
        if name in places:
            local[row, places[name]] = True
    for chosen in (means[~local], means[local]):
        there = chosen[np.isfinite(chosen)]
        if there.size:
            return float(np.median(there))
    return None
