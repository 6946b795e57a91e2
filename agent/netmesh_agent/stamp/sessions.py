"""The agent's STAMP reflector: answers leased sessions on one port, and nobody else."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from netmesh_agent.errors import Refused
from netmesh_agent.process import Ended
from netmesh_agent.stamp.reflector import Reflector
from netmesh_agent.tools.base import Output, StampSession

log = logging.getLogger(__name__)

# Probes of the warm-up belong to a session of their own, whose identifier is the next one.
WARM_UP = 1
_LARGEST_SSID = 0xFFFF - WARM_UP
# An HMAC key shorter than its output cut to 16 bytes is the weaker part (RFC 2104 §3).
SHORTEST_KEY_BYTES = 16
_LONGEST_KEY_BYTES = 64


class ReflectedSession:
    """One session that is answered: the server side of a test by STAMP, without a process of its own."""

    pid: int | None = None

    def __init__(self, sessions: Sessions, session: StampSession, command: str) -> None:
        self._sessions = sessions
        self._started = time.monotonic_ns()
        self._before = sessions.counts()
        self.session = session
        self.command = command
        self._ended: Ended | None = None

    async def end(self, *, finished: bool = False) -> Ended:
        """Answers it no longer; what the reflector counted meanwhile, as JSON. Safe to call twice."""
        del finished
        if self._ended is None:
            answered = self._sessions.withdraw(self.session)
            after = self._sessions.counts()
            counts = {name: after[name] - self._before[name] for name in after}
            said = json.dumps({**counts, "reflected": answered})
            # Its share of the agent's CPU time cannot be told.
            self._ended = Ended(Output(said), self._started, time.monotonic_ns(), None)
        return self._ended

    def change(self, peers: tuple[str, ...]) -> None:
        """Answers other addresses from now on; those that stay notice nothing."""
        self.session = self._sessions.change(self.session, peers)


class Sessions:
    """Sessions on `port` of each of `addresses` (0: a port is chosen), while they are held; keys are kept in memory.

    The reflector lives in the agent's own process and ends with it; `clock_error` is this host's, in seconds.
    """

    def __init__(
        self, addresses: Sequence[str], port: int, clock_error: Callable[[], float | None] = lambda: None
    ) -> None:
        self._addresses = addresses
        self._wanted_port = port
        self._reflector = Reflector(clock_error=clock_error)
        self._held: dict[int, StampSession] = {}
        # Those of tests, whose sender's process times are read too.
        self._prompt: set[int] = set()
        self._on_ticks = False
        self.port: int | None = None

    def listen(self) -> None:
        """Takes the port on every address, where that is not done yet; Refused(`busy`) where another holds it."""
        if self.port is not None:
            return
        port = self._wanted_port
        for address in self._addresses:
            try:
                port = self._reflector.open(address, port)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    continue  # a kernel without IPv6
                self._reflector.close()
                code = "busy" if error.errno == errno.EADDRINUSE else "tool_failed"
                message = f"the STAMP reflector cannot have UDP port {port} of {address}: {error.strerror}"
                raise Refused(code, message) from error
        self.port = port

    def answer_on_ticks(self, on_ticks: bool) -> None:
        """Whether sessions that are not prompt may wait for the next `answer_waiting`: nobody is woken for each packet.

        They do where the kernel stamps both ways, and while no prompt one is held; else all are answered at once.
        """
        self._on_ticks = on_ticks
        self._settle_waking()

    def answer_waiting(self) -> None:
        """Answers all that has come; nothing where packets are answered at once."""
        if not self._wakes:
            self._reflector.answer_waiting()

    @property
    def _wakes(self) -> bool:
        features = self._reflector.features
        # The time between the process's own stamps would be taken for the network's.
        return not self._on_ticks or bool(self._prompt) or not (features.receive and features.transmit)

    def _settle_waking(self) -> None:
        self._reflector.wake(self._wakes)

    def open(self, session: StampSession, *, prompt: bool = True) -> ReflectedSession:
        """Answers a session from now on; where its `ssid` is 0, one is chosen. `prompt`: each packet at once.

        Raises Refused: `refused` with the field that is wrong or an identifier that is taken, `busy` without a port.
        """
        self.listen()
        _check(session)
        ssid = session.ssid or self._free()
        if any(taken in self._held for taken in (ssid, ssid + WARM_UP, ssid - WARM_UP)):
            raise Refused("busy", f"STAMP session {ssid} is another test's", "stamp.ssid")
        chosen = dataclasses.replace(session, ssid=ssid)
        for one in (ssid, ssid + WARM_UP):
            for peer in chosen.peers or (None,):
                self._reflector.provision(peer, one, key=chosen.key)
        self._held[ssid] = chosen
        if prompt:
            self._prompt.add(ssid)
            self._settle_waking()
        mode = "authenticated" if chosen.key else "unauthenticated"
        whom = f"answering {', '.join(chosen.peers) or 'any address'}"
        return ReflectedSession(self, chosen, f"STAMP reflector: port {self.port}, session {ssid}, {mode}, {whom}")

    def change(self, session: StampSession, peers: tuple[str, ...]) -> StampSession:
        """Answers a session that is held to other addresses; Refused where one is none."""
        changed = dataclasses.replace(session, peers=peers)
        _check(changed)
        before, after = set(session.peers or (None,)), set(peers or (None,))
        for ssid in (session.ssid, session.ssid + WARM_UP):
            for gone in before - after:
                self._reflector.withdraw(gone, ssid)
            for new in after - before:
                self._reflector.provision(new, ssid, key=session.key)
        self._held[session.ssid] = changed
        return changed

    def _free(self) -> int:
        """An identifier that nobody could have guessed."""
        while True:
            ssid = 1 + secrets.randbelow(_LARGEST_SSID)
            if not any(taken in self._held for taken in (ssid, ssid + WARM_UP, ssid - WARM_UP)):
                return ssid

    def withdraw(self, session: StampSession) -> int:
        """Answers it no longer; how many packets of it were answered, the warm-up's left out."""
        del self._held[session.ssid]
        self._prompt.discard(session.ssid)
        self._settle_waking()
        answered = 0
        for peer in session.peers or (None,):
            self._reflector.withdraw(peer, session.ssid + WARM_UP)
            answered += self._reflector.withdraw(peer, session.ssid)
        return answered

    def counts(self) -> dict[str, int]:
        """What the reflector counted since the start, over all sessions; `socket_drops` had no room in this host."""
        return {**asdict(self._reflector.counts), "socket_drops": self._reflector.dropped()}

    def close(self) -> None:
        """Closes the sockets."""
        self._reflector.close()
        self.port = None


def _check(session: StampSession) -> None:
    if not 0 <= session.ssid <= _LARGEST_SSID:
        raise Refused("refused", f"a session identifier is 1 to {_LARGEST_SSID}, or 0 for any", "stamp.ssid")
    for peer in session.peers:
        try:
            ipaddress.ip_address(peer)
        except ValueError:
            raise Refused("refused", f"'{peer}' is no IP address", "stamp.peers") from None
    if session.key is not None and not SHORTEST_KEY_BYTES <= len(session.key) <= _LONGEST_KEY_BYTES:
        # Of a key nothing is said, not even how long it is.
        sentence = f"a key has {SHORTEST_KEY_BYTES} to {_LONGEST_KEY_BYTES} bytes"
        raise Refused("refused", sentence, "stamp.key")
