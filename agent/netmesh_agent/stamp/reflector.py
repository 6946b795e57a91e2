"""The Session-Reflector: answers provisioned senders, up to 64 packets a wake-up, with the kernel's stamps."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from netmesh_agent.stamp import kernel
from netmesh_agent.stamp.datagrams import BATCH, Incoming, Outgoing, TransmitStamps, name_of
from netmesh_agent.stamp.ledger import Ledger
from netmesh_agent.stamp.packets import OPEN_SSID_AT, SEALED_BYTES, SEALED_SSID_AT, sealed_well
from netmesh_agent.stamp.reflection import Received, Session
from netmesh_agent.stamp.timestamps import encode_error_estimate
from netmesh_common.clockwatch import ClockWatch

# One sender's source ports at a time; a sender that was started anew pushes out the ports that are silent longest.
SESSIONS_PER_PEER = 64
# The same where any address may send.
SESSIONS_OF_ANY = 4096
BUFFER_BYTES = 4 * 1024 * 1024
# How long a clock's error is believed; the kernel lets it grow by 500 ppm.
CLOCK_SECONDS = 16
_ADDRESS = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}


@dataclass(slots=True)
class Counts:
    """Packets since the start: answered, not answered (unknown sender, wrong HMAC, too short), answers not sent.

    `without_stamp`: answered with the process's own T2, for the kernel gave none.
    """

    reflected: int = 0
    refused: int = 0
    unsent: int = 0
    without_stamp: int = 0


@dataclass(slots=True)
class _Provision:
    key: bytes | None
    stateful: bool
    dscps: frozenset[int]
    sessions: dict[bytes, Session]
    most_sessions: int
    # Answers of sessions that were pushed out.
    answered: int = 0


class Reflector:
    """Reflects STAMP on any number of sockets. Answers only what `provision` allows.

    `clock_error` says how far this host's clock may be off, in seconds, None where nobody keeps it. `ptp` chooses the
    PTPv2 format for the stamps instead of NTP's.
    """

    def __init__(self, *, clock_error: Callable[[], float | None] = lambda: None, ptp: bool = False) -> None:
        self.counts = Counts()
        self.features = kernel.Features(receive=False, transmit=False)
        self._clock_error = clock_error
        self._ptp = ptp
        self._error = encode_error_estimate(None, ptp=ptp)
        self._error_until = 0
        self._clock = ClockWatch()
        self._clock_sets = 0
        self._provisions: dict[tuple[bytes | None, int], _Provision] = {}
        self._sessions: dict[bytes, Session] = {}
        self._ports: list[_Port] = []
        self._wakes = True
        # What `answer_waiting` looks at first: most sockets have nothing most of the time.
        self._waiting = select.epoll()

    def provision(
        self,
        peer: str | None,
        ssid: int,
        *,
        key: bytes | None = None,
        stateful: bool = True,
        dscps: frozenset[int] = frozenset(),
    ) -> None:
        """Answers packets from the IP address `peer` (None: any) with that SSID from now on (RFC 8972 §3).

        With a `key` only authenticated ones. `dscps` are those that a Class of Service TLV may ask replies to carry.
        Provisioning again begins the sessions anew.
        """
        self.withdraw(peer, ssid)
        most = SESSIONS_PER_PEER if peer is not None else SESSIONS_OF_ANY
        self._provisions[_packed(peer), ssid] = _Provision(key, stateful, dscps, {}, most)

    def withdraw(self, peer: str | None, ssid: int) -> int:
        """Answers them no longer; returns how many packets were answered, 0 where they were not to be."""
        gone = self._provisions.pop((_packed(peer), ssid), None)
        if gone is None:
            return 0
        for name, session in gone.sessions.items():
            gone.answered += session.answered
            del self._sessions[name]
        return gone.answered

    def open(self, address: str, port: int) -> int:
        """Listens on an IP address of this host, in the running event loop; returns the port (0: one is chosen).

        Raises OSError where it cannot.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self.features = kernel.enable_stamps(sock)
            kernel.enable_header_fields(sock)
            kernel.enlarge_buffer(sock, BUFFER_BYTES)
            if family == socket.AF_INET6:
                # The same port of IPv4 has a socket of its own.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
        except BaseException:
            sock.close()
            raise
        opened = _Port(self, sock)
        self._ports.append(opened)
        self._waiting.register(opened.descriptor, select.EPOLLIN)
        if self._wakes:
            asyncio.get_running_loop().add_reader(opened.descriptor, opened.ready)
        bound: int = sock.getsockname()[1]
        return bound

    def wake(self, wakes: bool) -> None:
        """Whether packets wake the event loop; where they do not, `answer_waiting` is to be called again and again."""
        if wakes == self._wakes:
            return
        self._wakes = wakes
        loop = asyncio.get_running_loop()
        for port in self._ports:
            if wakes:
                loop.add_reader(port.descriptor, port.ready)
            else:
                loop.remove_reader(port.descriptor)

    def answer_waiting(self) -> None:
        """Answers all that has come."""
        waiting = {descriptor for descriptor, _ in self._waiting.poll(0)}
        for port in self._ports:
            while port.descriptor in waiting and port.ready() == BATCH:
                pass

    def close(self) -> None:
        """Closes all sockets."""
        for port in self._ports:
            if self._wakes:
                asyncio.get_running_loop().remove_reader(port.descriptor)
            # Registrations of a closed socket go with it.
            port.sock.close()
        self._ports.clear()

    def dropped(self) -> int:
        """Requests that the sockets had no room for."""
        return sum(kernel.dropped(port.sock) for port in self._ports)

    def clock_sets(self) -> int:
        """How often this host's clock has been set up to now. After that nobody knows for a while how far it is off."""
        sets = self._clock.look()
        if sets != self._clock_sets:
            self._clock_sets = sets
            self._error = encode_error_estimate(None, ptp=self._ptp)
            self._error_until = time.monotonic_ns() + CLOCK_SECONDS * 1_000_000_000
        return sets

    def error_estimate(self) -> int:
        """This host's error estimate as it goes on the wire, renewed every `CLOCK_SECONDS`."""
        now = time.monotonic_ns()
        if now >= self._error_until:
            self._error = encode_error_estimate(self._clock_error(), ptp=self._ptp)
            self._error_until = now + CLOCK_SECONDS * 1_000_000_000
        return self._error

    def session(self, name: bytes, payload: bytearray, start: int, length: int, family: int) -> Session | None:
        """The session of a packet from the socket address `name`; None where it is not to be answered."""
        open_ssid = bytes(payload[start + OPEN_SSID_AT : start + OPEN_SSID_AT + 2]) if length >= 16 else b"\0\0"
        found = self._sessions.get(name + open_ssid)
        if found is not None and found.key is None:
            return found
        sealed_ssid = b""
        if length >= SEALED_BYTES:
            sealed_ssid = bytes(payload[start + SEALED_SSID_AT : start + SEALED_SSID_AT + 2])
            found = self._sessions.get(name + sealed_ssid)
            if found is not None and found.key is not None:
                return found
        address = name[_ADDRESS[socket.AddressFamily(family)]]
        provision = self._provision_of(address, open_ssid)
        if provision is not None and provision.key is None:
            return self._begin(provision, name + open_ssid)
        provision = self._provision_of(address, sealed_ssid)
        if provision is None or provision.key is None:
            return None
        # Before there is a session: nobody without the key makes one.
        if not sealed_well(memoryview(payload)[start : start + length], provision.key):
            return None
        return self._begin(provision, name + sealed_ssid)

    def _provision_of(self, address: bytes, ssid: bytes) -> _Provision | None:
        number = int.from_bytes(ssid, "big")
        return self._provisions.get((address, number)) or self._provisions.get((None, number))

    def _begin(self, provision: _Provision, name: bytes) -> Session:
        sessions = provision.sessions
        if len(sessions) >= provision.most_sessions:
            silent = min(sessions, key=lambda each: sessions[each].seen)
            provision.answered += sessions[silent].answered
            del sessions[silent], self._sessions[silent]
        session = Session(stateful=provision.stateful, key=provision.key, dscps=provision.dscps)
        sessions[name] = self._sessions[name] = session
        return session


class _Port:
    """One socket of a reflector."""

    def __init__(self, reflector: Reflector, sock: socket.socket) -> None:
        self.reflector = reflector
        self.sock = sock
        self.descriptor = sock.fileno()
        self._incoming = Incoming(sock.family, header_fields=True)
        self._outgoing = Outgoing(sock.family, shared=self._incoming)
        self._stamps = TransmitStamps()
        self._family = sock.family
        self._ledger: Ledger[Session] = Ledger()
        # Of the batch in hand, by slot: whose answer it is (None: not answered), its sequence number, when it was made.
        self._batch: list[Session | None] = [None] * BATCH
        self._sequences = [0] * BATCH
        self._times = [0] * BATCH
        # How often the clock had been set when all that had come was answered.
        self._clock_sets = reflector.clock_sets()
        # And when the stamps of what had been sent were read.
        self._stamped_sets = self._clock_sets

    def ready(self) -> int:
        """Answers what has come, up to a batch; returns how many packets it was."""
        if self._ledger.awaited:
            self._read_stamps()
        incoming = self._incoming
        count = incoming.receive(self.descriptor)
        if not count:
            # A further stamp of a packet, or one of a numbering before: left there, it would wake us again and again.
            self._read_stamps()
            self._clock_sets = self.reflector.clock_sets()
            return 0
        reflector = self.reflector
        # Where the clock was set since, the kernel's arrivals may be of the clock before: they are none.
        sets = reflector.clock_sets()
        same_clock = sets == self._clock_sets
        if count < BATCH:
            self._clock_sets = sets
        arrived = time.time_ns()
        error = reflector.error_estimate()
        payload, names, slot_bytes, name_bytes = (
            incoming.payload,
            incoming.names,
            incoming.slot_bytes,
            incoming.name_bytes,
        )
        lengths = self._outgoing.iovec_words
        batch = self._batch
        marked: list[int] = []
        answered = 0
        for slot, (length, stamp, ttl, tos) in enumerate(incoming.packets(count)):
            start = slot * slot_bytes
            name = bytes(names[slot * name_bytes : (slot + 1) * name_bytes])
            session = reflector.session(name, payload, start, length, self._family)
            batch[slot] = None
            if session is None:
                continue
            kernel_stamp = stamp if same_clock else 0
            received = Received(kernel_stamp or arrived, kernel_stamp != 0, ttl, tos)
            now = time.time_ns()
            sequence = session.sequence
            reply = session.reflect(payload, start, length, received, error, now)
            if not reply:
                continue
            session.seen = now
            session.answered += 1
            batch[slot] = session
            self._sequences[slot], self._times[slot] = sequence, now
            lengths[2 * slot + 1] = reply
            answered += 1
            if session.reply_tos:
                self._outgoing.mark(slot, session.reply_tos)
                marked.append(slot)
            if not kernel_stamp:
                reflector.counts.without_stamp += 1
        reflector.counts.refused += count - answered
        if answered:
            self._send(count)
            for slot in marked:
                self._outgoing.unmark(slot)
            self._read_stamps()
        return count

    def _send(self, count: int) -> None:
        """Sends the answers in the first `count` slots, and notes the numbers under which their stamps will come."""
        batch = self._batch
        failed: list[int] = []
        start = 0
        while start < count:
            if batch[start] is None:
                start += 1
                continue
            end = start + 1
            while end < count and batch[end] is not None:
                end += 1
            failed += self._outgoing.send(self.descriptor, start, end - start)
            start = end
        counts = self.reflector.counts
        if failed:
            counts.unsent += len(failed)
            counts.reflected += sum(session is not None for session in batch[:count]) - len(failed)
            # Which numbers were used up is not known: the stamps of this batch go missing.
            kernel.restart_numbering(self.sock)
            self._ledger.restart()
            return
        for slot in range(count):
            session = batch[slot]
            if session is not None:
                self._ledger.sent(session, self._sequences[slot], self._times[slot])
                counts.reflected += 1

    def _read_stamps(self) -> None:
        """Keeps true transmit times for the answers that will carry them."""
        stamps = self._stamps.read(self.descriptor)
        if not stamps:
            return
        sets = self.reflector.clock_sets()
        if sets != self._stamped_sets:
            # T2 of what was sent since they were read last may be of another clock than T3: none of these is told.
            self._stamped_sets = sets
            kernel.restart_numbering(self.sock)
            self._ledger.restart()
            return
        for session, sequence, stamp in self._ledger.stamped(stamps):
            session.follow_ups.append((sequence, stamp))


def _packed(peer: str | None) -> bytes | None:
    """The bytes of an IP address; ValueError or OSError where it is none."""
    if peer is None:
        return None
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    return name_of(family, peer, 0)[_ADDRESS[family]]
