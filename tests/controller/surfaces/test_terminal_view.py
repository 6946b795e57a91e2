"""A matrix taken apart in arrays says what a plain walk over its pairs says, to the last bit and with equal ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.statistics import median
from netmesh_controller.mesh.table import Series, Table
from netmesh_controller.surfaces.terminal.view import Figures, medians, spread, view

CODES = ("", "timeout", "refused", "not_scheduled")
# Few numbers, so that many pairs have the same.
PLACES = st.one_of(st.sampled_from(CODES[1:]), st.sampled_from([1.0, 2.0, 0.1]), st.floats(0, 1e12))


@st.composite
def a_table(draw: st.DrawFn) -> Table:
    names = tuple(f"node-{number}" for number in range(draw(st.integers(1, 6))))
    # Paths that lead out of the mesh have columns of their own.
    targets = draw(st.sampled_from([names, ("gateway", "registry"), (*names[:1], "gateway")]))
    what = [[draw(PLACES) for _ in targets] for _ in names]
    return Table(
        Series("pod-to-pod", "tcp-bandwidth", Parameters(instrument="iperf3")),
        "bits_per_second",
        "mean",
        "bit/s",
        names,
        targets,
        np.array([[np.nan if isinstance(one, str) else one for one in row] for row in what]),
        np.array([[CODES.index(one) if isinstance(one, str) else 0 for one in row] for row in what], dtype=np.uint8),
        CODES,
    )


@given(a_table())
def test_a_view_is_what_a_walk_over_the_pairs_finds(table: Table) -> None:
    seen = view(table)
    for figures, gaps, local in ((seen.remote, seen.remote_gaps, False), (seen.local, seen.local_gaps, True)):
        pairs = [
            (source, target, table.number(row, column), table.reason(row, column))
            for row, source in enumerate(table.sources)
            for column, target in enumerate(table.targets)
            if (source == target) is local
        ]
        plain = [(number, source, target) for source, target, number, _ in pairs if number is not None]
        assert [(one.number, one.source, one.target) for one in figures] == plain
        assert gaps.most_common() == Counter(reason for *_, reason in pairs if reason).most_common()
        _same_order(figures, plain)


def _same_order(figures: Figures, plain: list[tuple[float, str, str]]) -> None:
    ordered = sorted(plain, key=lambda one: one[0])
    found = spread(figures)
    assert (found is None) == (not plain)
    if found is not None:
        ends = [(one.number, one.source, one.target) for one in (found.lowest, found.highest)]
        assert ends == [ordered[0], ordered[-1]]
        assert (found.middle, found.count) == (median(number for number, *_ in plain), len(plain))
    for count in (1, 3, 100):
        for highest in (False, True):
            first = [(one.number, one.source, one.target) for one in figures.first(count, highest=highest)]
            assert first == sorted(plain, key=lambda one: one[0], reverse=highest)[:count]
    rows = [figures.sources.index(source) for _, source, _ in plain]
    assert medians(figures.numbers, figures.rows) == {
        row: median(number for place, (number, *_) in zip(rows, plain, strict=True) if place == row) for row in rows
    }
