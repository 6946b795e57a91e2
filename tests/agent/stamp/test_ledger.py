"""Transmit stamps find their packets, also where the kernel gives several, none, or those of a numbering before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from netmesh_agent.stamp.ledger import Ledger


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=60))
def test_the_first_stamp_of_a_packet_counts_however_many_come_and_however_late(
    packets: list[tuple[int, int]],
) -> None:
    """A packet is `times` stamped, first `later` packets after it left."""
    ledger: Ledger[str] = Ledger()
    waiting: list[list[tuple[int, int]]] = [[] for _ in range(len(packets) + 3)]
    for number, (times, later) in enumerate(packets):
        waiting[number + later] += [(number, 1000 * number + 10 + again) for again in range(times)]
    found = []
    for number, stamps in enumerate(waiting):
        if number < len(packets):
            ledger.sent("mine", 7 * number, 1000 * number)
        found += list(ledger.stamped(stamps))
    assert sorted(found) == [
        ("mine", 7 * number, 1000 * number + 10) for number, (times, _) in enumerate(packets) if times
    ]
    assert ledger.awaited == sum(times == 0 for times, _ in packets)


def test_a_stamp_of_a_numbering_before_is_nobodys() -> None:
    ledger: Ledger[str] = Ledger()
    ledger.sent("before", 1, 100)
    ledger.restart()
    assert ledger.awaited == 0
    assert list(ledger.stamped([(0, 110)])) == []
    ledger.sent("after", 2, 200)
    assert list(ledger.stamped([(0, 120), (0, 210), (0, 220)])) == [("after", 2, 210)]
    assert ledger.awaited == 0


def test_packets_that_never_get_a_stamp_are_not_awaited_for_ever() -> None:
    ledger: Ledger[int] = Ledger()
    for number in range(10_000):
        ledger.sent(number, number, number)
    assert ledger.awaited == 4096
    assert list(ledger.stamped([(9_999, 10_000)])) == [(9_999, 9_999, 10_000)]
