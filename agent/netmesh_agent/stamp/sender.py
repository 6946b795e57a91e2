"""The Session-Sender: probes many reflectors from a few source ports, in batches on one tick, with no task a probe."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import select
import socket
import time
from collections.abc import Callable

from netmesh_agent.stamp import kernel
from netmesh_agent.stamp.datagrams import SLOT_BYTES, name_of
from netmesh_agent.stamp.flow import Flow
from netmesh_agent.stamp.link import Link
from netmesh_agent.stamp.sending import SendingPort
from netmesh_agent.stamp.timestamps import NANOSECONDS, encode_error_estimate
from netmesh_agent.stamp.window import Window
from netmesh_common.clockwatch import ClockWatch

CLOCK_SECONDS = 16
_END_OF_TIME = (1 << 63) - 1
# Packets that end a test, on each source port: at most so many, so many at once, at this pace.
_CLOSING_PROBES, _CLOSING_AT_ONCE, _CLOSING_SECONDS = 128, 4, 0.02
# How late a probe may leave at least; timers of the event loop are whole milliseconds.
_CATCH_UP_SECONDS = 0.01
# Of the interval, between one peer's first probe and the next one's: any number of peers is spread evenly.
_GOLDEN = (math.sqrt(5) - 1) / 2


class Peer:
    """A reflector that is probed: one flow for each source port, which take turns."""

    __slots__ = ("_same_clock", "due", "interval", "jitter", "links", "skipped", "timeout_seconds", "turn")

    def __init__(
        self,
        links: list[Link],
        interval: float,
        due: float,
        timeout_seconds: float,
        *,
        jitter: float,
        same_clock: bool,
    ) -> None:
        self.links = links
        self.timeout_seconds = timeout_seconds
        self.interval = interval
        self.jitter = jitter
        self.due = due
        self.turn = 0
        # Probes that were not sent in their time, for this process did not run.
        self.skipped = 0
        self._same_clock = same_clock

    def take(self, now: int, clock_error_seconds: float | None, *, eager: bool = False) -> list[Window]:
        """Each source port's window; a new one begins. `now` is the time in ns, `eager` as of `Flow.settle`."""
        windows = []
        for link in self.links:
            link.flow.settle(now, eager=eager)
            error = 0 if self._same_clock else link.one_way_error(clock_error_seconds)
            windows.append(link.flow.take(error))
        return windows


class Sender:
    """Probes any number of peers of one address family.

    `tick_seconds`: all probes that are due leave together on a tick; ticks are `phase_seconds` after whole multiples of
    it on the monotonic clock, so that agents with different phases do not send at once. `clock_error`: how far this
    host's clock may be off, in seconds, None where nobody keeps it. `ptp`: stamps in the PTPv2 format. `slot_bytes`:
    room for a packet. `reads_on_tick`: answers are read on ticks only, which saves waking up for each; what the process
    sees of a round trip then says nothing. `before_tick` is called on each tick, before anything is read.
    """

    def __init__(
        self,
        *,
        tick_seconds: float = 0.05,
        phase_seconds: float = 0.0,
        clock_error: Callable[[], float | None] = lambda: None,
        ptp: bool = False,
        slot_bytes: int = SLOT_BYTES,
        reads_on_tick: bool = False,
        before_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._reads_on_tick = reads_on_tick
        self._before_tick = before_tick
        # What a tick looks at first: most ports have nothing.
        self._waiting = select.epoll()
        self._slot_bytes = slot_bytes
        self._tick_seconds = tick_seconds
        self._phase = phase_seconds % tick_seconds
        self._clock_error = clock_error
        self._error_seconds: float | None = None
        self._error_until = 0
        self._ptp = ptp
        self._ports: list[SendingPort] = []
        self._queue: list[tuple[float, int, Peer]] = []
        self._added = 0
        self._timer: asyncio.TimerHandle | None = None
        self._peers: set[Peer] = set()
        self._clock = ClockWatch()
        self._clock_sets = 0
        self.latest_seconds = 0.0

    @property
    def features(self) -> kernel.Features:
        """What the kernel agreed to on the sockets."""
        return self._ports[0].features

    @property
    def source_ports(self) -> list[int]:
        """In the order of the windows that `take` returns."""
        return [port.number for port in self._ports]

    def open(self, address: str, ports: list[int]) -> None:
        """Binds a socket for each source port (0: one is chosen), in the running event loop. Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for port in ports:
            self._ports.append(
                SendingPort(
                    family,
                    address,
                    port,
                    ptp=self._ptp,
                    slot_bytes=self._slot_bytes,
                    before_reading=self._watch_clock,
                    wakes=not self._reads_on_tick,
                )
            )
            self._waiting.register(self._ports[-1].sock.fileno(), select.EPOLLIN)

    def add(
        self,
        address: str,
        port: int,
        ssid: int,
        *,
        interval_seconds: float,
        timeout_seconds: float = 1.0,
        packet_bytes: int | None = None,
        key: bytes | None = None,
        same_clock: bool = False,
        jitter: float = 0.0,
    ) -> Peer:
        """Probes a reflector from the next tick on, in turn from each source port.

        `packet_bytes`: of the UDP payload, at least 44 or, with a key, 112; None takes what the TLVs need. `key`:
        authenticated mode. `same_clock`: the reflector reads the very clock of this host. `jitter`: by which part of
        the interval two probes may be closer or further apart.

        Raises ValueError for an impossible size, or where the reflector is probed already.
        """
        turns = interval_seconds * len(self._ports)
        # A true T3 comes with the next answer on the same port, late by as many as the reflector answered at once.
        settle_seconds = timeout_seconds + 2 * turns + 2 * self._tick_seconds
        closest = turns * (1 - jitter)
        capacity = math.ceil(settle_seconds / closest) + math.ceil(self._tick_seconds / turns) + 8
        links = []
        for sending in self._ports:
            flow = Flow(
                capacity=capacity,
                timeout_nanoseconds=round(timeout_seconds * NANOSECONDS),
                settle_nanoseconds=round(settle_seconds * NANOSECONDS),
            )
            name = name_of(sending.family, address, port)
            links.append(Link(flow, name, ssid, key=key, packet_bytes=packet_bytes, error=self._error_estimate()))
        for sending, link in zip(self._ports, links, strict=True):
            sending.add(link)
        start = asyncio.get_running_loop().time() + self._added * _GOLDEN % 1 * interval_seconds
        peer = Peer(links, interval_seconds, start, timeout_seconds, jitter=jitter, same_clock=same_clock)
        self._added += 1
        self._peers.add(peer)
        heapq.heappush(self._queue, (start, self._added, peer))
        if self._timer is None:
            self._schedule()
        return peer

    def remove(self, peer: Peer) -> None:
        """Probes it no longer; answers that are under way are not counted."""
        for sending, link in zip(self._ports, peer.links, strict=True):
            sending.remove(link)
        self._peers.discard(peer)
        self._queue = [entry for entry in self._queue if entry[2] is not peer]
        heapq.heapify(self._queue)

    def pause(self, peer: Peer) -> None:
        """Sends it no more probes, but counts the answers that still come."""
        if all(entry[2] is not peer for entry in self._queue):
            return
        self._skip(peer, asyncio.get_running_loop().time())
        self._queue = [entry for entry in self._queue if entry[2] is not peer]
        heapq.heapify(self._queue)

    def take(self, peer: Peer) -> list[Window]:
        """What became of the probes of each source port since the last call."""
        self._watch_clock()
        return peer.take(time.time_ns(), self._error_seconds)

    def take_all(self, peers: list[Peer]) -> list[list[Window]]:
        """The same for many peers, as soon as it is known: what waits in the sockets is read first."""
        for port in self._ports:
            port.drain()
        self._watch_clock()
        now = time.time_ns()
        return [peer.take(now, self._error_seconds, eager=True) for peer in peers]

    async def finish(self, peer: Peer) -> list[Window]:
        """Stops probing it, waits for the answers that are under way, and returns the last windows.

        A few more packets follow, which count nowhere: the true T3 of the last answers comes with the answers to them.
        """
        self.pause(peer)
        for link in peer.links:
            link.flow.end()
        until = asyncio.get_running_loop().time() + peer.timeout_seconds
        closing = _CLOSING_PROBES
        while asyncio.get_running_loop().time() < until:
            untold = closing > 0 and [pair for pair in zip(self._ports, peer.links, strict=True) if pair[1].flow.untold]
            if not untold and all(link.flow.all_answered for link in peer.links):
                break
            for port, link in untold or ():
                for _ in range(_CLOSING_AT_ONCE):
                    port.fill(link)
                port.flush()
            closing -= _CLOSING_AT_ONCE
            await asyncio.sleep(_CLOSING_SECONDS)
        # A process that did not run for a while has not read all that came in time.
        for port in self._ports:
            port.drain()
        self._watch_clock()
        self.remove(peer)
        return peer.take(_END_OF_TIME, self._error_seconds)

    def dropped(self) -> int:
        """Answers that the sockets had no room for: lost in this host, not in the network."""
        return sum(kernel.dropped(port.sock) for port in self._ports)

    def unsent(self) -> int:
        """Probes that the kernel refused to send: they are counted as sent, and lost."""
        return sum(port.unsent for port in self._ports)

    def close(self) -> None:
        """Stops sending and closes the sockets."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for port in self._ports:
            port.close()
        self._waiting.close()
        self._ports.clear()
        self._queue.clear()
        self._peers.clear()

    def _schedule(self) -> None:
        """The next tick on the grid."""
        loop = asyncio.get_running_loop()
        ticks = math.floor((loop.time() - self._phase) / self._tick_seconds) + 1
        when = ticks * self._tick_seconds + self._phase
        self._timer = loop.call_at(when, self._tick, when)

    def _tick(self, when: float) -> None:
        now = asyncio.get_running_loop().time()
        self.latest_seconds = max(self.latest_seconds, now - when)
        self._watch_clock()
        self._before_tick()
        if self._reads_on_tick:
            waiting = {descriptor for descriptor, _ in self._waiting.poll(0)}
            for port in self._ports:
                if port.sock.fileno() in waiting:
                    port.drain()
        queue = self._queue
        while queue and queue[0][0] <= now:
            _, order, peer = queue[0]
            if not self._skip(peer, now):
                number = peer.turn
                peer.turn = (number + 1) % len(self._ports)
                self._ports[number].fill(peer.links[number])
                peer.due += peer.interval
                if peer.jitter:
                    # No secret: it keeps peers, and agents, from meeting on one tick again and again.
                    peer.due += peer.interval * peer.jitter * random.uniform(-1, 1)  # noqa: S311
            heapq.heapreplace(queue, (peer.due, order, peer))
        for port in self._ports:
            port.flush()
        self._schedule()

    def _skip(self, peer: Peer, now: float) -> bool:
        """Whether this process slept through probes: they are skipped. What a tick left over leaves at the next one."""
        oldest = now - max(2 * self._tick_seconds, _CATCH_UP_SECONDS)
        missed = math.ceil((oldest - peer.due) / peer.interval)
        if missed <= 0:
            return False
        peer.skipped += missed
        peer.due += missed * peer.interval
        return True

    def _error_estimate(self) -> int:
        now = time.monotonic_ns()
        if now >= self._error_until:
            self._error_seconds = self._clock_error()
            self._error_until = now + CLOCK_SECONDS * NANOSECONDS
        return encode_error_estimate(self._error_seconds, ptp=self._ptp)

    def _watch_clock(self) -> None:
        """Discards what is under way when the clock was set, and renews the clock's error."""
        sets = self._clock.look()
        if sets != self._clock_sets:
            self._clock_sets = sets
            # What was said of it is of the clock as it was.
            self._error_until = 0
            for peer in self._peers:
                for link in peer.links:
                    link.flow.discard()
        if time.monotonic_ns() >= self._error_until:
            error = self._error_estimate()
            for peer in self._peers:
                for link in peer.links:
                    link.state_error(error)
