"""Leased server sides: opened when their port is seen to listen, ended when closed or when the lease runs out.

That of a STAMP test is a session at the agent's own reflector, every other a program.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shlex
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from netmesh_agent import sockets
from netmesh_agent.admission import Admission, Busy, is_slow
from netmesh_agent.errors import Refused
from netmesh_agent.process import Ended, Process, ProgramMissing, start
from netmesh_agent.stamp.sessions import ReflectedSession, Sessions
from netmesh_agent.tools.base import Failure, Instrument, Reading, Spec, StampSession
from netmesh_common.tasks import guarded_task

log = logging.getLogger(__name__)

LISTEN_SECONDS = 5.0
LAST_WORDS_SECONDS = 2.0
# A look takes about 0.1 ms; a tool listens 5 to 20 ms after its start.
_LOOK_SECONDS = 0.004


class PortPool:
    """The fixed ports for server sides. The one that rested longest is given first."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._free = deque(ports)

    def __len__(self) -> int:
        return len(self._free)

    def take(self, count: int) -> tuple[int, ...]:
        """Takes `count` ports; Refused(`busy`) where the pool has fewer left."""
        if len(self._free) < count:
            raise Refused("busy", f"the pool has {len(self._free)} ports left, the test needs {count}")
        return tuple(self._free.popleft() for _ in range(count))

    def give_back(self, ports: Iterable[int]) -> None:
        """Returns ports to the end of the queue."""
        self._free.extend(ports)


class _Program:
    """A server side that is a program."""

    def __init__(self, process: Process, *, serves_once: bool) -> None:
        self._process = process
        self._serves_once = serves_once

    @property
    def pid(self) -> int | None:
        """The root of its process tree while it runs."""
        return self._process.pid if self._process.running else None

    @property
    def command(self) -> str:
        """Its command line, as a shell would take it."""
        return shlex.join(self._process.argv)

    async def end(self, *, finished: bool = False) -> Ended:
        """Ends it; one that serves once says of a `finished` test by itself what it saw."""
        if finished and self._serves_once:
            await self._process.wait(LAST_WORDS_SECONDS)
        return await self._process.end()


@dataclass(slots=True)
class Endpoint:
    """One leased server side. `pool_ports` are those of its `ports` that are the pool's."""

    id: str
    group: str
    spec: Spec
    instrument: Instrument
    ports: tuple[int, ...]
    pool_ports: tuple[int, ...]
    server: _Program | ReflectedSession
    lease: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def command(self) -> str:
        """What runs there."""
        return self.server.command

    @property
    def session(self) -> StampSession | None:
        """The STAMP session that is answered."""
        return self.server.session if isinstance(self.server, ReflectedSession) else None


@dataclass(frozen=True, slots=True)
class Closed:
    """What a server side said, and how it ended."""

    command: str
    ended: Ended
    result: Reading | Failure


def _owns(root: int, inodes: frozenset[int]) -> bool:
    """Whether one of these sockets is held by the process tree of `root`; a stranger may listen beside it."""
    if not inodes:
        return False
    try:
        tree = [root, *(child.pid for child in psutil.Process(root).children(recursive=True))]
    except psutil.NoSuchProcess:
        return False
    return any(inodes & sockets.inodes_of(pid) for pid in tree)


class Endpoints:
    """All server sides of this agent. `addresses` goes by family (4, 6): where a server side listens.

    `sessions` are those of its STAMP reflector.
    """

    def __init__(
        self, admission: Admission, ports: Sequence[int], addresses: Mapping[int, str], sessions: Sessions
    ) -> None:
        self._admission = admission
        self._pool = PortPool(ports)
        self._addresses = addresses
        self._sessions = sessions
        self._open: dict[str, Endpoint] = {}

    def process_id(self, endpoint: str) -> int | None:
        """The root of the server's process tree while it runs."""
        held = self._open.get(endpoint)
        return held.server.pid if held is not None else None

    async def open(self, group: str, spec: Spec, instrument: Instrument, lease_seconds: float) -> Endpoint:
        """Starts the server side and returns once its port listens.

        Raises Refused: `busy` where other groups hold both places or the pool is empty, `tool_missing`,
        `tool_failed` where the server ends at once or does not listen within `LISTEN_SECONDS`.
        """
        exclusive = not is_slow(spec)
        try:
            if exclusive:
                self._admission.open(group)
        except Busy as busy:
            raise Refused("busy", str(busy)) from busy
        try:
            endpoint = await self._start(group, spec, instrument, lease_seconds)
        except BaseException:
            if exclusive:
                self._admission.release(group)
            raise
        self._open[endpoint.id] = endpoint
        endpoint.lease = guarded_task(self._expire(endpoint, lease_seconds), name=f"lease of {endpoint.id}")
        return endpoint

    async def _start(self, group: str, spec: Spec, instrument: Instrument, lease_seconds: float) -> Endpoint:
        address = self._addresses.get(spec.family)
        if address is None:
            raise Refused("not_supported", f"this agent has no IPv{spec.family} address", "family")
        name = f"{group}/{secrets.token_hex(4)}"
        if spec.session is not None:
            server = self._sessions.open(spec.session)
            port = self._sessions.port or 0
            return Endpoint(name, group, spec, instrument, (port,), (), server)
        said = ""
        until = time.monotonic() + LISTEN_SECONDS
        # A port of the pool may be taken by a stranger, or still by a connection that lingers: each is tried once.
        for _ in range(len(self._pool) or 1):
            if time.monotonic() >= until:
                break
            ports = self._pool.take(instrument.ports_needed(spec))
            try:
                argv = instrument.server_command(spec, address, ports)
                process = await start(argv, deadline_seconds=lease_seconds)
            except ProgramMissing as missing:
                self._pool.give_back(ports)
                raise Refused("tool_missing", str(missing)) from missing
            except BaseException:
                self._pool.give_back(ports)
                raise
            try:
                if await self._listens(process, instrument.listens_on(spec, ports), until):
                    program = _Program(process, serves_once=instrument.serves_once)
                    return Endpoint(name, group, spec, instrument, ports, ports, program)
            except BaseException:
                await process.end()
                self._pool.give_back(ports)
                raise
            ended = await process.end()
            self._pool.give_back(ports)
            result = instrument.parse_server(spec, ended.output)
            said = result.message if isinstance(result, Failure) else "it ended before it listened"
            log.info("server side on %s did not come up: %s", ports, said)
        raise Refused("tool_failed", f"the server side of {instrument.name} did not come up: {said}")

    async def _listens(self, process: Process, wanted: Sequence[tuple[str, int]], until: float) -> bool:
        """Whether all of `wanted` listen before the process ends or `until` on the monotonic clock.

        The kernel is asked for its sockets: a connect would use up a server that serves one test only.
        """
        while process.running and time.monotonic() < until:
            if all(_owns(process.pid, sockets.listening_inodes(protocol, port)) for protocol, port in wanted):
                return process.running
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def _expire(self, endpoint: Endpoint, lease_seconds: float) -> None:
        await asyncio.sleep(lease_seconds)
        log.warning("the lease of %s ran out; its server side is ended", endpoint.id)
        endpoint.lease = None
        await self.close(endpoint.id)

    async def close(self, endpoint_id: str, *, finished: bool = False) -> Closed:
        """Ends a server side and returns what it said; Refused(`refused`) where there is none of that name.

        After a `finished` test a server that serves once is waited for, up to `LAST_WORDS_SECONDS`: its output
        comes some milliseconds after its client's.
        """
        endpoint = self._open.pop(endpoint_id, None)
        if endpoint is None:
            raise Refused("refused", f"there is no endpoint {endpoint_id}; its lease may have run out", "endpoint")
        if endpoint.lease is not None:
            endpoint.lease.cancel()
        try:
            ended = await endpoint.server.end(finished=finished)
        finally:
            self._pool.give_back(endpoint.pool_ports)
            if not is_slow(endpoint.spec):
                self._admission.release(endpoint.group)
        result = await asyncio.to_thread(endpoint.instrument.parse_server, endpoint.spec, ended.output)
        return Closed(endpoint.command, ended, result)

    def close_all(self) -> asyncio.Future[list[Closed | BaseException]]:
        """Ends every server side that is open now; what is opened meanwhile stays."""
        return asyncio.gather(*(self.close(endpoint) for endpoint in list(self._open)), return_exceptions=True)
