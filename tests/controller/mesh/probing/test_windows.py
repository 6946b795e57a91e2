import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from netmesh_controller.mesh.probing import scale
from netmesh_controller.mesh.probing.windows import (
    BASE_SECONDS,
    LONGER,
    SHORTEST_SECONDS,
    PeerReport,
    RollingWindows,
    Window,
    empty,
    rolled,
    take,
    without_losses_to,
)

SECONDS = st.floats(scale.SHORTEST_SECONDS, scale.LONGEST_SECONDS)


@given(arrays(np.float64, 20, elements=SECONDS))
def test_a_time_read_back_is_off_by_the_stated_error_at_most(times: np.ndarray) -> None:
    assert np.abs(scale.decode(scale.encode(times)) / times - 1).max() <= scale.RELATIVE_ERROR * 1.0001
    assert scale.RELATIVE_ERROR < 0.0002


def test_unknown_stays_unknown_and_the_ends_hold() -> None:
    codes = scale.encode([np.nan, 0.0, -1.0, 1e-12, 1e9])
    assert codes.tolist() == [0, 0, 0, 1, 65535]
    assert np.isnan(scale.decode(codes[:3])).all()
    assert scale.decode(codes[3:]) == pytest.approx([100e-9, 100.0])


def report(source: int, seen: dict[int, tuple[int, list[float]]]) -> PeerReport:
    """`seen` is, by target, how many were sent and the round trips of those answered."""
    targets = list(seen)
    answered = [len(seen[target][1]) for target in targets]
    sent = [seen[target][0] for target in targets]
    return PeerReport(
        source,
        np.array(targets, np.intp),
        np.array(sent, np.uint32),
        np.array([one - got for one, got in zip(sent, answered, strict=True)], np.uint32),
        np.array(answered, np.intp),
        np.array([time for target in targets for time in seen[target][1]], np.float64),
    )


PEERS = st.dictionaries(
    st.integers(0, 4), st.lists(SECONDS, max_size=12).map(lambda times: (len(times) + 1, times)), max_size=5
)


@given(PEERS)
def test_a_base_window_holds_each_peers_own_statistics(seen: dict[int, tuple[int, list[float]]]) -> None:
    window = empty(5, 0)
    take(window, report(2, seen))
    for target in range(5):
        sent, times = seen.get(target, (0, []))
        assert (window.sent[2, target], window.lost[2, target]) == (sent, sent - len(times))
        found = [scale.decode(column[2, target]) for column in (window.shortest, window.middle, window.longest)]
        if times:
            assert found == pytest.approx([min(times), statistics.median(times), max(times)], rel=2e-4)
        else:
            assert np.isnan(found).all()
    assert not window.sent[[0, 1, 3, 4]].any()


def test_a_report_sent_twice_counts_once() -> None:
    window = empty(2, 0)
    for _ in range(2):
        take(window, report(0, {1: (10, [1e-3] * 9)}))
    assert window.sent[0, 1] == 10
    assert window.loss_ratio[0, 1] == pytest.approx(0.1)
    assert np.isnan(window.loss_ratio[1, 0])


def _part(codes: list[int], sent: int = 10) -> Window:
    window = empty(1, 0)
    window.sent[0, 0] = sent
    for column, code in zip((window.shortest, window.middle, window.longest), codes, strict=True):
        column[0, 0] = code
    return window


@given(st.lists(st.tuples(*[st.integers(0, 65535)] * 3), min_size=1, max_size=10))
def test_a_longer_window_is_made_of_what_is_known_of_its_parts(parts: list[tuple[int, int, int]]) -> None:
    whole = rolled([_part(list(codes)) for codes in parts], 60, 10)
    assert whole.sent[0, 0] == 10 * len(parts)
    for column, place, fold in ((whole.shortest, 0, min), (whole.longest, 2, max)):
        assert column[0, 0] == fold([codes[place] for codes in parts if codes[place]], default=0)
    middles = [codes[1] for codes in parts if codes[1]]
    assert whole.middle[0, 0] == (int(statistics.median(middles)) if middles else 0)


def test_windows_end_when_their_parts_have() -> None:
    windows = RollingWindows(["a", "b"], started=0)
    assert windows.window(BASE_SECONDS) is None
    assert windows.window(3600) is None
    ended: dict[int, list[Window]] = {}
    for number in range(720):
        take(windows.filling, report(0, {1: (5, [1e-3 * (1 + number % 7)] * 5)}))
        for seconds, window in windows.close().items():
            ended.setdefault(seconds, []).append(window)
    assert {seconds: len(of) for seconds, of in ended.items()} == {5: 720, 60: 60, 600: 6, 3600: 1}
    for seconds, of in ended.items():
        assert [window.started for window in of] == list(range(0, 3600, seconds))
        assert all(window.sent[0, 1] == seconds for window in of)
        assert all(window.parts == window.parts_whole for window in of)
    hour = ended[3600][0]
    assert scale.decode(hour.shortest[0, 1]) == pytest.approx(1e-3, rel=2e-4)
    assert scale.decode(hour.longest[0, 1]) == pytest.approx(7e-3, rel=2e-4)
    assert scale.decode(hour.middle[0, 1]) == pytest.approx(4e-3, rel=0.1)


def test_ten_seconds_are_the_last_two_reports() -> None:
    windows = RollingWindows(["a", "b"], started=0)
    assert windows.window(SHORTEST_SECONDS) is None
    told = empty(2, 0)
    for number, took in enumerate((1e-3, 4e-3, 9e-3)):
        take(windows.filling, report(0, {1: (5, [took] * (5 - number))}))
        windows.close()
        last = windows.window(SHORTEST_SECONDS)
        assert last is not None
        told = last
        assert (told.started, told.parts) == ((number - 1) * BASE_SECONDS, 2) if number else (0, 1)
    assert (told.sent[0, 1], told.lost[0, 1]) == (10, 3)
    # The middle of two is half-way on a logarithmic scale.
    assert scale.decode(told.middle[0, 1]) == pytest.approx(6e-3, rel=1e-3)


def test_a_young_window_says_how_much_of_it_is_known() -> None:
    windows = RollingWindows(["a", "b"], started=0)
    take(windows.filling, report(0, {1: (10, [1e-3] * 10)}))
    windows.close()
    for seconds, count in LONGER:
        young = windows.window(seconds)
        assert young is not None
        assert (young.parts, young.parts_whole) == (1, count)
        assert young.sent[0, 1] == 10


def test_nodes_that_stay_keep_what_is_known_of_them() -> None:
    windows = RollingWindows(["a", "b", "c"], started=0)
    take(windows.filling, report(0, {1: (10, [1e-3] * 10), 2: (10, [2e-3] * 9)}))
    windows.close()
    windows.with_nodes(["c", "d", "a"])
    minute = windows.window(60)
    assert minute is not None
    assert minute.sent.tolist() == [[0, 0, 0], [0, 0, 0], [10, 0, 0]]
    assert minute.lost[2, 0] == 1
    assert scale.decode(minute.middle[2, 0]) == pytest.approx(2e-3, rel=2e-4)


def test_what_has_begun_of_a_windows_last_part_is_in_it() -> None:
    """An hour is not told as it was ten minutes ago."""
    windows = RollingWindows(["a", "b"], started=0)
    for number in range(1, 800):
        take(windows.filling, report(0, {1: (10, [1e-3] * 10)}))
        windows.close()
        for seconds, _ in LONGER:
            window = windows.window(seconds)
            assert window is not None
            whole = seconds // BASE_SECONDS
            if number <= whole:
                assert window.sent[0, 1] == 10 * number
            else:
                part = whole // dict(LONGER)[seconds]
                assert 10 * (whole - part) < window.sent[0, 1] <= 10 * whole


@given(st.lists(PEERS, min_size=5, max_size=5), st.sets(st.integers(0, 4)))
def test_what_was_lost_to_an_agent_that_was_away_is_not_counted(
    seen: list[dict[int, tuple[int, list[float]]]], away: set[int]
) -> None:
    window = empty(5, 0)
    for source, peers in enumerate(seen):
        take(window, report(source, peers))
    before_sent, before_lost = window.sent.copy(), window.lost.copy()
    without_losses_to(window, np.array(sorted(away), np.intp))
    for target in range(5):
        lost = before_lost[:, target] if target in away else 0
        assert (window.lost[:, target] == before_lost[:, target] - lost).all()
        assert (window.sent[:, target] == before_sent[:, target] - lost).all()
