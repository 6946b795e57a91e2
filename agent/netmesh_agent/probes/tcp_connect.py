"""How long connect(2) takes on new connections, opened at a chosen rate.

The schedule is absolute: connection number n is due at its own time, whether or not earlier ones have been answered,
so that a slow answer does not keep the next question from being asked (no coordinated omission). One that this process
begins more than 1 ms late is counted. A time runs from just before connect(2) to the moment at which this process is
told that the socket is writable, and holds TCP's own repetitions: a lost SYN shows as a second. It holds this process's
waking up, too; the kernel's own time from SYN to SYN-ACK is told beside it, as a median.

Who keeps TIME_WAIT: nobody. The client closes with SO_LINGER at 0, that is with a reset, as load balancers' health
checks do. An orderly close would leave 60 s of TIME_WAIT with whoever closes first: at the client it would use up the
local ports within a minute at 500 connections a second, at the server it would keep the port from the next test, and
connection tracking on the way would hold each for two minutes instead of ten seconds. The server closes each
connection at once but in order: a reset of its own could overtake the client's look at its socket and turn a
connection that was made into an error.
"""

from __future__ import annotations

import errno
import resource
import select
import socket
import struct
import time
from collections import Counter

from netmesh_agent.probes.program import Ended, Options, ProbeError, endpoint, listener, main, meaning, whole
from netmesh_agent.probes.samples import Samples

# Linux repeats a SYN after 1 s and again after 3 s: two losses in a row are still measured.
CONNECT_SECONDS = 5
LATE_NANOSECONDS = 1_000_000
# So many failures before any success end the test early.
_HOPELESS = 20
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# tcpi_rtt of struct tcp_info in linux/tcp.h, in microseconds; right after the handshake it is that round trip alone.
_ROUND_TRIP = struct.Struct("=68xI")


def server(options: Options) -> dict[str, object]:
    """Accepts and closes until SIGTERM."""
    accepted = 0
    with listener(options) as listening:
        try:
            while True:
                try:
                    listening.accept()[0].close()
                    accepted += 1
                except ConnectionError:
                    continue  # reset while it waited to be accepted
        except Ended:
            return {"accepted_connections": accepted}


def client(options: Options) -> dict[str, object]:
    """Opens `--rate` connections a second for `--omit` and then `--seconds` seconds; the omitted are not counted."""
    _allow_descriptors()
    rate, omit = whole(options, "rate"), whole(options, "omit", 0)
    opening = _Opening(options, rate, omitted=rate * omit, total=rate * (omit + whole(options, "seconds")))
    opening.run()
    if not opening.samples.fresh:
        kinds = opening.failures or opening.omitted_failures
        number, times = kinds.most_common(1)[0]
        code, message = meaning(OSError(number, ""))
        raise ProbeError(code, f"no connection was made in {times} attempts: {message}")
    failures: Counter[str] = Counter()
    for number, times in opening.failures.items():
        failures[errno.errorcode.get(number, str(number))] += times
    return {
        "connect_seconds": opening.samples.summary(),
        "histogram": opening.samples.histogram(),
        "attempts": opening.attempts,
        "failures": dict(failures),
        "late_starts": opening.late_starts,
        "handshake_round_trip_seconds": opening.handshakes.summary().get("p50") if opening.handshakes.fresh else None,
    }


def _allow_descriptors() -> None:
    # Connections that are not answered wait with a descriptor each; the usual soft limit is 1,024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Opening:
    """Connections on their schedule: those that wait for an answer, and what became of the others."""

    def __init__(self, options: Options, rate: int, *, omitted: int, total: int) -> None:
        self._family, self._where = endpoint(options)
        self._rate, self._omitted, self._total = rate, omitted, total
        self._epoll = select.epoll()
        # By descriptor: socket, when its connect began, its number. In the order of their beginning.
        self._waiting: dict[int, tuple[socket.socket, int, int]] = {}
        self.samples = Samples()
        self.handshakes = Samples()
        self.failures: Counter[int] = Counter()
        self.omitted_failures: Counter[int] = Counter()
        self.attempts = 0
        self.late_starts = 0

    def run(self) -> None:
        """Opens them all, and waits for the last answer; ends early where nothing answers at all."""
        clock = time.monotonic_ns
        begin, number, made = clock(), 0, False
        while number < self._total or self._waiting:
            due = begin + number * 1_000_000_000 // self._rate
            if number < self._total and clock() >= due:
                self._open(number, due)
                number += 1
                due = begin + number * 1_000_000_000 // self._rate
            oldest = next(iter(self._waiting.values()))[1] if self._waiting else due
            wake = oldest + CONNECT_SECONDS * 1_000_000_000
            if number < self._total:
                wake = min(wake, due)
            # epoll_wait(2) counts in milliseconds, select(2) in microseconds.
            select.select([self._epoll], [], [], max(0, wake - clock()) / 1e9)
            made |= self._settle()
            self._expire(clock())
            failed = sum(self.failures.values()) + sum(self.omitted_failures.values())
            if not made and (failed >= _HOPELESS or errno.ETIMEDOUT in self.failures | self.omitted_failures):
                return

    def _open(self, number: int, due: int) -> None:
        counted = number >= self._omitted
        self.attempts += counted
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(error.errno or errno.EMFILE, number)
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # Registered before it connects, so that this is not in the time measured.
        self._epoll.register(sock, select.EPOLLOUT)
        started = time.monotonic_ns()
        self.late_starts += counted and started - due > LATE_NANOSECONDS
        result = sock.connect_ex(self._where)
        if result in {0, errno.EINPROGRESS}:
            self._waiting[sock.fileno()] = (sock, started, number)
        else:
            sock.close()
            self._fail(result, number)

    def _settle(self) -> bool:
        """Takes the answers that are there; whether one of them was a connection."""
        made = False
        answered = self._epoll.poll(0)
        now = time.monotonic_ns()
        for descriptor, _ in answered:
            sock, started, number = self._waiting.pop(descriptor)
            result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ROUND_TRIP.size)
            sock.close()
            if result:
                self._fail(result, number)
                continue
            made = True
            if number >= self._omitted:
                self.samples.fresh.append(now - started)
                (microseconds,) = _ROUND_TRIP.unpack(info)
                if microseconds:  # 0: none was taken, since the SYN was repeated
                    self.handshakes.fresh.append(microseconds * 1000)
        return made

    def _expire(self, now: int) -> None:
        while self._waiting:
            descriptor, (sock, started, number) = next(iter(self._waiting.items()))
            if now - started < CONNECT_SECONDS * 1_000_000_000:
                return
            del self._waiting[descriptor]
            sock.close()
            self._fail(errno.ETIMEDOUT, number)

    def _fail(self, number_of_error: int, number: int) -> None:
        (self.failures if number >= self._omitted else self.omitted_failures)[number_of_error] += 1


if __name__ == "__main__":
    main(server, client)
