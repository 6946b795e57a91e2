"""What a second try can mend is tried again, and not for ever."""

from __future__ import annotations

import pytest

from netmesh_controller.mesh.catalogue import REASONS
from netmesh_controller.mesh.retry import Tries


@pytest.mark.parametrize(("code", "attempts"), [("refused", 3), ("timeout", 2), ("not_supported", 1), ("busy", 8)])
def test_attempts_in_all(code: str, attempts: int) -> None:
    tries = Tries()
    assert [tries.again({code}) for _ in range(attempts)] == [True] * (attempts - 1) + [False]


@pytest.mark.parametrize("code", sorted(REASONS))
def test_nothing_is_tried_for_ever(code: str) -> None:
    tries = Tries()
    assert not all(tries.again({code}) for _ in range(20))


def test_what_a_killed_controller_holds_is_waited_for() -> None:
    tries = Tries()
    assert all(tries.again({"busy"}, held) for held in (30.0, 20.0, 10.0) * 5)
    assert not tries.again({"busy"}, 0.0)


def test_who_waited_for_a_busy_agent_has_not_failed_yet() -> None:
    """A controller that resumes a run waits for what the killed one left open, and then a tool fails once."""
    tries = Tries()
    assert all(tries.again({"busy"}, 30.0) for _ in range(15))
    assert tries.again({"tool_failed"}, 0.0)
    assert not tries.again({"not_supported"}, 30.0)


def test_directions_that_end_differently_are_tried_again_where_both_may() -> None:
    assert Tries().again({"busy", "tool_failed"})
    assert not Tries().again({"tool_failed", "not_supported"})
