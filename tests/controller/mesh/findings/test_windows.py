"""Findings of windows as events: whatever comes and goes, what is told is in order, late enough, and not too much."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings.windows import Event, Watch

OPEN, CLOSE = 2, 3


def slow(node: str, size: float = 0.5, direction: str = "out") -> Finding:
    where = {"node": node, "direction": direction, "path": "pod-to-pod", "test": "udp-latency"}
    return Finding(kind="slow_node", where=where, size=size, sentence=f"{node} is slow.")


def told(windows: list[list[Finding]], **nodes: list[set[str]]) -> list[Event]:
    watch = Watch(OPEN, CLOSE)
    events = []
    for number, findings in enumerate(windows):
        events += watch.window(
            f"{number:04}",
            findings,
            unjudged=nodes["unjudged"][number] if "unjudged" in nodes else (),
            away=nodes["away"][number] if "away" in nodes else (),
        )
    return events


def whats(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.what, event.at) for event in events]


def test_opens_late_and_closes_later() -> None:
    bad = [slow("a")]
    events = told([bad, bad, bad, [], [], bad, [], [], []])
    assert whats(events) == [("opened", "0001"), ("closed", "0008")]
    assert {event.since for event in events} == {"0000"}
    assert told([bad, [], bad, [], bad]) == [], "one window is no finding"


def test_changes_are_told_once_they_last() -> None:
    worse, other = slow("a", 0.2), slow("a", 0.45)
    assert whats(told([[slow("a")]] * 2 + [[other]] * 5)) == [("opened", "0001")], "a little more or less is no news"
    assert whats(told([[slow("a")]] * 2 + [[worse]] + [[slow("a")]] * 3)) == [("opened", "0001")]
    assert whats(told([[slow("a")]] * 2 + [[worse]] * 4)) == [("opened", "0001"), ("changed", "0003")]
    turned = slow("a", direction="both")
    assert whats(told([[slow("a")]] * 2 + [[turned]] * 2)) == [("opened", "0001"), ("changed", "0003")]


def test_own_tests_neither_open_nor_close() -> None:
    bad, judged, own = [slow("a")], set[str](), {"a"}
    assert told([bad] * 6, unjudged=[own] * 6) == []
    events = told([bad, bad, [], [], [], [], bad], unjudged=[judged, judged, own, own, own, own, judged])
    assert whats(events) == [("opened", "0001")]


def test_a_node_that_is_away_raises_nothing() -> None:
    bad, here, drained = [slow("a"), slow("b")], set[str](), {"a"}
    assert {event.finding.where["node"] for event in told([bad] * 4, away=[drained] * 4)} == {"b"}
    events = told([[slow("a")]] * 4, away=[here, here, drained, drained])
    assert whats(events) == [("opened", "0001"), ("closed", "0002")]
    assert events[-1].cause == "node_away"


NODES = ("a", "b", "c")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(NODES)),
            st.sampled_from([0.5, 0.3, 0.1]),
            st.sets(st.sampled_from(NODES)),
            st.sets(st.sampled_from(NODES)),
        ),
        max_size=40,
    )
)
def test_whatever_comes(history: list[tuple[set[str], float, set[str], set[str]]]) -> None:
    watch = Watch(OPEN, CLOSE)
    opened: set[str] = set()
    quiet = dict.fromkeys(NODES, 0)  # judged windows without it, one after the other
    present = dict.fromkeys(NODES, 0)
    for number, (bad, size, unjudged, away) in enumerate(history):
        events = watch.window(str(number), [slow(node, size) for node in sorted(bad)], unjudged=unjudged, away=away)
        assert len({event.finding.where["node"] for event in events}) == len(events), "one event a place and window"
        for node in NODES:
            if node in away:
                present[node] = quiet[node] = 0
            elif node not in unjudged:
                present[node], quiet[node] = (present[node] + 1, 0) if node in bad else (0, quiet[node] + 1)
        for event in events:
            node = event.finding.where["node"]
            if event.what == "opened":
                assert node not in opened
                assert node not in away | unjudged
                assert present[node] >= OPEN
                opened.add(node)
            elif event.what == "changed":
                assert node in opened
                assert present[node] >= OPEN
            else:
                assert node in opened
                assert (event.cause == "node_away") == (node in away)
                assert node in away or quiet[node] >= CLOSE
                opened.remove(node)
        assert {finding.where["node"] for finding in watch.open} == opened
        for node in NODES:
            # Nothing stays open that is gone, and nothing that is there stays untold.
            assert not (node in opened and quiet[node] >= CLOSE)
            assert node in opened or present[node] < OPEN


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=20, max_size=60))
def test_restlessness_is_not_told_all_the_time(there: list[bool]) -> None:
    events = told([[slow("a")] if one else [] for one in there])
    assert len(events) <= 2 * (len(there) // (OPEN + CLOSE) + 1)
