"""Reports come in, windows go out: each into the window of its own time, once."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netmesh.v1 import agent_pb2
from netmesh_controller.clients.samples import sample_from
from netmesh_controller.engines.monitoring.members import Member
from netmesh_controller.mesh.probe_witness import probe_witness
from netmesh_controller.mesh.probing.checks import CheckBook, Result
from netmesh_controller.mesh.probing.history import Patch, patch_of_report
from netmesh_controller.mesh.probing.reports import base_of, peer_report
from netmesh_controller.mesh.probing.totals import Totals
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, PeerReport, RollingWindows, Window, take

log = logging.getLogger(__name__)

# Reports of windows that have not begun here; an agent whose clock is farther ahead is not believed.
_AHEAD_SECONDS = 20


@dataclass(slots=True)
class Counts:
    """What became of reports since the start. `refused` is by reason."""

    taken: int = 0
    late: int = 0
    forgotten: int = 0
    refused: Counter[str] = field(default_factory=Counter)


class Intake:
    """The windows of the mesh as they fill. `late` takes what is of a window that has closed."""

    def __init__(self, late: Callable[[Patch], None], now: Callable[[], float] = time.time) -> None:
        self._late = late
        self._now = now
        self.counts = Counts()
        self.totals = Totals()
        self.checks = CheckBook()
        self.begin()

    def begin(self) -> None:
        """Windows begin now, with no nodes yet; what has been counted since the start goes on."""
        # Windows are made of parts from the full hour on, so that minutes are minutes of the clock.
        self.rolling = RollingWindows((), int(self._now() // 3600) * 3600)
        while self.rolling.filling.started + BASE_SECONDS <= self._now():
            self.rolling.close()
        self._places: dict[str, int] = {}
        self._ahead: list[tuple[int, Member, agent_pb2.ProbeReport]] = []
        self._members: dict[str, Member] = {}
        self._told: set[str] = set()
        self._signs: dict[str, tuple[str, ...]] = {}
        self._zones: tuple[str | None, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names, in the order of rows and columns."""
        return self.rolling.nodes

    @property
    def told(self) -> frozenset[str]:
        """The nodes whose agents have told of the window that fills."""
        return frozenset(self._told)

    def with_nodes(self, nodes: Sequence[str], zones: Mapping[str, str | None]) -> None:
        """The mesh is these nodes from now on."""
        self._zones = tuple(zones[name] for name in nodes)
        self.totals.keep(tuple(nodes), self._zones)
        self.rolling.with_nodes(nodes)
        self.checks.keep(nodes)
        self._places = {name: place for place, name in enumerate(nodes)}
        self._members = {name: member for name, member in self._members.items() if name in self._places}

    def report(self, member: Member, report: agent_pb2.ProbeReport) -> None:
        """Takes a report that was not taken before."""
        self._members[member.node] = member
        if report.instance == member.instance and report.window <= member.window:
            self.counts.refused["again"] += 1
            return
        if report.instance == member.instance and report.window > member.window + 1:
            self.counts.forgotten += report.window - member.window - 1
        if report.instance != member.instance:
            member.base = 0
        member.instance, member.window = report.instance, report.window
        ended = report.ended_unix_nanoseconds * 1e-9
        base = base_of(ended, report.seconds)
        filling = self.rolling.filling.started
        # Ahead of all others; or its time ran backwards, and it would be added to windows that it has told of already.
        if base > filling + _AHEAD_SECONDS or base < member.base:
            off = round(ended - self._now())
            way = "ahead of" if off > 0 else "behind"
            member.clock = f"its clock was set, and is {abs(off)} s {way} the controller's"
            self.counts.refused["clock"] += 1
            return
        member.base, member.clock = base, None
        for one in report.checks:
            self.checks.add(member.node, one.name, _result(base, one))
        if base > filling:
            self._ahead.append((base, member, report))
        else:
            self._take(base, member, report)

    def cursors(self) -> dict[str, tuple[str, int]]:
        """By node the last window that is in a window that closed, or late: what was taken ahead comes again."""
        ahead: dict[str, int] = {}
        for _, member, report in self._ahead:
            ahead[member.node] = min(report.window, ahead.get(member.node, report.window))
        return {
            name: (member.instance, ahead.get(name, member.window + 1) - 1)
            for name, member in self._members.items()
            if member.instance
        }

    def close(self) -> tuple[dict[int, Window], frozenset[str], Mapping[str, tuple[str, ...]]]:
        """Ends the base window: the windows that ended, whose agents told of it, and the witness' signs by node."""
        ended, told, signs = self.rolling.close(), frozenset(self._told), self._signs
        self._told, self._signs = set(), {}
        waiting, self._ahead = self._ahead, []
        for base, member, report in waiting:
            if base > self.rolling.filling.started:
                self._ahead.append((base, member, report))
            else:
                self._take(base, member, report)
        return ended, told, signs

    def _take(self, base: int, member: Member, report: agent_pb2.ProbeReport) -> None:
        columns = self._columns(member, report)
        if columns is None:
            return
        window = self.rolling.filling
        if base < window.started:
            self.counts.late += 1
            member.late_at = time.monotonic()
            self._late(patch_of_report(base, member.node, self.nodes, columns))
            member.sample = sample_from(report.host)
            return
        self.counts.taken += 1
        self.totals.add(self.nodes, self._zones, columns)
        take(window, columns, more=member.node in self._told)
        self._told.add(member.node)
        sample = sample_from(report.host)
        if member.sample is not None:
            seen = probe_witness(member.sample, sample, latest_seconds=report.latest_seconds, tested=False)
            if seen is not None and seen.signs:
                self._signs[member.node] = tuple(seen.signs)
        member.sample = sample

    def _columns(self, member: Member, report: agent_pb2.ProbeReport) -> PeerReport | None:
        peers = member.versions.get(report.version)
        if peers is None:
            self.counts.refused["configuration"] += 1
            return None
        try:
            return peer_report(
                member.node,
                peers,
                self._places,
                sent=np.asarray(report.sent),
                lost=np.asarray(report.lost),
                measured=np.asarray(report.measured),
                round_trips_nanoseconds=np.asarray(report.network_nanoseconds),
            )
        except ValueError as error:
            log.warning("%s: %s; the report is left out", member.node, error)
            self.counts.refused["columns"] += 1
            return None


def _result(base: int, said: agent_pb2.CheckResult) -> Result:
    return Result(
        started=base,
        count=said.count,
        failed=said.failed,
        p50_seconds=said.p50_seconds if said.HasField("p50_seconds") else None,
        max_seconds=said.max_seconds if said.HasField("max_seconds") else None,
        code=said.code,
        message=said.message,
    )
