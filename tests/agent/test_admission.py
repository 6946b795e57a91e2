"""One exclusive group at a time, and one set opened ahead: invariants under any order of calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netmesh_agent.admission import Admission, Busy


def test_the_second_group_may_open_but_not_run() -> None:
    admission = Admission()
    admission.open("a")
    admission.run("a")
    admission.open("b")
    with pytest.raises(Busy, match="measures for a"):
        admission.run("b")
    with pytest.raises(Busy, match="holds endpoints for b"):
        admission.open("c")


def test_the_next_moves_up_when_the_current_is_gone() -> None:
    admission = Admission()
    admission.open("a")
    admission.open("b")
    admission.release("a")
    admission.run("b")
    assert admission.current == "b"


@given(st.lists(st.tuples(st.sampled_from(["open", "run", "release"]), st.sampled_from("abcd")), max_size=60))
def test_never_more_than_one_group_runs_and_two_hold(calls: list[tuple[str, str]]) -> None:
    admission = Admission()
    held: dict[str, list[str]] = {}
    for call, group in calls:
        if call == "release":
            if held.get(group):
                held[group].pop()
                admission.release(group)
        else:
            try:
                getattr(admission, call)(group)
            except Busy:
                continue
            held.setdefault(group, []).append(call)
        holders = {name for name, taken in held.items() if taken}
        runners = {name for name, taken in held.items() if "run" in taken}
        assert len(holders) <= 2
        assert len(runners) <= 1
        assert admission.current in holders if holders else admission.current is None
        assert runners <= {admission.current}
