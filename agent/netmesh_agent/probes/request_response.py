"""Requests and responses over TCP, one at a time, as netperf's TCP_RR and TCP_CRR mean them.

netperf's manual ("Care and Feeding of Netperf", 6.2): TCP_RR is a user-space to user-space ping with no think time,
one transaction at a time on one connection whose setup is not counted; its rate is the complete transactions over the
time that they took. TCP_CRR makes a connection, exchanges one request and one response and tears the connection down
in each transaction, as HTTP/1.0 does. Both have 1 byte each way by default.

`--connection kept` is the first: a round trip runs from before the request is sent until the whole response is there.
`--connection new` is the second: a round trip runs from before connect(2) until the whole response is there; the
teardown follows it and counts in the rate alone, so that rate times round trip stays below 1. The server closes first,
as one of HTTP/1.0, and the client answers the end of the stream with a reset (SO_LINGER 0), so that neither side keeps
TIME_WAIT: local ports do not run out, and the server's port is free for the next test.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from itertools import repeat

from netmesh_agent.probes.program import Ended, Options, ProbeError, endpoint, listener, main, text, whole
from netmesh_agent.probes.samples import Samples

# Linux repeats a lost segment after 0.2 s at the earliest and a SYN after 1 s and 3 s: two losses are still measured.
ANSWER_SECONDS = 5
# A connection that asks nothing is somebody else's: it may hold the server for this long only.
STRANGER_SECONDS = 1
_TIMEVAL = struct.Struct("@ll")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# Samples are counted between blocks of so many transactions.
_BLOCK = 1 << 20

# Does one transaction; its round trip in nanoseconds.
Transaction = Callable[[], int]


def server(options: Options) -> dict[str, object]:
    """Answers each request with as many bytes, one connection after another, until SIGTERM."""
    size, kept = whole(options, "bytes", 1), _is_kept(options)
    view = memoryview(bytearray(size))
    answered = 0
    with listener(options) as listening:
        _choose_congestion_control(listening, options)
        try:
            while True:
                with contextlib.suppress(ConnectionError, BlockingIOError):
                    connection, _ = listening.accept()
                    with connection:
                        for _ in _requests(connection, view):
                            connection.sendall(view)
                            answered += 1
                            if not kept:
                                break
        except Ended:
            return {"transactions": answered}


def client(options: Options) -> dict[str, object]:
    """Transactions for `--omit` and then `--seconds` seconds; the omitted are not counted."""
    transact = _on_one_connection(options) if _is_kept(options) else _on_new_connections(options)
    # Not timed: it also waits until the server turns from whoever came before.
    transact()
    omit = whole(options, "omit", 0)
    if omit:
        _repeat(transact, omit)
    began = time.monotonic_ns()
    samples, count, ended = _repeat(transact, whole(options, "seconds"))
    window = (ended - began) / 1e9
    return {
        "round_trip_seconds": samples.summary(),
        "histogram": samples.histogram(),
        "transactions": count,
        "transactions_per_second": count / window,
    }


def _is_kept(options: Options) -> bool:
    connection = text(options, "connection")
    if connection not in {"kept", "new"}:
        raise ProbeError("tool_failed", f"--connection is kept or new, not '{connection:.20}'")
    return connection == "kept"


def _requests(connection: socket.socket, view: memoryview) -> Iterator[None]:
    """Reads requests of the view's size until the stream ends; BlockingIOError where they stop coming."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _limit(connection, STRANGER_SECONDS)
    if connection.recv_into(view, len(view), socket.MSG_WAITALL) != len(view):
        return
    yield
    _limit(connection, ANSWER_SECONDS)
    while connection.recv_into(view, len(view), socket.MSG_WAITALL) == len(view):
        yield


def _repeat(transact: Transaction, seconds: int) -> tuple[Samples, int, int]:
    """Transactions until `seconds` are over, at least one: their times, their number, and when the last one ended."""
    clock = time.monotonic_ns
    samples, count = Samples(), 0
    until = clock() + seconds * 1_000_000_000
    while True:
        for _ in repeat(None, _BLOCK):
            samples.fresh.append(transact())
            count += 1
            now = clock()
            if now >= until:
                return samples, count, now
        samples.fold()


def _on_one_connection(options: Options) -> Transaction:
    """On one connection, which is made now."""
    clock, size = time.monotonic_ns, whole(options, "bytes", 1)
    request, view = bytes(size), memoryview(bytearray(size))
    _, where = endpoint(options)
    connection = _socket(options)
    connection.connect(where)

    def transact() -> int:
        started = clock()
        connection.sendall(request)
        if connection.recv_into(view, size, socket.MSG_WAITALL) != size:
            raise _cut_off()
        return clock() - started

    return transact


def _on_new_connections(options: Options) -> Transaction:
    """Each on a connection of its own, which the server closes."""
    clock, size = time.monotonic_ns, whole(options, "bytes", 1)
    request, view = bytes(size), memoryview(bytearray(size))
    _, where = endpoint(options)

    def transact() -> int:
        with _socket(options) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            started = clock()
            connection.connect(where)
            connection.sendall(request)
            if connection.recv_into(view, size, socket.MSG_WAITALL) != size:
                raise _cut_off()
            taken = clock() - started
            connection.recv(1)  # the end of the stream
            return taken

    return transact


def _cut_off() -> ProbeError:
    return ProbeError("tool_failed", "the other side ended the connection, or stopped, in mid-test")


def _socket(options: Options) -> socket.socket:
    family, _ = endpoint(options)
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _limit(sock, ANSWER_SECONDS)
    _choose_congestion_control(sock, options)
    return sock


def _limit(sock: socket.socket, seconds: int) -> None:
    # The kernel's own timeouts: those of Python would cost a poll(2) before each call.
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(seconds, 0))


def _choose_congestion_control(sock: socket.socket, options: Options) -> None:
    # Connections that a listening socket accepts inherit it.
    name = options.get("congestion")
    if name is None:
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        sentence = f"the node does not have, or does not allow, the congestion control '{name:.20}'"
        raise ProbeError("not_supported", sentence) from error


if __name__ == "__main__":
    main(server, client)
