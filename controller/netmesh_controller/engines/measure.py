"""One attempt at one measurement, over the agents of its cells: open, run, watch both hosts, close."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from netmesh_common.tasks import cancelled
from netmesh_controller.clients.agents import Accepted, AgentClient, AgentError, Opened, Spec
from netmesh_controller.mesh.ask import Ask
from netmesh_controller.mesh.document import CellKey, Reason
from netmesh_controller.mesh.evidence import Evidence, Side
from netmesh_controller.mesh.hostwindow import Sample
from netmesh_controller.mesh.paths import is_local, roles
from netmesh_controller.mesh.plan import Measurement

WATCH_SECONDS = 0.1
# Beyond a test's own seconds: its tool's overhead at the agent (5 s for a tool that hangs), and the calls around it.
LEASE_MARGIN_SECONDS = 15.0
CALL_MARGIN_SECONDS = 12.0


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


@dataclass(frozen=True, slots=True)
class Link:
    """The two ends of one cell."""

    key: CellKey
    spec: Spec
    source: AgentHandle
    target: AgentHandle


@dataclass(slots=True)
class Attempt:
    """One attempt at a measurement: its links, and the server sides opened for them."""

    measurement: Measurement
    number: int
    group: str
    links: tuple[Link, ...]
    opened: list[Opened] = field(default_factory=list)
    opened_until: float = 0.0


def spec_for(key: CellKey, ask: Ask) -> Spec:
    """What both sides of a cell are told. qperf has no omit and no intervals; it takes the duration alone."""
    parameters = key.parameters
    return Spec(
        test=key.test,
        instrument=parameters.instrument,
        family=parameters.family or 4,
        duration_seconds=ask.duration,
        omit_seconds=ask.omit if parameters.instrument == "iperf3" else 0,
        interval_seconds=ask.interval,
        streams=parameters.streams or 1,
        offered_bits_per_second=parameters.offered_bits_per_second,
        message_bytes=parameters.message_bytes,
        mss_bytes=parameters.mss_bytes,
        congestion_control=parameters.congestion_control,
    )


def links_for(measurement: Measurement, ask: Ask, agents: Mapping[tuple[str, str], AgentHandle]) -> tuple[Link, ...]:
    """What runs at once for a measurement; the first links are those of its cells.

    `agents` goes by (node, role); KeyError where one is not there. A local cell of both directions has a second link
    that is no cell: from the peer back to the agent.
    """
    links = []
    for key in measurement.cells:
        source_role, target_role = roles(key.path, local=is_local(key))
        link = Link(key, spec_for(key, ask), agents[key.source, source_role], agents[key.target, target_role])
        links.append(link)
        if is_local(key) and key.parameters.direction == "bidirectional":
            links.append(replace(link, source=link.target, target=link.source))
    return tuple(links)


async def open_endpoints(attempt: Attempt, lease_seconds: float) -> None:
    """Opens the server sides of an attempt; AgentError where one cannot be had, and then none is left open."""
    attempt.opened_until = time.monotonic() + lease_seconds
    calls = [link.target.client.open_endpoint(attempt.group, link.spec, lease_seconds) for link in attempt.links]
    results = await asyncio.gather(*calls, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        for link, result in zip(attempt.links, results, strict=True):
            if isinstance(result, Opened):
                await _close_quietly(link, result)
        error = failures[0]
        if isinstance(error, AgentError):
            error.add_note(attempt.links[results.index(error)].target.node)
        raise error
    attempt.opened = [result for result in results if isinstance(result, Opened)]


async def close_endpoints(attempt: Attempt) -> None:
    """Gives back server sides that were opened and not used."""
    opened, attempt.opened = attempt.opened, []
    for link, endpoint in zip(attempt.links, opened, strict=False):
        await _close_quietly(link, endpoint)


async def _close_quietly(link: Link, endpoint: Opened) -> Side | None:
    try:
        return await link.target.client.close_endpoint(endpoint.id, finished=False)
    except AgentError:
        # It is gone with its agent, or its lease ends it.
        return None


def total_seconds(link: Link) -> float:
    """How long the tool of a link is told to run."""
    return link.spec.omit_seconds + link.spec.duration_seconds


async def run_attempt(
    attempt: Attempt, other_test: Callable[[AgentHandle, AgentHandle], bool], on_start: Callable[[], None]
) -> Sequence[Evidence]:
    """Runs the links of an attempt at once and returns what each left behind; nothing stays open afterwards.

    `other_test` tells, at the end, whether another test ran on the kernel of one of two agents meanwhile. `on_start`
    is called once all tests are admitted: from then on the agents can hold endpoints for the next measurement.
    """
    needed = max(total_seconds(link) for link in attempt.links) + LEASE_MARGIN_SECONDS
    try:
        if not attempt.opened or attempt.opened_until < time.monotonic() + needed:
            await close_endpoints(attempt)
            await open_endpoints(attempt, needed)
    except AgentError as error:
        return [_not_run(link, attempt.number, error) for link in attempt.links]
    opened, attempt.opened = attempt.opened, []
    waiting = len(opened)

    def admitted() -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            on_start()

    runs = [
        _run_link(link, attempt, endpoint, other_test, admitted)
        for link, endpoint in zip(attempt.links, opened, strict=True)
    ]
    return await asyncio.gather(*runs)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _not_run(link: Link, number: int, error: AgentError) -> Evidence:
    node = error.__notes__[0] if getattr(error, "__notes__", None) else link.target.node
    return Evidence(
        key=link.key,
        attempt=number,
        started_at=_now(),
        duration_seconds=0.0,
        failure=_reason(error, node),
        lost=frozenset({node}) if error.lost else frozenset(),
        source_version=link.source.tools.get(link.spec.instrument),
    )


def _reason(error: AgentError, node: str) -> Reason:
    return Reason(code=error.code, message=f"{node}: {error.message}")


async def _run_link(
    link: Link,
    attempt: Attempt,
    endpoint: Opened,
    other_test: Callable[[AgentHandle, AgentHandle], bool],
    admitted: Callable[[], None],
) -> Evidence:
    started_at, started = _now(), time.monotonic()
    watched: list[Sample] = []
    watch = asyncio.create_task(_watch(link, endpoint, watched), name=f"watch {link.target.node}")
    client: Side | None = None
    server: Side | None = None
    samples: list[Sample] = []
    failure: Reason | None = None
    lost: set[str] = set()
    try:
        try:
            timeout = total_seconds(link) + CALL_MARGIN_SECONDS
            events = link.source.client.run_test(
                attempt.group, link.spec, link.target.addresses[link.spec.family], endpoint.ports, timeout
            )
            async with aclosing(events):
                async for event in events:
                    match event:
                        case Side():
                            client = event
                        case Sample():
                            samples.append(event)
                        case Accepted():
                            admitted()
        except AgentError as error:
            failure = _reason(error, link.source.node)
            if error.lost:
                lost.add(link.source.node)
    finally:
        duration = time.monotonic() - started
        # Also when this task is cancelled: the server side does not wait for its lease.
        closing = asyncio.create_task(_close(link, endpoint, finished=client is not None and client.failure is None))
        await asyncio.shield(closing)
        await cancelled(watch)
    server, error_at_target = closing.result()
    if error_at_target is not None and error_at_target.lost:
        lost.add(link.target.node)
        failure = failure or _reason(error_at_target, link.target.node)
    return Evidence(
        key=link.key,
        attempt=attempt.number,
        started_at=started_at,
        duration_seconds=duration,
        client=client,
        server=server,
        failure=failure,
        lost=frozenset(lost),
        source_samples=tuple(samples),
        target_samples=tuple(watched),
        source_version=link.source.tools.get(link.spec.instrument),
        source_idle_cores=link.source.idle_busy_cores,
        target_idle_cores=link.target.idle_busy_cores,
        other_test=other_test(link.source, link.target),
    )


async def _watch(link: Link, endpoint: Opened, into: list[Sample]) -> None:
    samples = link.target.client.watch_host(endpoint.id, WATCH_SECONDS)
    try:
        async with aclosing(samples):
            async for sample in samples:
                into.append(sample)
    except AgentError:
        # Whether the target is lost is told by the closing of its endpoint; without samples its host is unknown.
        return


async def _close(link: Link, endpoint: Opened, *, finished: bool) -> tuple[Side | None, AgentError | None]:
    try:
        return await link.target.client.close_endpoint(endpoint.id, finished=finished), None
    except AgentError as error:
        return None, error
