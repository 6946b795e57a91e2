"""Continuous monitoring: keeps the agents of a source probing each other, and the mesh's windows as reports come.

One task looks who is there and tells every agent whom to probe; one a member reads its reports, again after each loss
of the connection; one ends the windows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from netmesh_common.clockwatch import ClockWatch
from netmesh_common.tasks import cancelled, guarded_task
from netmesh_common.tls import CertificateError
from netmesh_controller.clients.agents import AgentError
from netmesh_controller.clients.stamp import Probing
from netmesh_controller.engines.monitoring.intake import Intake
from netmesh_controller.engines.monitoring.members import Found, Member, Members
from netmesh_controller.engines.monitoring.own import OwnTests
from netmesh_controller.engines.monitoring.wanted import peers_of, wanted
from netmesh_controller.inventory.located import InventoryError
from netmesh_controller.inventory.source import Source
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.probing.checks import Check, Summary
from netmesh_controller.mesh.probing.history import Patch
from netmesh_controller.mesh.probing.live import Standing, Statistic, over, signs_beside, table
from netmesh_controller.mesh.probing.peers import TURN_SECONDS, Peering, peering
from netmesh_controller.mesh.probing.ring import Ring
from netmesh_controller.mesh.probing.windows import BASE_SECONDS, LENGTHS, Window, without_losses_to
from netmesh_controller.mesh.progress import Progress
from netmesh_controller.mesh.table import Table

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
# Reports of a window come within this of its end; later ones are late.
GRACE_SECONDS = 2.0
# How soon it is seen that the clock was set.
CLOCK_SECONDS = 1.0
# A node that is new or was started again is given this long before anything is said of it.
FRESH_SECONDS = 30.0
# Who told something so lately, if too late, is there: where the controller has too little time all are late at once.
LATE_SECONDS = 2 * BASE_SECONDS + GRACE_SECONDS
BACK_OFF_SECONDS = (0.5, 15.0)


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A statistic of the last window of some length: `started` and `ended` are in seconds since 1970.

    A window that is not whole yet is shorter than its length: `ended` is when its last part did.
    """

    table: Table
    started: int
    ended: int
    seconds: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class Checking:
    """What every agent asks beside the probe, and how often; nothing by default."""

    checks: tuple[Check, ...] = ()
    interval_seconds: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """Windows that ended, by their length, and the mesh as it stood then."""

    windows: Mapping[int, Window]
    standing: Standing
    cursors: Mapping[str, tuple[str, int]]
    late: tuple[Patch, ...]


class Monitor:
    """Watches the mesh of one source while it leads; `progress` tells the sweep that runs now, whose nodes are marked.

    `on_closed` is told of every base window that ended.
    """

    def __init__(
        self,
        source: Source,
        *,
        progress: Callable[[], Progress | None] = lambda: None,
        on_closed: Callable[[Closed], None] = lambda _: None,
        interval_seconds: float = 1.0,
        checks: Checking | None = None,
    ) -> None:
        self._checking = checks or Checking()
        self._source = source
        self._own = OwnTests(progress)
        self.on_closed = on_closed
        self._interval = interval_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._gate = asyncio.Semaphore(64)
        self._ring = Ring()
        self._found = Found({}, {})
        self._chosen: Peering | None = None
        self._wanted: dict[str, Probing] = {}
        self._told: frozenset[str] = frozenset()
        self._signs: Mapping[str, tuple[str, ...]] = {}
        self._known: dict[str, tuple[str, int, dict[int, tuple[str, ...]]]] = {}
        # Tests, signs and absences of the parts that the longest window is made of.
        self._beside: deque[Standing] = deque(maxlen=LENGTHS[-1] // BASE_SECONDS)
        self._late: list[Patch] = []
        self.cover_seconds = 0.0
        self.restarts = 0
        self.standing = Standing()
        self.intake = Intake(self._late.append)

    # Who is in charge.

    async def lead(self, term: int) -> None:
        """Watches from now on."""
        await self.stand_by()
        self._begin()
        self._members = Members(self._source, term)
        self._tasks = [
            guarded_task(self._follow(), name="members of the mesh", lasting=True),
            guarded_task(self._close_windows(), name="windows of the mesh", lasting=True),
            guarded_task(self._own.watch(), name="own tests", lasting=True),
        ]

    def _begin(self) -> None:
        """Windows begin now: what lies between the last ones and these is nobody's gap, and another's to tell."""
        self.intake.begin()
        self._own.forget()
        self._beside.clear()
        self.standing = Standing()

    async def stand_by(self) -> None:
        """Watches no more; the agents go on until their lease ends."""
        await cancelled(*self._tasks)
        self._tasks = []
        members = list(self._found.members.values())
        await cancelled(*(one.task for one in members if one.task is not None))
        await asyncio.gather(*(one.client.close() for one in members))
        self._found = Found({}, {})

    @property
    def watching(self) -> bool:
        """Whether it is at work."""
        return bool(self._tasks)

    def restore(self, known: Mapping[str, tuple[str, int, dict[int, tuple[str, ...]]]]) -> None:
        """By node: instance and window that were taken last, and whom it probed under each version."""
        self._known = dict(known)

    def versions(self) -> dict[str, dict[int, tuple[str, ...]]]:
        """Whom each node probes under its last versions: what `restore` needs."""
        return {name: dict(member.versions) for name, member in self._found.members.items()}

    # What there is to see.

    def live(self, seconds: int, statistic: Statistic) -> Live | None:
        """The last window of that length; None before the first has ended."""
        window = self.intake.rolling.window(seconds)
        if window is None or not self.standing.nodes:
            return None
        last = self.intake.rolling.window(BASE_SECONDS)
        ended = (window if last is None else last).started + BASE_SECONDS
        standing = self.standing_over(seconds)
        return Live(table(standing, window, statistic), window.started, ended, seconds, standing)

    def checks(self, seconds: int) -> tuple[int, list[Summary]]:
        """What became of the checks in the last windows of that many seconds, and when the first of them began."""
        since = self.intake.rolling.filling.started - seconds
        return since, list(self.intake.checks.over(since))

    # Who takes part.

    async def _follow(self) -> None:
        while True:
            try:
                found = await self._members.look()
            except (InventoryError, CertificateError) as error:
                log.warning("who is in the mesh cannot be told now: %s", error)
            else:
                await self._take_up(found)
            await self._some_time()

    async def _some_time(self) -> None:
        presence = self._source.presence()
        if presence is None:
            await asyncio.sleep(LOOK_SECONDS)
            return
        try:
            await asyncio.wait_for(presence.changed(presence.version), LOOK_SECONDS)
        except TimeoutError:
            return

    async def _take_up(self, found: Found) -> None:
        before, self._found = self._found, found
        gone = [one for name, one in before.members.items() if found.members.get(name) is not one]
        await cancelled(*(one.task for one in gone if one.task is not None))
        for one in gone:
            self._members.forget(one)
            await one.client.close()
        zones = {name: one.zone for name, one in found.members.items()}
        zones |= {name: zone for name, (zone, _) in found.missing.items()}
        # The circle keeps the places of those that are away: they come back to the same peers.
        self._ring = self._ring.updated(zones)
        chosen = peering(self._ring, zones, int(time.time() // TURN_SECONDS))
        self.cover_seconds = chosen.cover_seconds
        if chosen != self._chosen or found.members != before.members:
            self._chosen, checking = chosen, self._checking
            self._wanted = {
                name: replace(one, checks=checking.checks, checks_interval_seconds=checking.interval_seconds)
                for name, one in wanted(chosen, found.members, interval_seconds=self._interval).items()
            }
        for name, one in found.members.items():
            if one.task is None:
                if name in self._known:
                    one.instance, one.window, one.versions = self._known.pop(name)
                one.fresh_until = time.monotonic() + FRESH_SECONDS
                if name in before.members or name in before.missing:
                    # It was here, at another address or not to be asked.
                    one.is_silent(time.time())
                one.task = guarded_task(self._watch(one), name=f"probes of {name}")
        order = sorted(zones, key=lambda name: (zones[name] or "", name))
        if (tuple(order), tuple(zones[name] for name in order)) != (self.standing.nodes, self.standing.zones):
            self.intake.with_nodes(order, zones)
            self.standing = self._stands()
        await asyncio.gather(*(self._configure_again(one) for one in found.members.values() if one.told is not None))

    async def _configure_again(self, member: Member) -> None:
        if member.told == self._wanted.get(member.node):
            return
        try:
            await self._configure(member)
        except AgentError as error:
            log.info("%s is not configured anew: %s", member.node, error.message)

    async def _configure(self, member: Member) -> None:
        asked = self._wanted[member.node]
        version = max(int(time.time() * 1000), max(member.versions, default=0) + 1)
        member.remember(version, peers_of(asked, self._found.members))
        async with self._gate:
            instance, _ = await member.client.configure_probing(replace(asked, version=version))
        member.told = asked
        if member.process not in ("", instance):
            log.warning("%s: its agent was started again", member.node)
            self.restarts += 1
            member.fresh_until = time.monotonic() + FRESH_SECONDS
            member.sample = None
        member.process = instance

    # What they say.

    async def _watch(self, member: Member) -> None:
        least, most = BACK_OFF_SECONDS
        delay = least
        while True:
            try:
                await self._configure(member)
                watched = member.client.watch_probes(member.instance, member.window)
                async with aclosing(watched):
                    async for report in watched:
                        delay = least
                        member.is_heard(time.time())
                        self.intake.report(member, report)
                said = "its agent ended the stream of reports"
            except AgentError as error:
                said = error.message
            if member.reason is None:
                log.warning("%s: %s", member.node, said)
                member.reason = self._why(member.node, said)
            member.is_silent(time.time())
            # Not all at once: a controller that was away is met by all agents at the same moment.
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            delay = min(2 * delay, most)

    def _why(self, node: str, said: str) -> Reason:
        """Why an agent says nothing: it failed, or its node was taken out of service on purpose."""
        presence = self._source.presence()
        excuse = None if presence is None else presence.excuse(node)
        if excuse is not None:
            return Reason(code="agent_away", message=excuse)
        return Reason(code="agent_lost", message=f"{node}: {said}")

    async def _close_windows(self) -> None:
        clock = ClockWatch()
        sets = clock.look()
        while True:
            ends = self.intake.rolling.filling.started + BASE_SECONDS
            left = ends + GRACE_SECONDS - time.time()
            if (now := clock.look()) != sets:
                sets = now
                log.warning("this host's clock was set: the windows of the mesh begin anew")
                self._begin()
                for member in self._found.members.values():
                    member.forget_times(time.time())
                continue
            if left > 0:
                await asyncio.sleep(min(left, CLOCK_SECONDS))
                continue
            silent = self._silent(ends - BASE_SECONDS, ends + GRACE_SECONDS)
            without_losses_to(self.intake.rolling.filling, np.array(silent, dtype=np.intp))
            cursors = self.intake.cursors()
            windows, self._told, self._signs = self.intake.close()
            self.standing = self._stands(self._own.between(ends - BASE_SECONDS, ends + GRACE_SECONDS))
            self.note(self.standing)
            late, self._late[:] = tuple(self._late), ()
            self.on_closed(Closed(windows, self.standing, cursors, late))

    def _silent(self, begin: float, end: float) -> list[int]:
        """The places of the nodes whose agents were away in that time, are still, or have not told of this window.

        The last is how a node that lost its power shows: its connection ends only when nobody has answered for long.
        """
        found, told = self._found, self.intake.told
        return [
            place
            for place, name in enumerate(self.intake.nodes)
            if name not in told or (member := found.members.get(name)) is None or member.was_silent(begin, end)
        ]

    def note(self, standing: Standing) -> None:
        """How the mesh stood in the window that ended last."""
        last = self._beside[-1] if self._beside else Standing()
        if (standing.own, standing.marked, standing.missing) != (last.own, last.marked, last.missing):
            # An hour of windows shares what stays the same.
            missing = last.missing if standing.missing == last.missing else standing.missing
            last = replace(last, own=standing.own, marked=standing.marked, missing=missing)
        self._beside.append(last)

    def standing_over(self, seconds: int) -> Standing:
        """How the mesh stands, with what was in any of a window's parts that have been seen."""
        return over((*list(self._beside)[-(seconds // BASE_SECONDS) :], self.standing))

    def _stands(self, own: frozenset[str] | None = None) -> Standing:
        nodes, found = self.intake.nodes, self._found
        places = {name: place for place, name in enumerate(nodes)}
        probed = np.zeros((len(nodes), len(nodes)), dtype=bool)
        missing: dict[str, Reason] = {}
        zones: list[str | None] = []
        now = time.monotonic()
        for name in nodes:
            member = found.members.get(name)
            if member is None:
                # Neither there nor missing: it was found and lost again since the windows were given their nodes.
                lost = Reason(code="agent_lost", message=f"{name}: its agent was not found when it was last looked for")
                zone, reason = found.missing.get(name, (None, lost))
                zones.append(zone)
                missing[name] = reason
                continue
            zones.append(member.zone)
            if member.versions:
                peers = member.versions[max(member.versions)]
                probed[places[name], [places[peer] for peer in peers if peer in places]] = True
            if member.reason is not None:
                missing[name] = member.reason
            elif name not in self._told and member.clock is not None:
                missing[name] = Reason(
                    code="refused", message=f"{name}: what its agent tells is left out: {member.clock}"
                )
            elif name not in self._told and now < member.fresh_until:
                missing[name] = Reason(code="not_scheduled", message=f"{name}: its agent has just begun to probe")
            elif name not in self._told and now < member.late_at + LATE_SECONDS:
                late = "what its agent tells comes too late: it has too little time, or this controller has"
                missing[name] = Reason(code="timeout", message=f"{name}: {late}")
            elif name not in self._told:
                missing[name] = Reason(code="agent_lost", message=f"{name}: its agent has not told of this window")
        fresh = frozenset(name for name, one in found.members.items() if now < one.fresh_until)
        own = self.standing.own if own is None else own
        return Standing(nodes, tuple(zones), probed, missing, own, signs_beside(self._signs, own), fresh)
