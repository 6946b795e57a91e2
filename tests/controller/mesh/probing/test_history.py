"""History: what is packed comes back, parts make the whole, and a week of 200 nodes has its stated size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.probing import history, scale
from netmesh_controller.mesh.probing.history import (
    Block,
    Patch,
    merged,
    nodes_of,
    packed,
    patch_of_report,
    patch_of_window,
    points,
    stacked,
    tens,
    unpacked,
)
from netmesh_controller.mesh.probing.live import CODES, Standing
from netmesh_controller.mesh.probing.windows import PeerReport, RollingWindows

NAMES = ("a", "b", "c")


def patch(started: int, rng: np.random.Generator, sources: tuple[str, ...] = NAMES) -> Patch:
    shape = (len(sources), len(NAMES))
    values = {name: rng.integers(1, 900, shape).astype(np.uint16) for name in history.VALUES}
    values["sent"] = rng.integers(1, 70, shape).astype(np.uint16)
    values["lost"] = (values["sent"] // 2).astype(np.uint16)
    values["reason"][:] = 0
    values["marks"] = rng.integers(0, 4, shape).astype(np.uint16)
    return Patch(started, sources, NAMES, values)


@given(st.lists(st.floats(scale.SHORTEST_SECONDS, scale.LONGEST_SECONDS), min_size=1, max_size=20))
def test_times_are_off_by_the_stated_error_at_most(times: list[float]) -> None:
    read = history.seconds_of(history.coarse(scale.encode(times)))
    assert np.abs(read / times - 1).max() <= history.RELATIVE_ERROR
    assert history.RELATIVE_ERROR < 0.0105
    assert np.isnan(history.seconds_of(history.coarse(scale.encode([np.nan])))).all()


@pytest.mark.parametrize("each", [1, 10, 50, 3000, 20_000])
def test_a_minute_has_the_counts_of_its_windows_however_wide_they_are_kept(each: int) -> None:
    windows = RollingWindows(NAMES, 0)
    for _ in range(12):
        for counts in (windows.filling.sent, windows.filling.lost):
            counts[~np.eye(3, dtype=bool)] = each
        ended = windows.close()
    standing = Standing(NAMES, (None,) * 3, ~np.eye(3, dtype=bool), {})
    values = patch_of_window(ended[60], standing).values
    # More than a column holds is told as the most that it does.
    assert (values["sent"][0, 1], values["lost"][2, 0], values["sent"][1, 1]) == (*[min(12 * each, 65535)] * 2, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_what_is_packed_comes_back(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    made = [None if rng.random() < 0.2 else merged(None, [patch(0, rng)]) for _ in range(steps)]
    block = stacked(made, nodes_of(made), steps)
    again = unpacked(packed(block))
    assert again.nodes == block.nodes
    for name in history.VALUES:
        assert (again.values[name] == block.values[name]).all()
    part = unpacked(packed(block), nodes=("c", "z", "a"), values=("lost", "max"))
    assert part.nodes == (tuple(name for name in "ca" if name in block.nodes))
    assert set(part.values) == {"lost", "max"}
    for name, column in part.values.items():
        places = [block.nodes.index(node) for node in part.nodes]
        assert (column == block.values[name][:, places][:, :, places]).all()
    with pytest.raises(ValueError, match="no block"):
        unpacked(b"something else")


@given(st.integers(0, 2**32 - 1), st.permutations([("a",), ("b",), ("c",)]))
@settings(max_examples=30, deadline=None)
def test_parts_in_any_order_make_the_whole(seed: int, order: list[tuple[str, ...]]) -> None:
    whole = patch(0, np.random.default_rng(seed))
    block = None
    for (name,) in order:
        row = NAMES.index(name)
        part = {value: column[row : row + 1] for value, column in whole.values.items()}
        block = merged(block, [Patch(0, (name,), NAMES, part)])
    assert block is not None
    where = np.ix_([block.nodes.index(name) for name in NAMES], [block.nodes.index(name) for name in NAMES])
    for value in history.VALUES:
        assert (block.values[value][0][where] == whole.values[value]).all()


def test_counts_of_two_parts_add_up_and_a_figure_goes_before_a_reason() -> None:
    rng = np.random.default_rng(1)
    gap = patch(0, rng)
    for name in history.VALUES:
        gap.values[name][:] = 0
    gap.values["reason"][:] = CODES.index("agent_lost")
    first, second = patch(0, rng), patch(0, rng)
    block = merged(merged(None, [gap, first]), [second])
    assert (block.values["sent"][0] == first.values["sent"] + second.values["sent"]).all()
    assert (block.values["min"][0] == np.minimum(first.values["min"], second.values["min"])).all()
    assert (block.values["reason"] == 0).all()
    assert (merged(None, [first, gap]).values["reason"] == 0).all()


def test_a_minute_that_was_before_is_counted_once_and_no_figure_goes_for_a_reason() -> None:
    rng = np.random.default_rng(3)
    first, second = patch(0, rng), replace(patch(0, rng), again=True)
    # Of one pair nothing came the second time.
    for name in history.VALUES:
        second.values[name][0, 1] = CODES.index("unreachable") if name == "reason" else 0
    values = merged(merged(None, [first]), [second]).values
    for name in history.VALUES:
        expected = second.values[name].copy()
        expected[0, 1] = first.values[name][0, 1]
        assert (values[name][0] == expected).all(), name


def test_points_have_a_figure_or_a_reason_each() -> None:
    rng = np.random.default_rng(2)
    blocks = [(120, merged(None, [patch(120, rng)])), (240, merged(None, [patch(240, rng)]))]
    found = points(blocks, "a", "b", 60, 60, 360)
    assert found.reasons == ["not_recorded", None, "not_recorded", None, "not_recorded"]
    assert [one is None for one in found.sent] == [True, False, True, False, True]
    assert [one is None for one in found.times["p50"]] == [True, False, True, False, True]
    assert not points(blocks, "a", "z", 60, 60, 360).is_known


def test_ten_minutes_are_those_of_their_minutes() -> None:
    rng = np.random.default_rng(3)
    minutes = [merged(None, [patch(60 * n, rng)]) for n in range(20)]
    whole = stacked(minutes, NAMES, len(minutes))
    ten = tens(whole)
    assert ten.steps == 2
    first = np.stack([one.values["p50"][0] for one in minutes[:10]])
    assert (ten.values["sent"][0] == sum(one.values["sent"][0].astype(int) for one in minutes[:10])).all()
    assert (ten.values["p50"][0] == np.sort(first, axis=0)[4]).all()
    # A value by itself is as it is with the others.
    for name in history.VALUES:
        alone = tens(Block(NAMES, {name: whole.values[name]}), ten.values["sent"])
        assert (alone.values[name] == ten.values[name]).all()
    with pytest.raises(ValueError, match="sent"):
        tens(Block(NAMES, {"reason": whole.values["reason"]}))


def test_what_comes_late_is_in_its_own_pairs() -> None:
    sent, lost = np.array([9, 4], np.uint32), np.array([1, 4], np.uint32)
    report = PeerReport(2, np.array([1, 0]), sent, lost, np.array([8, 0]), np.full(8, 1e-3))
    late = patch_of_report(70, "c", NAMES, report)
    assert (late.started, late.sources, late.targets) == (60, ("c",), ("b", "a"))
    assert {name: column.tolist() for name, column in late.values.items() if name in history.COUNTS} == {
        "sent": [[9, 4]],
        "lost": [[1, 4]],
    }
    assert history.seconds_of(late.values["p50"]) == pytest.approx(
        np.array([[1e-3, np.nan]]), rel=history.RELATIVE_ERROR, nan_ok=True
    )


def test_a_week_of_two_hundred_nodes_takes_500_megabytes_at_most() -> None:
    """An hour with realistic noise, as it is stored; a day of minutes and a week of ten minutes are so many of it.

    Pairs differ by a factor of several, minutes by 10 %, the longest round trip by 60 %, one probe in 10,000 is lost,
    and the number of probes a minute is not always 60.
    """
    rng = np.random.default_rng(7)
    size = 200
    shape = (60, size, size)
    usual = np.exp(rng.normal(np.log(150e-6), 0.5, (size, size)))
    p50 = usual * np.exp(rng.normal(0, 0.10, shape))
    least = p50 * np.exp(-np.abs(rng.normal(0.2, 0.07, shape)))
    most = p50 * np.exp(np.abs(rng.normal(0.6, 0.6, shape)))
    sent = (60 + rng.choice([-1, 0, 0, 0, 1], shape)).astype(np.uint16)
    values = {
        "sent": sent,
        "lost": rng.binomial(sent, 1e-4).astype(np.uint16),
        **{name: history.coarse(scale.encode(times)) for name, times in (("min", least), ("p50", p50), ("max", most))},
        "reason": np.zeros(shape, np.uint16),
        "marks": np.zeros(shape, np.uint16),
    }
    hour = Block(tuple(f"node-{number:03}.cluster.example" for number in range(size)), values)
    minutes = sum(len(packed(hour, (name,))) for name in history.VALUES)
    ten = tens(hour)
    ten_minutes = sum(len(packed(ten, (name,))) for name in history.VALUES)
    # Beside them the minutes of three hours that are not closed yet, each minute alone.
    one = Block(hour.nodes, {name: column[:1] for name, column in values.items()})
    whole = 24 * minutes + 7 * 24 * ten_minutes + 180 * len(packed(one))
    assert whole <= 500e6, f"{whole / 1e6:.0f} MB"
    assert whole >= 50e6, "noise does not pack: the simulation has none"
