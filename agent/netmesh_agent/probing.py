"""The continuous probe: many peers on one tick, and what became of their probes, window by window.

It goes on while the controller is away, for as long as its lease runs, and keeps what it saw until it is asked. There
is no task a probe or a peer: one timer sends what is due in a batch, one task ends the windows.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable

from netmesh.v1 import agent_pb2
from netmesh_agent.checks import Checks
from netmesh_agent.probing_report import fill
from netmesh_agent.probing_settings import SHORTEST_TICK_SECONDS, Configuration, ProbePeer, check
from netmesh_agent.stamp.sender import Peer, Sender
from netmesh_agent.stamp.sessions import ReflectedSession, Sessions
from netmesh_agent.stamp.window import Window, fold
from netmesh_agent.tools.base import StampSession
from netmesh_common.tasks import guarded_task

log = logging.getLogger(__name__)

# A tick costs its cold caches, however much is done on it; from an interval of 1 s on there are ten in an interval.
LONGEST_TICK_SECONDS, _TICKS_AN_INTERVAL = 0.1, 10
JITTER = 0.1
# Ways through a fabric that are seen; a true T3 comes with the next answer on the same port, so that more make it late.
SOURCE_PORTS = 4
# Our packets: 72 bytes, or 160 with their HMACs.
_SLOT_BYTES = 256
# What is kept while nobody asks: an hour of windows of 5 s, and not more than this of memory.
KEPT_WINDOWS, KEPT_BYTES = 720, 8 * 1024 * 1024
# From which timeout on, in ticks, answers to others may wait for one: their timeout is ours.
_PATIENT_TICKS = 4
# A timer that fires a little early must not make a window of nothing.
_SHORTEST_PART = 0.05
_ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104  # a sender takes the address that leads to its peer


class Probing:
    """This agent's continuous probe. `sample` reads the host for the witness of a window.

    `told` hears of each window with the number of peers, and of None where nobody is probed any more.
    """

    def __init__(
        self,
        sessions: Sessions,
        sample: Callable[[], agent_pb2.HostSample],
        clock_error: Callable[[], float | None] = lambda: None,
        told: Callable[[agent_pb2.ProbeReport | None, int], None] = lambda _report, _peers: None,
        checks: Checks | None = None,
    ) -> None:
        self._checks = checks or Checks()
        self.instance = secrets.token_hex(8)
        self._sessions = sessions
        self._sample = sample
        self._clock_error = clock_error
        self._told = told
        # Agents tick at different moments, so that they do not all send at once.
        self._phase = random.uniform(0, LONGEST_TICK_SECONDS)  # noqa: S311  # no secret
        self._tick_seconds = LONGEST_TICK_SECONDS
        self._configuration: Configuration | None = None
        self._senders: dict[int, Sender] = {}
        self._peers: dict[ProbePeer, Peer] = {}
        # By identifier and key: their addresses may change.
        self._answered: dict[tuple[int, bytes | None], ReflectedSession] = {}
        self._kept: deque[tuple[int, bytes]] = deque()
        self._kept_bytes = 0
        self._forgotten = 0
        self._window = 0
        self._began = time.monotonic()
        self._drops = 0
        self._news = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._lease: asyncio.TimerHandle | None = None

    async def configure(self, wanted: Configuration) -> int:
        """Changes to another configuration; peers and sessions that stay in it go on without a break.

        What was seen so far is reported under the old one. Returns the reflector's port. Raises Refused where a session
        cannot be answered.
        """
        check(wanted)
        self._sessions.listen()
        self._end_window()
        before = self._configuration
        paced = before is None or (before.interval_seconds, before.timeout_seconds) != (
            wanted.interval_seconds,
            wanted.timeout_seconds,
        )
        self._stop_probing(set(self._peers) if paced else set(self._peers) - set(wanted.peers))
        if paced:
            self._close_senders()
            at_most = wanted.interval_seconds / _TICKS_AN_INTERVAL
            self._tick_seconds = min(max(at_most, SHORTEST_TICK_SECONDS), LONGEST_TICK_SECONDS)
        await self._answer(wanted.answered)
        self._configuration = wanted
        for peer in wanted.peers:
            if peer not in self._peers:
                self._peers[peer] = self._sender(peer.family).add(
                    peer.address,
                    peer.port,
                    peer.ssid,
                    interval_seconds=wanted.interval_seconds,
                    timeout_seconds=wanted.timeout_seconds,
                    key=peer.key,
                    same_clock=peer.same_clock,
                    jitter=JITTER,
                )
        patient = wanted.timeout_seconds >= _PATIENT_TICKS * self._tick_seconds
        self._sessions.answer_on_ticks(bool(self._senders) and patient)
        self._checks.configure(wanted.checks, wanted.checks_interval_seconds)
        self._began = time.monotonic()
        if self._ending is None and (wanted.peers or wanted.checks):
            self._ending = guarded_task(self._end_windows(), name="windows of the continuous probe")
        self.renew()
        return self._sessions.port or 0

    def renew(self) -> None:
        """The controller is there: the lease begins anew."""
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None
        if self._configuration is not None:
            loop = asyncio.get_running_loop()
            self._lease = loop.call_later(self._configuration.lease_seconds, self._expire)

    def _expire(self) -> None:
        log.warning("nobody asked for the continuous probe while its lease ran; it ends")
        self._lease = None
        self._end_window()
        guarded_task(self.close(), name="end of the continuous probe")

    async def reports(self, instance: str, after: int) -> AsyncGenerator[agent_pb2.ProbeReport, None]:
        """What was kept of the windows after that one, or of all where `instance` is another, then each as it ends.

        What was told up to `after` is forgotten.
        """
        after = after if instance == self.instance else 0
        while self._kept and self._kept[0][0] <= after:
            self._kept_bytes -= len(self._kept.popleft()[1])
        while True:
            # First: a window that ends while one is told must not be missed.
            self._news.clear()
            for window, report in [entry for entry in self._kept if entry[0] > after]:
                self.renew()
                yield agent_pb2.ProbeReport.FromString(report)
                after = window
            await self._news.wait()

    async def close(self) -> None:
        """Probes and answers nobody any more; what was kept can still be asked for."""
        if self._lease is not None:
            self._lease.cancel()
            self._lease = None
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._configuration = None
        self._checks.close()
        self._told(None, 0)
        self._stop_probing(set(self._peers))
        self._close_senders()
        await self._answer(())

    def _close_senders(self) -> None:
        """From here on there are no ticks."""
        self._sessions.answer_on_ticks(False)
        for sender in self._senders.values():
            sender.close()
        self._senders.clear()
        self._drops = 0

    def _sender(self, family: int) -> Sender:
        if family not in self._senders:
            sender = Sender(
                tick_seconds=self._tick_seconds,
                phase_seconds=self._phase,
                clock_error=self._clock_error,
                slot_bytes=_SLOT_BYTES,
                reads_on_tick=True,
                # One wake-up for all: cold caches are most of what one costs.
                before_tick=self._sessions.answer_waiting,
            )
            sender.open(_ANY[family], [0] * SOURCE_PORTS)
            self._senders[family] = sender
        return self._senders[family]

    def _stop_probing(self, peers: set[ProbePeer]) -> None:
        for peer in peers:
            self._senders[peer.family].remove(self._peers.pop(peer))

    async def _answer(self, wanted: tuple[StampSession, ...]) -> None:
        by_key = {(session.ssid, session.key): session for session in wanted}
        for gone in self._answered.keys() - by_key.keys():
            await self._answered.pop(gone).end()
        for key, session in by_key.items():
            if key not in self._answered:
                self._answered[key] = self._sessions.open(session, prompt=False)
            elif self._answered[key].session.peers != session.peers:
                self._answered[key].change(session.peers)

    async def _end_windows(self) -> None:
        """Windows end at whole multiples of their length on the wall clock: those of all agents are one stretch."""
        while self._configuration is not None:
            length = self._configuration.window_seconds
            await asyncio.sleep(max(length - time.time() % length, length * _SHORTEST_PART))
            if self._configuration is not None:
                self._end_window()

    def _end_window(self) -> None:
        """Reports the window that ends now and begins another; nothing where nobody is probed or asked."""
        configuration, now = self._configuration, time.monotonic()
        if configuration is None or not (configuration.peers or configuration.checks):
            return
        self._window += 1
        report = agent_pb2.ProbeReport(
            version=configuration.version,
            instance=self.instance,
            window=self._window,
            ended_unix_nanoseconds=time.time_ns(),
            seconds=now - self._began,
            forgotten=self._forgotten,
            latest_seconds=max((sender.latest_seconds for sender in self._senders.values()), default=0.0),
            host=self._sample(),
            checks=self._checks.take(),
        )
        self._began = now
        drops = sum(sender.dropped() for sender in self._senders.values())
        report.socket_drops, self._drops = drops - self._drops, drops
        fill(report, self._take(configuration.peers), [self._peers[peer] for peer in configuration.peers])
        for sender in self._senders.values():
            sender.latest_seconds = 0.0
        self._keep(report)
        self._told(report, len(configuration.peers))

    def _take(self, peers: tuple[ProbePeer, ...]) -> list[Window]:
        taken: dict[ProbePeer, Window] = {}
        for family, sender in self._senders.items():
            mine = [peer for peer in peers if peer.family == family]
            for peer, windows in zip(mine, sender.take_all([self._peers[peer] for peer in mine]), strict=True):
                taken[peer] = fold(windows)
        return [taken[peer] for peer in peers]

    def _keep(self, report: agent_pb2.ProbeReport) -> None:
        encoded = report.SerializeToString()
        self._kept.append((report.window, encoded))
        self._kept_bytes += len(encoded)
        while len(self._kept) > KEPT_WINDOWS or (self._kept_bytes > KEPT_BYTES and len(self._kept) > 1):
            self._kept_bytes -= len(self._kept.popleft()[1])
            self._forgotten += 1
        self._news.set()
