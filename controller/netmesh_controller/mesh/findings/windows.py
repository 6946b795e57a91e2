"""Findings of window after window, as events: opened, changed, closed. Without clock and I/O.

A window is short and a network is restless, so that a finding comes and goes where nothing has begun or ended. It opens
once it was there in some windows one after the other, and closes once it was gone in more of them. Windows in which a
place cannot be judged count for neither: netmesh's own tests ran there, or it told nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netmesh_controller.mesh.document import Finding

What: TypeAlias = Literal["opened", "changed", "closed"]
_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

# What `where` says of nodes.
_NODES = ("node", "source", "target")
# Where it is found, and not what is found there.
_NO_PLACE = ("direction", "zone")


@dataclass(frozen=True, slots=True)
class Event:
    """What has become of a finding. `since` is the window in which it was first seen.

    `cause` says why it closed where that is not that it is gone: `node_away`.
    """

    what: What
    at: str
    since: str
    finding: Finding
    cause: str | None = None


@dataclass(slots=True)
class _State:
    since: str
    said: Finding  # as it was last told
    latest: Finding
    seen: int = 0  # windows with it, one after the other
    gone: int = 0  # windows without it, one after the other
    changed: int = 0  # windows in which it is another than was told, one after the other
    is_open: bool = False


@dataclass(slots=True)
class Watch:
    """The findings of a mesh over time.

    A finding opens in the `open_after`th window in a row that has it, and closes in the `close_after`th that has not.
    It has changed where for `change_after` windows its size is another by the factor `change`, or its direction is.
    """

    open_after: int = 2
    close_after: int = 3
    change: float = 1.5
    change_after: int = 2
    _states: dict[_Key, _State] = field(default_factory=dict)

    @property
    def open(self) -> tuple[Finding, ...]:
        """What is open now, as it was last seen."""
        return tuple(state.latest for state in self._states.values() if state.is_open)

    def restore(self, finding: Finding, since: str) -> None:
        """A finding that is open already, as one of before a restart."""
        self._states[_key(finding)] = _State(since, finding, finding, seen=self.open_after, is_open=True)

    def window(
        self, at: str, findings: Iterable[Finding], *, unjudged: Collection[str] = (), away: Collection[str] = ()
    ) -> list[Event]:
        """The events of the window `at` (RFC 3339) with these findings.

        `unjudged` are nodes whose figures say nothing in it: own tests ran there, or none came. `away` are nodes that
        are drained, cordoned, restarting or new: nothing opens at them, and what is open closes with that cause.
        """
        here = {_key(one): one for one in findings}
        events: list[Event] = []
        for key in {**self._states, **here}:
            nodes = _nodes_of(key)
            state, found = self._states.get(key), here.get(key)
            if nodes & set(away):
                if state is not None:
                    del self._states[key]
                    if state.is_open:
                        events.append(Event("closed", at, state.since, state.latest, "node_away"))
            elif nodes & set(unjudged):
                continue
            elif found is not None:
                if state is None:
                    state = self._states[key] = _State(at, found, found)
                events += self._seen(at, state, found)
            elif state is not None:
                events += self._gone(at, key, state)
        return events

    def _seen(self, at: str, state: _State, found: Finding) -> list[Event]:
        state.seen, state.gone, state.latest = state.seen + 1, 0, found
        if not state.is_open:
            if state.seen < self.open_after:
                return []
            state.is_open, state.said = True, found
            return [Event("opened", at, state.since, found)]
        state.changed = state.changed + 1 if self._is_another(state.said, found) else 0
        if state.changed < self.change_after:
            return []
        state.changed, state.said = 0, found
        return [Event("changed", at, state.since, found)]

    def _gone(self, at: str, key: _Key, state: _State) -> list[Event]:
        state.seen, state.changed, state.gone = 0, 0, state.gone + 1
        if not state.is_open:
            # What was not there long enough begins anew.
            del self._states[key]
            return []
        if state.gone < self.close_after:
            return []
        del self._states[key]
        return [Event("closed", at, state.since, state.latest)]

    def _is_another(self, said: Finding, found: Finding) -> bool:
        if said.where.get("direction") != found.where.get("direction"):
            return True
        if not said.size or not found.size or said.size < 0 or found.size < 0:
            return False
        return abs(math.log(found.size / said.size)) >= math.log(self.change)


def _key(finding: Finding) -> _Key:
    return finding.kind, tuple(sorted((name, what) for name, what in finding.where.items() if name not in _NO_PLACE))


def _nodes_of(key: _Key) -> set[str]:
    return {what for name, what in key[1] if name in _NODES}
