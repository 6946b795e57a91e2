"""Which measurements overlapped in time at one place: a kernel, or a node. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Occupancy:
    """Who was where, and when, in seconds of one clock. What can overlap nothing that still runs is forgotten."""

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._at: dict[str, list[tuple[int, float, float | None]]] = {}

    def enter(self, index: int, places: Iterable[str], now: float) -> None:
        """A measurement begins at these places, after all that have begun."""
        self._begun.pop(index, None)
        self._begun[index] = now
        for place in places:
            self._at.setdefault(place, []).append((index, now, None))

    def leave(self, index: int, places: Iterable[str], now: float) -> None:
        """It is over there."""
        self._begun.pop(index, None)
        # In the order in which they began.
        oldest = next(iter(self._begun.values()), now)
        for place in places:
            self._at[place] = [
                (other, begun, now if other == index and ended is None else ended)
                for other, begun, ended in self._at[place]
                if ended is None or ended >= oldest
            ]

    def shared(self, index: int, places: Iterable[str]) -> bool:
        """Whether another was at one of these places since this measurement, which still runs, began."""
        begun = self._begun[index]
        return any(
            other != index and (ended is None or ended > begun)
            for place in places
            for other, _, ended in self._at.get(place, ())
        )
