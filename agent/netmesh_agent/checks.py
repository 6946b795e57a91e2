"""Checks beside the continuous probe: is a Service, a name server, the API server, something outside reached, and when.

One task a check asks once an interval, on its own connection each time; what became of it is told window by window. A
check that was answered has its time, one that was not has a reason code. Times are of this process' clock: they are
not the kernels', and a busy agent sees longer ones.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

from netmesh.v1 import agent_pb2
from netmesh_agent import dns
from netmesh_agent.errors import Refused
from netmesh_common.tasks import guarded_task

MOST_CHECKS = 32
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 3600.0
TIMEOUT_SECONDS = 2.0
JITTER = 0.1
_REFUSED = (errno.ECONNREFUSED, errno.ECONNRESET)


@dataclass(frozen=True, slots=True)
class Check:
    """What is asked. `kind`: `tcp-connect` (`address`, an IP address or a name, and `port`), `dns` (`question` asked of
    `address`, or of the host's own name server where that is empty), `api-server` (of this pod's cluster).
    """

    name: str
    kind: str
    address: str = ""
    port: int = 0
    question: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question ended: its time, or why there is none."""

    seconds: float | None
    code: str = ""
    message: str = ""


@dataclass(slots=True)
class _Counts:
    times: list[float] = field(default_factory=list)
    failed: int = 0
    last: Answer | None = None


class Checks:
    """The checks of this agent. `told` hears of each answer."""

    def __init__(self, told: Callable[[Check, Answer], None] = lambda _check, _answer: None) -> None:
        self._told = told
        self._interval = 0.0
        self._tasks: dict[Check, asyncio.Task[None]] = {}
        self._counts: dict[Check, _Counts] = {}

    def configure(self, wanted: tuple[Check, ...], interval_seconds: float) -> None:
        """Asks these from now on; those that stay go on."""
        kept = set(wanted) if interval_seconds == self._interval else set()
        self._interval = interval_seconds
        for check in [one for one in self._tasks if one not in kept]:
            self._tasks.pop(check).cancel()
            del self._counts[check]
        for check in wanted:
            if check not in self._tasks:
                self._counts[check] = _Counts()
                self._tasks[check] = guarded_task(self._ask(check), name=f"check {check.name}")

    def take(self) -> list[agent_pb2.CheckResult]:
        """What became of them since it was last asked."""
        results = []
        for check, counts in self._counts.items():
            result = agent_pb2.CheckResult(name=check.name, count=len(counts.times) + counts.failed)
            result.failed = counts.failed
            if counts.times:
                result.p50_seconds, result.max_seconds = median(counts.times), max(counts.times)
            if counts.last is not None:
                result.code, result.message = counts.last.code, counts.last.message
            results.append(result)
            self._counts[check] = _Counts()
        return results

    def close(self) -> None:
        """Asks nothing any more."""
        self.configure((), 0.0)

    async def _ask(self, check: Check) -> None:
        # Agents that are told at the same moment do not ask at the same moment.
        await asyncio.sleep(random.uniform(0, self._interval))  # noqa: S311  # no secret
        while True:
            began = time.monotonic()
            answer = await ask(check)
            counts = self._counts[check]
            if answer.seconds is None:
                counts.failed += 1
                counts.last = answer
            else:
                counts.times.append(answer.seconds)
            self._told(check, answer)
            pause = self._interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))


async def ask(check: Check, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """One question, and how it ended."""
    way: Callable[[Check], Awaitable[Answer]] = {"tcp-connect": _connect, "dns": _resolve, "api-server": _api_server}[
        check.kind
    ]
    try:
        return await asyncio.wait_for(way(check), timeout_seconds)
    except TimeoutError:
        return Answer(None, "timeout", f"no answer within {timeout_seconds:g} s")
    except OSError as error:
        code = "refused" if error.errno in _REFUSED else "unreachable"
        return Answer(None, code, os.strerror(error.errno) if error.errno and error.errno > 0 else str(error))


async def _connect(check: Check) -> Answer:
    """The time of the handshake alone: a name is looked up before."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(check.address, check.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as connection:
        connection.setblocking(False)
        began = time.monotonic()
        await loop.sock_connect(connection, address)
        return Answer(time.monotonic() - began)


async def _resolve(check: Check) -> Answer:
    began = time.monotonic()
    code = await dns.question(check.address or dns.name_server(), check.port or dns.PORT, check.question)
    if code:
        return Answer(None, "refused", f"the name server answered {code}")
    return Answer(time.monotonic() - began)


async def _api_server(check: Check) -> Answer:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return Answer(None, "not_supported", "this agent is in no Kubernetes cluster")
    return await _connect(Check(check.name, "tcp-connect", host, int(port)))


def verify(checks: tuple[Check, ...], interval_seconds: float) -> None:
    """Raises Refused where they cannot be asked."""
    if not checks:
        return
    if len(checks) > MOST_CHECKS:
        raise Refused("refused", f"at most {MOST_CHECKS} checks are asked", "checks")
    if not SHORTEST_SECONDS <= interval_seconds <= LONGEST_SECONDS:
        said = f"checks_interval_seconds is {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}"
        raise Refused("refused", said, "checks_interval_seconds")
    if len({check.name for check in checks}) < len(checks):
        raise Refused("refused", "a check's name is there twice", "checks")
    for check in checks:
        if check.kind not in ("tcp-connect", "dns", "api-server"):
            raise Refused("refused", f"'{check.kind}' is no kind of check", "checks")
        if check.kind == "tcp-connect" and not (check.address and 0 < check.port < 65536):
            raise Refused("refused", f"check '{check.name}' has no address and port", "checks")
        if check.kind == "dns" and not dns.is_name(check.question):
            raise Refused("refused", f"check '{check.name}' asks for no name", "checks")
