"""Events of the mesh: what opened, changed and closed, each with an identity that lasts over a restart. Pure.

Hysteresis is that of `findings.windows`. A node that is drained or cordoned is away: it raises nothing, and what is
open there closes. One that is new or was started again, and one at which netmesh's own tests run, is not judged. An
agent that is lost is an event of its own, and its pairs raise none: what they lose says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings import windows as watching
from netmesh_controller.mesh.probing.judging import explains, judge, judge_minutes, lost_agents, unjudged
from netmesh_controller.mesh.probing.live import Standing
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, Window


@dataclass(frozen=True, slots=True)
class MeshEvent:
    """What became of a finding. Times are RFC 3339; `closed_at` is None while it is open.

    `opened_at` is when it was told; `since` when the window ended in which it was first seen. `cause` says why it
    closed where that is not that it is gone: `node_away`.
    """

    id: str
    finding: Finding
    since: str
    opened_at: str
    changed_at: str | None = None
    closed_at: str | None = None
    cause: str | None = None

    @property
    def state(self) -> str:
        """open or closed."""
        return "open" if self.closed_at is None else "closed"


def _watch(open_after: int = 3, change: float = 2.0) -> watching.Watch:
    """What is there for 10 s at least opens; what is gone for 30 s closes, and changes where it is another for 20 s."""
    return watching.Watch(
        open_after=open_after, close_after=30 // BASE_SECONDS, change=change, change_after=20 // BASE_SECONDS
    )


@dataclass(slots=True)
class Events:
    """The events of a mesh over its windows."""

    slow: watching.Watch = field(default_factory=_watch)
    # Counts are added up over 30 s, and a loss is found where three windows of them have it: it opens with that. One
    # that begins or ends grows and shrinks by half meanwhile.
    lossy: watching.Watch = field(default_factory=lambda: _watch(open_after=1, change=2.5))
    agents: watching.Watch = field(default_factory=_watch)
    _open: dict[str, MeshEvent] = field(default_factory=dict)
    _lasting: list[Finding] = field(default_factory=list)

    @property
    def open(self) -> tuple[MeshEvent, ...]:
        """What is open now."""
        return tuple(self._open.values())

    def restore(self, events: Iterable[MeshEvent]) -> None:
        """What was open when the controller ended: it goes on, and closes if it is gone."""
        for event in events:
            self._open[_key(event.finding)] = event
            self._watch(event.finding).restore(event.finding, event.since)

    def minute(self, minutes: Sequence[Window], standing: Standing) -> None:
        """What the last minutes say stands beside what each window says, until the next minute has ended."""
        self._lasting = judge_minutes(minutes, standing)

    def window(self, at: str, windows: Sequence[Window], standing: Standing) -> list[MeshEvent]:
        """The events of the window that ended `at`, the last of `windows`, each as it is now."""
        away = {name for name, reason in standing.missing.items() if reason.code == "agent_away"}
        # Of one place, minutes have the steadier figure: the last of a key stands.
        found = [*judge(windows, standing), *self._lasting]
        nodes = [*(event.finding for event in self._open.values()), *found]
        found = [one for one in found if not any(explains(node, one) for node in nodes)]
        # What is open at a node that is no longer in the mesh is of a node that is away.
        gone = self._nodes() - set(standing.nodes)
        silent = unjudged(standing) | standing.fresh
        told: list[watching.Event] = []
        for watch in (self.slow, self.lossy):
            mine = [one for one in found if self._watch(one) is watch]
            told += watch.window(at, mine, unjudged=silent, away=away | gone)
        told += self.agents.window(at, lost_agents(standing), away=away | gone)
        return [self._became(one) for one in told]

    def _watch(self, finding: Finding) -> watching.Watch:
        if finding.kind == "agent_lost":
            return self.agents
        return self.lossy if finding.kind.startswith("lossy") else self.slow

    def _nodes(self) -> set[str]:
        return {
            what
            for event in self._open.values()
            for name, what in event.finding.where.items()
            if name in ("node", "source", "target")
        }

    def _became(self, told: watching.Event) -> MeshEvent:
        key = _key(told.finding)
        known = self._open.get(key)
        if known is None:
            known = MeshEvent(_identity(key, told.since), told.finding, told.since, told.at)
        if told.what == "closed":
            self._open.pop(key, None)
            return replace(known, finding=told.finding, closed_at=told.at, cause=told.cause)
        if told.what == "changed":
            known = replace(known, finding=told.finding, changed_at=told.at)
        self._open[key] = known
        return known


def what_became(event: MeshEvent) -> str:
    """opened, changed or closed: what an event was told for last."""
    if event.closed_at is not None:
        return "closed"
    return "opened" if event.changed_at is None else "changed"


def _key(finding: Finding) -> str:
    places = sorted(one for one in finding.where.items() if one[0] not in ("direction", "zone"))
    return "|".join((finding.kind, *(f"{name}={what}" for name, what in places)))


def _identity(key: str, since: str) -> str:
    return hashlib.blake2b(f"{since}|{key}".encode(), digest_size=8).hexdigest()
