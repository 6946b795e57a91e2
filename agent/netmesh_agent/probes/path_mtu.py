"""The largest IP packet that passes between two nodes, each way, and whether larger ones vanish without a word.

Padded UDP probes with Don't Fragment; a size passes if one of several tries does, so that ordinary loss does not read
as a limit. The client's probes are answered with a few bytes; the way back is searched with padded answers, which the
client asks for one at a time.

A server that answers with more than it is asked could be turned on a third party by a forged sender's address. It
sends a padded answer only to who shows the token that it sent to the same address and port before, so that the asker
has proven to receive there (as QUIC's address validation, RFC 9000, 8.1), and one answer a request. All else that it
sends is no larger than what it answers.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping

from netmesh_agent.probes import datagrams
from netmesh_agent.probes.mtu_search import LOST, PASSED, REFUSED, Outcome, search
from netmesh_agent.probes.program import Ended, Options, ProbeError, endpoint, main, meaning

# Magic, kind, token, and a size: of the packet that a probe is in, that was received, is asked for, or is possible.
_HEADER = struct.Struct("!4sB3x8sI")
_MAGIC = b"nmpm"
PROBE, SEEN, ASK, PADDED, TOO_LARGE_HERE, TOO_LARGE_ON_THE_WAY = 1, 2, 3, 4, 5, 6
_NO_TOKEN = bytes(8)

# With a tenth lost each way, all tries of a size that passes are lost once in 20,000 times.
TRIES = 6
_APART_SECONDS = 0.02
# After the last try an answer is waited for four round trips long, within these bounds.
_WAIT_SECONDS = (0.15, 0.5)
_REACH_TRIES = 15
_REACH_SECONDS = 0.2
# Peers that the server remembers; the oldest is forgotten.
_PEERS = 256


def server(options: Options) -> dict[str, object]:
    """Answers probes until SIGTERM."""
    family, where = endpoint(options)
    tokens: dict[tuple[str, int], bytes] = {}
    answered = 0
    with datagrams.open_socket(family) as sock:
        sock.bind(where)
        try:
            while True:
                select.select([sock], [], [])
                for refusal in datagrams.refusals(sock):
                    _tell(sock, refusal, tokens)
                try:
                    payload, peer = sock.recvfrom(datagrams.LARGEST_PACKET)
                except OSError:
                    continue  # an error that came meanwhile; it stands in the queue
                answered += _answer(sock, payload, peer[:2], tokens)
        except Ended:
            return {"answered_packets": answered}


def _answer(sock: socket.socket, payload: bytes, peer: tuple[str, int], tokens: dict[tuple[str, int], bytes]) -> bool:
    message = _read(payload)
    if message is None:
        return False
    kind, token, size = message
    if kind == PROBE:
        if peer not in tokens:
            if len(tokens) >= _PEERS:
                del tokens[next(iter(tokens))]
            tokens[peer] = os.urandom(8)
        received = len(payload) + datagrams.HEADER_BYTES[sock.family]
        return _try_to_send(sock, _write(SEEN, tokens[peer], received), peer, tokens)
    if kind == ASK and token == tokens.get(peer) and size <= datagrams.LARGEST_PACKET:
        return _try_to_send(sock, _padded(sock.family, PADDED, token, size), peer, tokens)
    return False


def _try_to_send(
    sock: socket.socket, payload: bytes, peer: tuple[str, int], tokens: Mapping[tuple[str, int], bytes]
) -> bool:
    try:
        met = datagrams.send(sock, payload, peer)
    except OSError:
        return False  # no way back to the peer; it will see that no answer comes
    for refusal in met:
        _tell(sock, refusal, tokens)
    return True


def _tell(sock: socket.socket, refusal: datagrams.Refusal, tokens: Mapping[tuple[str, int], bytes]) -> None:
    """Tells the peer that a packet to it was refused, and whether here or on the way."""
    token = tokens.get(refusal.address)
    if token is not None and refusal.too_large:
        kind = TOO_LARGE_HERE if refusal.local else TOO_LARGE_ON_THE_WAY
        with contextlib.suppress(OSError):
            datagrams.send(sock, _write(kind, token, refusal.mtu), refusal.address)


def client(options: Options) -> dict[str, object]:
    """Searches the way there and the way back."""
    family, where = endpoint(options)
    with datagrams.open_socket(family) as sock:
        sock.connect(where)
        probing = _Probing(sock)
        probing.reach()
        there = search(probing.smallest, datagrams.LARGEST_PACKET, probing.there)
        back = search(probing.smallest, datagrams.LARGEST_PACKET, probing.back)
    return {
        "mtu_bytes": there.mtu,
        "black_hole": there.black_hole,
        "reverse_mtu_bytes": back.mtu,
        "reverse_black_hole": back.black_hole,
    }


class _Probing:
    """The client's side: tries sizes one at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._family = sock, sock.family
        self._token = _NO_TOKEN
        self._wait_seconds = _WAIT_SECONDS[1]
        self.smallest = datagrams.HEADER_BYTES[self._family] + _HEADER.size

    def reach(self) -> None:
        """Waits until the server answers; ProbeError where it does not."""
        sent: dict[int, float] = {}
        for number in range(_REACH_TRIES):
            # Each try has a size of its own, so that the answer tells which one it answers.
            size = self.smallest + number
            sent[size] = time.monotonic()
            for refusal in datagrams.send(self._sock, _padded(self._family, PROBE, _NO_TOKEN, size)):
                self._judge(refusal, size)
            for message in self._messages(time.monotonic() + _REACH_SECONDS):
                if isinstance(message, datagrams.Refusal):
                    self._judge(message, size)
                elif message[0] == SEEN and message[2] in sent:
                    self._token = message[1]
                    shortest, longest = _WAIT_SECONDS
                    round_trip = time.monotonic() - sent[message[2]]
                    self._wait_seconds = min(max(4 * round_trip, shortest), longest)
                    return
        raise ProbeError("timeout", f"the server answered none of {_REACH_TRIES} probes of some {self.smallest} bytes")

    def there(self, size: int) -> Outcome:
        """Does a packet of `size` bytes arrive at the server?"""
        return self._try(size, _padded(self._family, PROBE, self._token, size), SEEN)

    def back(self, size: int) -> Outcome:
        """Does a packet of `size` bytes arrive from the server?"""
        return self._try(size, _write(ASK, self._token, size), PADDED)

    def _try(self, size: int, payload: bytes, answer: int) -> Outcome:
        for number in range(TRIES):
            for refusal in datagrams.send(self._sock, payload):
                outcome = self._judge(refusal, size)
                if outcome is not None:
                    return outcome
            wait = self._wait_seconds if number == TRIES - 1 else _APART_SECONDS
            for message in self._messages(time.monotonic() + wait):
                if isinstance(message, datagrams.Refusal):
                    outcome = self._judge(message, size)
                    if outcome is not None:
                        return outcome
                elif message[0] == answer and message[2] == size:
                    return Outcome(PASSED)
                elif message[0] in {TOO_LARGE_HERE, TOO_LARGE_ON_THE_WAY} and answer == PADDED and message[2] < size:
                    return Outcome(REFUSED, message[2] or None, local=message[0] == TOO_LARGE_HERE)
        return Outcome(LOST)

    @staticmethod
    def _judge(refusal: datagrams.Refusal, size: int) -> Outcome | None:
        """What a refusal says of `size`: None where it is an older one, of a packet larger than that."""
        if not refusal.too_large:
            raise ProbeError(*meaning(OSError(refusal.number, "")))
        return Outcome(REFUSED, refusal.mtu or None, local=refusal.local) if refusal.mtu < size else None

    def _messages(self, until: float) -> Iterator[datagrams.Refusal | tuple[int, bytes, int]]:
        """What comes until then: refusals, and the server's messages."""
        while (left := until - time.monotonic()) > 0:
            select.select([self._sock], [], [], left)
            yield from datagrams.refusals(self._sock)
            try:
                payload = self._sock.recv(datagrams.LARGEST_PACKET)
            except OSError:
                continue  # nothing is there, or an error that stands in the queue
            message = _read(payload)
            if message is not None and message[0] == PADDED:
                message = (PADDED, message[1], len(payload) + datagrams.HEADER_BYTES[self._family])
            if message is not None:
                yield message


def _write(kind: int, token: bytes, size: int) -> bytes:
    return _HEADER.pack(_MAGIC, kind, token, size)


def _padded(family: int, kind: int, token: bytes, size: int) -> bytes:
    """A message in a packet of `size` bytes. The padding is noise: a tunnel that compresses would pass more zeros."""
    header = _write(kind, token, size)
    return header + os.urandom(max(0, size - datagrams.HEADER_BYTES[family] - len(header)))


def _read(payload: bytes) -> tuple[int, bytes, int] | None:
    """Kind, token and size of a message; None where it is none of ours."""
    if len(payload) < _HEADER.size:
        return None
    magic, kind, token, size = _HEADER.unpack_from(payload)
    return (kind, token, size) if magic == _MAGIC else None


if __name__ == "__main__":
    main(server, client)
