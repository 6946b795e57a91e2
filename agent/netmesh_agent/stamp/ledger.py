"""Whose packet a transmit stamp is of: the kernel names it by the number of its sendmsg(2) only. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner")

# Transmit stamps come back within a few batches, or not at all.
_NUMBERS = 4096


class Ledger(Generic[Owner]):
    """The packets that left one socket, by number, until their stamps are there.

    The first stamp of a packet is the one that counts. There may be more: a packet that keeps its socket on its way, as
    through a bridge of the same kernel, is stamped by each device that it passes.
    """

    __slots__ = ("_next", "_when", "_which", "_whose", "awaited")

    def __init__(self) -> None:
        self._next = 0
        self._whose: list[Owner | None] = [None] * _NUMBERS
        self._which = array("Q", bytes(8 * _NUMBERS))
        self._when = array("q", bytes(8 * _NUMBERS))
        # How many packets have no stamp yet, as far as is known.
        self.awaited = 0

    def sent(self, owner: Owner, which: int, when: int) -> None:
        """Notes the next packet: its owner, which of its owner's it is, and a time in ns before it left."""
        at = self._next % _NUMBERS
        if self._whose[at] is not None:
            # A packet that was dropped before any device never gets one.
            self.awaited -= 1
        self._whose[at], self._which[at], self._when[at] = owner, which, when
        self._next += 1
        self.awaited += 1

    def restart(self) -> None:
        """The numbers begin at 0 again; stamps of the packets before are nobody's."""
        self._next = 0
        self._whose = [None] * _NUMBERS
        self.awaited = 0

    def stamped(self, stamps: Iterable[tuple[int, int]]) -> Iterator[tuple[Owner, int, int]]:
        """Of numbers and stamps in ns: the owner, which of its packets, and the stamp, once for each packet."""
        for number, stamp in stamps:
            at = number % _NUMBERS
            owner = self._whose[at]
            # One from before the packet was made is another's, of before the numbering began again.
            if owner is not None and stamp >= self._when[at]:
                self._whose[at] = None
                self.awaited -= 1
                yield owner, self._which[at], stamp
