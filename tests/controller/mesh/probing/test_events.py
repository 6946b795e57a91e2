"""Windows in, events out: the right place, in time, once; nothing for nodes that are away, new or busy with tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_controller.mesh.document import Finding, Reason
from netmesh_controller.mesh.probing.events import Events, MeshEvent, what_became
from netmesh_controller.mesh.probing.judging import (
    LEAST_SECONDS,
    MINUTES_OF_LOSSES,
    WINDOWS_OF_LOSSES,
    explains,
    judged,
)
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.probing.scale import encode
from netmesh_controller.mesh.probing.windows import Window, rolled

NODES = ("a", "b", "c", "d", "e")
SIZE = len(NODES)
STANDING = Standing(NODES, (None,) * SIZE, ~np.eye(SIZE, dtype=bool))
LOST = Reason(code="agent_lost", message="it is gone")
AWAY = Reason(code="agent_away", message="it is drained")


def window(number: int, *, slow: str = "", lossy: str = "", factor: float = 20.0) -> Window:
    """Ten probes a pair, 500 µs each, but for one node that is slow and one that loses two of ten."""
    rng = np.random.default_rng(number)
    times = 500e-6 * np.exp(rng.normal(0, 0.05, (SIZE, SIZE)))
    lost = np.zeros((SIZE, SIZE), np.uint32)
    for place, name in enumerate(NODES):
        if name in slow:
            times[place, :] *= factor
            times[:, place] *= factor
        if name in lossy:
            lost[place, :] = lost[:, place] = 2
    sent = np.full((SIZE, SIZE), 10, np.uint32)
    for counts in (sent, lost):
        np.fill_diagonal(counts, 0)
    np.fill_diagonal(times, np.nan)
    codes = encode(times)
    return Window(number * 10, 10, sent, lost, codes, codes, codes)


def run(events: Events, steps: list[tuple[Window, Standing]], start: int = 0) -> list[MeshEvent]:
    told: list[MeshEvent] = []
    for number in range(len(steps)):
        windows = [judged(one, stood) for one, stood in steps[max(0, number + 1 - WINDOWS_OF_LOSSES) : number + 1]]
        told += events.window(f"{start + number:04}", windows, steps[number][1])
    return told


def shown(told: list[MeshEvent]) -> list[tuple[str, str, str]]:
    return [(what_became(one), one.finding.kind, one.finding.where.get("node", "")) for one in told]


def test_a_node_that_loses_opens_within_30_s_and_closes_again() -> None:
    steps = [(window(n, lossy="c" if 5 <= n < 12 else ""), STANDING) for n in range(30)]
    told = run(Events(), steps)
    assert shown(told) == [("opened", "lossy_node", "c"), ("closed", "lossy_node", "c")]
    assert int(told[0].opened_at) - 5 <= 2
    assert int(told[1].closed_at or "0") - 12 <= WINDOWS_OF_LOSSES + 2
    assert told[0].id == told[1].id


def test_a_slow_node_opens_and_one_that_nobody_feels_does_not() -> None:
    assert shown(run(Events(), [(window(n, slow="b"), STANDING) for n in range(4)])) == [("opened", "slow_node", "b")]
    quick = [(window(n, slow="b"), STANDING) for n in range(4)]
    # The same ratio on a mesh of 5 µs: less than a scheduler's whim.
    scaled = [
        (
            replace(
                one, middle=np.where(one.middle > 0, one.middle - encode(500e-6) + encode(5e-6), 0).astype(np.uint16)
            ),
            s,
        )
        for one, s in quick
    ]
    assert LEAST_SECONDS > 5e-6 * 19
    assert run(Events(), scaled) == []


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "c"]), st.sampled_from(["", "c", "e"])), max_size=25),
    st.sampled_from(["missing", "own", "fresh"]),
)
@settings(max_examples=40, deadline=None)
def test_nodes_that_are_not_to_be_judged_raise_nothing(faults: list[tuple[str, str]], how: str) -> None:
    bad = ("a", "c", "e")
    standing = {
        "missing": replace(STANDING, missing=dict.fromkeys(bad, AWAY)),
        "own": replace(STANDING, own=frozenset(bad)),
        "fresh": replace(STANDING, fresh=frozenset(bad)),
    }[how]
    steps = [(window(n, slow=slow, lossy=lossy), standing) for n, (slow, lossy) in enumerate(faults)]
    assert run(Events(), steps) == []


@given(st.lists(st.sampled_from(["", "a", "c"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_event_opens_before_it_closes_and_is_open_once(faults: list[str]) -> None:
    events = Events()
    told = run(events, [(window(n, lossy=lossy), STANDING) for n, lossy in enumerate(faults)])
    running: dict[str, str] = {}
    for one in told:
        place = str(one.finding.where)
        if what_became(one) == "opened":
            assert place not in running
            running[place] = one.id
        else:
            assert running[place] == one.id
        if one.state == "closed":
            del running[place]
    assert {one.id for one in events.open} == set(running.values())


def test_an_agent_that_is_lost_is_an_event_of_its_own_and_no_loss() -> None:
    gone = replace(STANDING, missing={"d": LOST})
    steps = [(window(n), STANDING) for n in range(3)]
    steps += [(window(n, lossy="d"), gone) for n in range(3, 9)]
    steps += [(window(n), STANDING) for n in range(9, 16)]
    assert shown(run(Events(), steps)) == [("opened", "agent_lost", "d"), ("closed", "agent_lost", "d")]


def test_what_was_open_goes_on_after_a_restart() -> None:
    before = Events()
    opened = run(before, [(window(n, lossy="c"), STANDING) for n in range(4)])
    after = Events()
    after.restore(before.open)
    assert run(after, [(window(n, lossy="c"), STANDING) for n in range(4, 8)], 4) == []
    closed = run(after, [(window(n), STANDING) for n in range(8, 14)], 8)
    assert shown(closed) == [("closed", "lossy_node", "c")]
    assert closed[0].id == opened[0].id
    assert closed[0].opened_at == opened[0].opened_at


def test_what_is_lost_in_a_moment_opens_nothing() -> None:
    assert run(Events(), [(window(n, lossy="c" if n == 3 else ""), STANDING) for n in range(12)]) == []


def test_a_mesh_that_loses_all_over_is_one_event() -> None:
    steps = [(window(n, lossy="abcde" if 5 <= n < 15 else ""), STANDING) for n in range(30)]
    told = run(Events(), steps)
    assert shown(told) == [("opened", "lossy_mesh", ""), ("closed", "lossy_mesh", "")]


@pytest.mark.parametrize(("begins", "ends", "opens"), [(0, 16, True), (4, 9, False)])
def test_a_pair_that_loses_little_and_all_the_time_is_named(begins: int, ends: int, opens: bool) -> None:
    """Two of the 120 probes of each minute: half a minute says nothing of that. Not of what ends after five minutes."""
    events, minutes, windows = Events(), list[Window](), list[Window]()
    told: list[MeshEvent] = []
    for minute in range(24):
        for part in range(12):
            one = replace(window(minute), sent=np.where(np.eye(SIZE, dtype=bool), 0, 5).astype(np.uint32))
            if begins <= minute < ends and part in (3, 8):
                one.lost[0, 1] = 1
            windows.append(judged(one, STANDING))
            told += events.window(f"{minute:02}:{part:02}", windows[-WINDOWS_OF_LOSSES:], STANDING)
        minutes.append(rolled(windows[-12:], 60, 12))
        events.minute(minutes[-MINUTES_OF_LOSSES:], STANDING)
    assert [(what_became(one), one.finding.kind) for one in told] == (
        [("opened", "lossy_pair"), ("closed", "lossy_pair")] if opens else []
    )
    if opens:
        assert (told[0].finding.where["source"], told[0].finding.where["target"]) == ("a", "b")
        assert told[0].opened_at.startswith("10:")
        # Three minutes without a loss, and half of one more.
        assert (told[1].closed_at or "").startswith(f"{ends + 3}:")


@pytest.mark.parametrize(
    ("kind", "evidence", "is_explained"),
    [
        ("lossy", {"lost": 7, "sent": 60, "seen": 7 / 60}, True),
        ("lossy", {"lost": 30, "sent": 60, "seen": 0.5}, False),
        ("slow", {"seen": 3e-3}, True),
        ("slow", {"seen": 9e-3}, False),
    ],
)
def test_a_pair_is_its_nodes_matter_unless_it_is_much_worse(
    kind: str, evidence: dict[str, float], is_explained: bool
) -> None:
    seen = 0.05 if kind == "lossy" else 2e-3
    node = Finding(kind=f"{kind}_node", where={"node": "c"}, evidence={"seen": seen}, sentence="")
    pairs = [
        Finding(kind=f"{kind}_pair", where={"source": a, "target": b}, evidence=evidence, sentence="")
        for a, b in (("c", "d"), ("a", "c"), ("a", "b"))
    ]
    assert [explains(node, one) for one in pairs] == [is_explained, is_explained, False]
    other = "slow_pair" if kind == "lossy" else "lossy_pair"
    assert not explains(node, pairs[0].model_copy(update={"kind": other}))
