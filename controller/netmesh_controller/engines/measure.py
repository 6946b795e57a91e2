"""One attempt at one measurement, over the agents of its cells: open, run, watch both hosts, close."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from netmesh_common.tasks import cancelled
from netmesh_controller.clients.agents import Accepted, AgentClient, AgentError, Opened, Spec
from netmesh_controller.clients.samples import Received
from netmesh_controller.clients.stamp import StampSession
from netmesh_controller.clients.turns import my_turn
from netmesh_controller.mesh.ask import Ask
from netmesh_controller.mesh.cells import told_seconds
from netmesh_controller.mesh.document import CellKey, Parameters, Reason
from netmesh_controller.mesh.evidence import Evidence, Side
from netmesh_controller.mesh.hostsamples import Part, Samples
from netmesh_controller.mesh.instruments import STAMP
from netmesh_controller.mesh.paths import PATHS, Path, is_local, roles
from netmesh_controller.mesh.plan import Measurement

WATCH_SECONDS = 0.1
# So many seconds of samples travel in a message, those of a test of usual length with its outcome: one of each sample
# would cost the controller most of its CPU.
BATCH_SECONDS = 10.0
# Beyond a test's own seconds: its tool's overhead at the agent (5 s for a tool that hangs), and the calls around it.
LEASE_MARGIN_SECONDS = 15.0
CALL_MARGIN_SECONDS = 16.0


@dataclass(frozen=True, slots=True)
class AgentHandle:
    """An agent that the engine may use: its client, where tests go, and what it said of itself."""

    node: str
    role: str
    client: AgentClient
    addresses: Mapping[int, str]
    tools: Mapping[str, str]
    boot_id: str | None
    idle_busy_cores: float | None = None
    idle_error_cores: float = 0.0
    services: Mapping[int, str] = field(default_factory=dict)
    all_addresses: tuple[str, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """Its node and role."""
        return self.node, self.role


def addresses_of(facts: Mapping[str, Any], asked_at: str) -> dict[int, str]:
    """Where tests of each family go to an agent that said `facts` at the address "host:port"."""
    addresses: dict[int, str] = {}
    for text in facts["addresses"]:
        addresses.setdefault(ipaddress.ip_address(text).version, text)
    if not addresses:
        # The agent could not tell; where it answers is where its tests go.
        host = asked_at.rpartition(":")[0].strip("[]")
        addresses[ipaddress.ip_address(host).version] = host
    return addresses


class AtTargetError(Exception):
    """The server side of a test cannot be had at its target."""

    def __init__(self, target: AgentHandle, error: AgentError) -> None:
        super().__init__(f"{target.node}: {error.message}")
        self.target = target
        self.error = error


@dataclass(frozen=True, slots=True)
class Link:
    """One test between two ends. `address` is where the client sends to.

    `target` is None for a target outside of the mesh, which listens on `port` by itself. A load, which has
    `lead_seconds`, is no cell: it is started that long before the other link of its measurement, and outlasts it.
    `session` is that of a test by STAMP.
    """

    key: CellKey
    spec: Spec
    source: AgentHandle
    target: AgentHandle | None
    address: str
    port: int | None = None
    lead_seconds: float | None = None
    session: StampSession | None = None

    @property
    def is_load(self) -> bool:
        """Whether it loads the path for another test."""
        return self.lead_seconds is not None

    @property
    def ends(self) -> tuple[AgentHandle, ...]:
        """The agents that take part."""
        return (self.source,) if self.target is None else (self.source, self.target)


@dataclass(frozen=True, slots=True)
class Others:
    """Whether another test ran on the kernel of one of a link's agents, and whether at one of its nodes."""

    on_kernel: bool
    at_node: bool


@dataclass(slots=True)
class Attempt:
    """One attempt at a measurement: its links, and the server sides opened for them.

    The address of a link through a Service that is yet to be made is "".
    """

    measurement: Measurement
    number: int
    group: str
    links: tuple[Link, ...]
    opened: list[Opened | None] = field(default_factory=list)
    opened_until: float = 0.0
    held: list[tuple[str, str]] = field(default_factory=list)  # the agents whose Services it uses


def spec_for(test: str, parameters: Parameters, ask: Ask, duration_seconds: int | None = None) -> Spec:
    """What both sides of a test are told, for as long as the sweep asks where no duration is given."""
    duration, omit = told_seconds(test, parameters.instrument, ask)
    return Spec(
        test=test,
        instrument=parameters.instrument,
        family=parameters.family or 4,
        duration_seconds=duration if duration_seconds is None else duration_seconds,
        omit_seconds=omit if duration_seconds is None else 0,
        interval_seconds=ask.interval,
        streams=parameters.streams or 1,
        offered_bits_per_second=parameters.offered_bits_per_second,
        message_bytes=parameters.message_bytes,
        mss_bytes=parameters.mss_bytes,
        congestion_control=parameters.congestion_control,
        offered_per_second=parameters.offered_per_second,
    )


def links_for(
    measurement: Measurement,
    ask: Ask,
    agents: Mapping[tuple[str, str], AgentHandle],
    targets: Mapping[str, tuple[str, int]],
) -> tuple[Link, ...]:
    """What runs at once for a measurement; the first links are those of its cells.

    `agents` goes by (node, role), `targets` by name; KeyError where one is not there. A local cell of both directions
    has a second link that is no cell: from the peer back to the agent. A cell under load has its load.
    """
    links = []
    for key in measurement.cells:
        spec = spec_for(key.test, key.parameters, ask)
        path = PATHS[key.path]
        if path.outside is not None:
            address, port = targets[key.target]
            links.append(Link(key, spec, agents[key.source, path.outside], None, address, port))
            continue
        source_role, target_role = roles(key.path, local=is_local(key))
        source, target = agents[key.source, source_role], agents[key.target, target_role]
        # A Service that is made for the run is not there yet, and no other address may stand in for it.
        address = target.services.get(spec.family, "") if path.via_service else target.addresses[spec.family]
        session = _session(path, spec, source, target) if spec.instrument == STAMP else None
        link = Link(key, spec, source, target, address, session=session)
        links.append(link)
        if is_local(key) and key.parameters.direction == "bidirectional":
            links.append(replace(link, source=target, target=source, address=source.addresses[spec.family]))
        load = measurement.variant.load
        if load is not None:
            loading = spec_for(load.test, load.parameters, ask, load.duration_seconds)
            links.append(replace(link, spec=loading, lead_seconds=load.lead_seconds, session=None))
    return tuple(links)


def _session(path: Path, spec: Spec, source: AgentHandle, target: AgentHandle) -> StampSession:
    """The session that a test by STAMP needs: its sender's addresses, where the path leaves them alone."""
    peers = [text for text in source.all_addresses if ipaddress.ip_address(text).version == spec.family]
    return StampSession(
        peers=tuple(peers) if path.keeps_addresses else (),
        # One kernel has one wall clock, in whichever namespace it is read.
        same_clock=source.boot_id is not None and source.boot_id == target.boot_id,
    )


async def open_endpoints(attempt: Attempt, lease_seconds: float) -> None:
    """Opens the server sides of an attempt; AtTargetError where one cannot be had, and then none is left open.

    None is left open either where this is cancelled, which waits for the calls that are on their way.
    """
    attempt.opened_until = time.monotonic() + lease_seconds
    calls = [_open(link, attempt.group, lease_seconds) for link in attempt.links]
    opening = asyncio.gather(*calls, return_exceptions=True)
    try:
        results = await asyncio.shield(opening)
    except asyncio.CancelledError:
        # Whoever gives up a call never learns which endpoint it opened: that one would wait for its lease.
        attempt.opened = [None if isinstance(result, BaseException) else result for result in await opening]
        await close_endpoints(attempt)
        raise
    failures = [result for result in results if isinstance(result, BaseException)]
    attempt.opened = [None if isinstance(result, BaseException) else result for result in results]
    if failures:
        await close_endpoints(attempt)
        raise failures[0]


async def _open(link: Link, group: str, lease_seconds: float) -> Opened | None:
    if link.target is None:
        return None
    try:
        return await link.target.client.open_endpoint(group, link.spec, lease_seconds, link.session)
    except AgentError as error:
        raise AtTargetError(link.target, error) from error


async def close_endpoints(attempt: Attempt) -> None:
    """Gives back server sides that were opened and not used."""
    opened, attempt.opened = attempt.opened, []
    for link, endpoint in zip(attempt.links, opened, strict=False):
        # One whose agent is gone is gone too, or its lease ends it.
        await _close(link, endpoint, finished=False)


def total_seconds(link: Link) -> float:
    """How long the tool of a link is told to run."""
    return link.spec.omit_seconds + link.spec.duration_seconds


async def run_attempt(
    attempt: Attempt, other_tests: Callable[[Link], Others], on_start: Callable[[], None]
) -> Sequence[Evidence]:
    """Runs the links of an attempt at once and returns what each left behind; nothing stays open afterwards.

    `other_tests` tells, at the end, where another test ran meanwhile.
    `on_start` is called once all tests are admitted: from then on the agents can hold endpoints for the next
    measurement.
    """
    needed = max(total_seconds(link) for link in attempt.links) + LEASE_MARGIN_SECONDS
    try:
        if not attempt.opened or attempt.opened_until < time.monotonic() + needed:
            await close_endpoints(attempt)
            await open_endpoints(attempt, needed)
    except AtTargetError as failed:
        return [_not_run(link, attempt.number, failed) for link in attempt.links]
    # One turn for all: directions that are measured at once begin at once.
    await my_turn()
    opened, attempt.opened = attempt.opened, []
    waiting = len(opened)
    loaded = asyncio.Event()
    if not any(link.is_load for link in attempt.links):
        loaded.set()

    def admitted(link: Link) -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            on_start()
        if link.lead_seconds is not None:
            asyncio.get_running_loop().call_later(link.lead_seconds, loaded.set)

    async def run(link: Link, endpoint: Opened | None) -> Evidence:
        if link.lead_seconds is None:
            await loaded.wait()
        try:
            return await _run_link(link, attempt, endpoint, other_tests, admitted)
        finally:
            # A load that failed to start holds nobody up; what it was to load is refused later.
            loaded.set()

    return await asyncio.gather(*(run(*one) for one in zip(attempt.links, opened, strict=True)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def not_started(attempt: Attempt, reason: Reason) -> list[Evidence]:
    """The evidence of an attempt that was not begun, for a reason of its own."""
    return [
        Evidence(
            key=link.key,
            attempt=attempt.number,
            started_at=_now(),
            duration_seconds=0.0,
            failure=reason,
            load=link.is_load,
        )
        for link in attempt.links
    ]


def _not_run(link: Link, number: int, failed: AtTargetError) -> Evidence:
    error, target = failed.error, failed.target
    return Evidence(
        key=link.key,
        attempt=number,
        started_at=_now(),
        duration_seconds=0.0,
        failure=_reason(error, target.node),
        lost=frozenset({target.name}) if error.lost else frozenset(),
        load=link.is_load,
        source_version=link.source.tools.get(link.spec.instrument),
    )


def _reason(error: AgentError, node: str) -> Reason:
    return Reason(code=error.code, message=f"{node}: {error.message}")


async def _run_link(
    link: Link,
    attempt: Attempt,
    endpoint: Opened | None,
    other_tests: Callable[[Link], Others],
    admitted: Callable[[Link], None],
) -> Evidence:
    started_at, started = _now(), time.monotonic()
    watched: list[Part] = []
    watch = asyncio.create_task(_watch(link, endpoint, watched), name=f"watch {link.key.target}")
    client: Side | None = None
    samples: list[Part] = []
    failure: Reason | None = None
    lost: set[tuple[str, str]] = set()
    ports = endpoint.ports if endpoint is not None else (link.port or 0,)
    try:
        try:
            timeout = total_seconds(link) + CALL_MARGIN_SECONDS
            session = link.session
            if session is not None and endpoint is not None:
                session = replace(session, ssid=endpoint.ssid)
            events = link.source.client.run_test(
                attempt.group, link.spec, link.address, ports, timeout, session, BATCH_SECONDS
            )
            async with aclosing(events):
                async for event in events:
                    match event:
                        case Side():
                            client = event
                        case Received():
                            samples.append(event)
                        case Accepted():
                            admitted(link)
        except AgentError as error:
            failure = _reason(error, link.source.node)
            if error.lost:
                lost.add(link.source.name)
    finally:
        duration = time.monotonic() - started
        # Also when this task is cancelled: the server side does not wait for its lease.
        finished = client is not None and client.failure is None
        closing = asyncio.create_task(_close(link, endpoint, finished=finished))
        await asyncio.shield(closing)
        await cancelled(watch)
    server, error_at_target = closing.result()
    other = other_tests(link)
    if error_at_target is not None and error_at_target.lost and link.target is not None:
        lost.add(link.target.name)
        failure = failure or _reason(error_at_target, link.key.target)
    return Evidence(
        key=link.key,
        attempt=attempt.number,
        started_at=started_at,
        duration_seconds=duration,
        client=client,
        server=server,
        failure=failure,
        lost=frozenset(lost),
        load=link.is_load,
        source_samples=Samples(samples),
        target_samples=Samples((*watched, *(server.samples if server is not None else ()))),
        source_version=link.source.tools.get(link.spec.instrument),
        source_idle_cores=link.source.idle_busy_cores,
        target_idle_cores=link.target.idle_busy_cores if link.target is not None else None,
        source_idle_error_cores=link.source.idle_error_cores,
        target_idle_error_cores=link.target.idle_error_cores if link.target is not None else 0.0,
        other_test=other.on_kernel,
        own_traffic=other.at_node,
        one_kernel=len({end.boot_id for end in link.ends}) < len(link.ends),
    )


async def _watch(link: Link, endpoint: Opened | None, into: list[Part]) -> None:
    if link.target is None or endpoint is None:
        return
    parts = link.target.client.watch_host(endpoint.id, WATCH_SECONDS, BATCH_SECONDS)
    try:
        async with aclosing(parts):
            async for part in parts:
                into.append(part)
    except AgentError as error:
        # Whether the target is lost is told by the closing of its endpoint; without samples its host is unknown.
        if error.code == "tool_output":
            into.clear()  # of an agent that talks nonsense nothing counts


async def _close(link: Link, endpoint: Opened | None, *, finished: bool) -> tuple[Side | None, AgentError | None]:
    if link.target is None or endpoint is None:
        return None, None
    try:
        return await link.target.client.close_endpoint(endpoint.id, finished=finished), None
    except AgentError as error:
        return None, error
