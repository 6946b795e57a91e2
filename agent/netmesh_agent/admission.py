"""Who may measure here now: one exclusive group at a time, and one set of endpoints opened ahead for the next."""

from __future__ import annotations

from collections import Counter

from netmesh_agent.tools.base import Spec

# STAMP of no more probes a second disturbs nobody.
SLOW_PROBES_PER_SECOND = 10


def is_slow(spec: Spec) -> bool:
    """Whether a test needs no place and runs beside others: STAMP at a slow pace."""
    rate = spec.offered_per_second
    return spec.session is not None and rate is not None and rate <= SLOW_PROBES_PER_SECOND


class Busy(Exception):  # noqa: N818  # a state, told by name
    """Both places are taken by other groups."""


class Admission:
    """Places for two groups: the current one, which may run tests, and the next, which may only be opened.

    A group holds its place while it has endpoints or tests; the next moves up when the current one is gone.
    """

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._order: list[str] = []

    def __len__(self) -> int:
        """How many groups hold a place."""
        return len(self._order)

    @property
    def current(self) -> str | None:
        """The group that may run tests now."""
        return self._order[0] if self._order else None

    def open(self, group: str) -> None:
        """Takes a place for one endpoint of `group`; Busy where two other groups hold both."""
        if group not in self._held and len(self._order) == 2:
            raise Busy(f"this agent measures for {self._order[0]} and holds endpoints for {self._order[1]}")
        self._hold(group)

    def run(self, group: str) -> None:
        """Takes the exclusive place for one test of `group`; Busy where another group has it."""
        if self._order and self._order[0] != group:
            raise Busy(f"this agent measures for {self._order[0]}")
        self._hold(group)

    def _hold(self, group: str) -> None:
        if group not in self._held:
            self._order.append(group)
        self._held[group] += 1

    def release(self, group: str) -> None:
        """Gives back what one `open` or `run` took."""
        self._held[group] -= 1
        if self._held[group] <= 0:
            del self._held[group]
            self._order.remove(group)
