"""The search finds the limit whatever it is, whoever tells it, and whether what is told is true."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netmesh_agent.probes.mtu_search import LOST, PASSED, REFUSED, Outcome, search

_SMALLEST, _LARGEST = 48, 65_535
_SIZES = st.integers(_SMALLEST, _LARGEST)


class Path:
    """A device in front of a path, either of which limits; the path may tell so."""

    def __init__(self, device: int, path: int, hint: int | None, *, tells: bool) -> None:
        self.device, self.path, self.hint, self.tells = device, path, hint, tells
        self.tried: list[int] = []

    def attempt(self, size: int) -> Outcome:
        self.tried.append(size)
        if size > self.device:
            return Outcome(REFUSED, self.device, local=True)
        if size <= self.path:
            return Outcome(PASSED)
        return Outcome(REFUSED, self.hint) if self.tells else Outcome(LOST)


@given(device=_SIZES, path=_SIZES, tells=st.booleans(), hint=st.none() | st.integers(0, 70_000))
def test_the_limit_is_found(device: int, path: int, tells: bool, hint: int | None) -> None:
    there = Path(device, path, hint, tells=tells)
    found = search(_SMALLEST, _LARGEST, there.attempt)
    assert found.mtu == min(device, path)
    assert found.black_hole == (path < device and not tells)
    # No size is asked twice, and a lie costs a try or two.
    assert len(set(there.tried)) == len(there.tried) <= 20


def test_a_refusal_that_tells_the_mtu_ends_the_search_at_once() -> None:
    there = Path(1500, 1400, 1400, tells=True)
    assert search(_SMALLEST, _LARGEST, there.attempt).mtu == 1400
    assert there.tried == [65_535, 1500, 1400, 1401]


def test_a_path_as_wide_as_the_device_takes_three_packets() -> None:
    there = Path(1500, 9000, None, tells=False)
    found = search(_SMALLEST, _LARGEST, there.attempt)
    assert (found.mtu, found.black_hole) == (1500, False)
    assert there.tried == [65_535, 1500, 1501]


def test_a_router_that_tells_once_and_then_is_silent_is_no_black_hole() -> None:
    answers = iter([Outcome(REFUSED, local=True), Outcome(REFUSED)])

    def attempt(size: int) -> Outcome:
        return Outcome(PASSED) if size <= 1400 else next(answers, Outcome(LOST))

    found = search(_SMALLEST, _LARGEST, attempt)
    assert (found.mtu, found.black_hole) == (1400, False)
