"""The door to the agents: typed calls over gRPC, failures as AgentError with a reason code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import grpc
from pydantic import ValidationError

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_common.tls import Certificates, channel
from netmesh_controller.clients.heard import (
    REPORT_COST,
    REPORTS_BURST_BYTES,
    Allowance,
    HeardError,
    check_description,
    check_outcome,
    check_sample,
    check_samples,
    plain,
)
from netmesh_controller.clients.samples import Received
from netmesh_controller.clients.stamp import Probing, StampSession
from netmesh_controller.clients.turns import my_turn, unhurried
from netmesh_controller.mesh.catalogue import REASONS
from netmesh_controller.mesh.diagnosis.state import HostState
from netmesh_controller.mesh.document import Reason, SourcePort, Summary
from netmesh_controller.mesh.evidence import Side

FAILURE_KEY = "netmesh-failure-bin"
CALL_SECONDS = 10.0
# Streams are read and not iterated over: a call's iterator and the call hold each other, so that a stream that is left
# before its end would keep its connection, beyond the channel's close, until the collector of cycles comes by.
_EOF: Any = grpc.aio.EOF
_SUMMARY_FIELDS = ("stdev", "min", "p10", "p50", "p90", "p99", "p999", "max")


class AgentError(Exception):
    """A call that an agent refused or did not answer; `code` is a reason code.

    `lost` is true where the agent itself could not be reached, so that nothing can be measured with it now.
    """

    def __init__(self, code: str, message: str, *, lost: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.lost = lost


@dataclass(frozen=True, slots=True)
class Spec:
    """What both sides of one test are told; see `netmesh.v1.Spec` for the units."""

    test: str
    instrument: str
    family: int
    duration_seconds: int
    omit_seconds: int
    interval_seconds: float
    streams: int = 1
    offered_bits_per_second: int | None = None
    message_bytes: int | None = None
    mss_bytes: int | None = None
    congestion_control: str | None = None
    offered_per_second: int | None = None

    def message(self) -> agent_pb2.Spec:
        """As it travels."""
        return agent_pb2.Spec(
            test=self.test,
            instrument=self.instrument,
            family=self.family,
            duration_seconds=self.duration_seconds,
            omit_seconds=self.omit_seconds,
            interval_seconds=self.interval_seconds,
            streams=self.streams,
            offered_bits_per_second=self.offered_bits_per_second,
            message_bytes=self.message_bytes,
            mss_bytes=self.mss_bytes,
            congestion_control=self.congestion_control or "",
            offered_per_second=self.offered_per_second,
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A leased server side; `ssid` is that of a STAMP session."""

    id: str
    ports: tuple[int, ...]
    command: str
    ssid: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tool was started; `monotonic_seconds` is on the agent's clock."""

    command: str
    monotonic_seconds: float


class AgentClient:
    """One agent. The connection is made with the first call and kept.

    `certificates` may be a function that tells them as they are now: calls that begin after they changed go over a
    new connection, those under way end on the old one.
    """

    def __init__(self, address: str, certificates: Certificates | Callable[[], Certificates], *, term: int = 0) -> None:
        self.address = address
        self._term = term
        self._current = certificates if callable(certificates) else lambda: certificates
        self._used = self._current()
        self._channel = channel(address, self._used)
        self._stub_of_channel = agent_pb2_grpc.AgentStub(self._channel)
        self._old: list[grpc.aio.Channel] = []

    @property
    def _stub(self) -> agent_pb2_grpc.AgentAsyncStub:
        now = self._current()
        if now != self._used:
            self._old.append(self._channel)
            self._used = now
            self._channel = channel(self.address, now)
            self._stub_of_channel = agent_pb2_grpc.AgentStub(self._channel)
        return self._stub_of_channel

    def at(self, address: str) -> AgentClient:
        """A client of the agent at another address, with the same identity and term."""
        return AgentClient(address, self._current, term=self._term)

    async def close(self) -> None:
        """Ends the connection; calls under way are cancelled."""
        for each in (*self._old, self._channel):
            await each.close()

    async def describe(self, answer_seconds: float = CALL_SECONDS) -> dict[str, Any]:
        """The agent's facts; keys as in `facts_from`. AgentError(`timeout`) without an answer in that time."""
        request = agent_pb2.DescribeRequest(term=self._term)
        reply = await self._unary(self._stub.Describe, request, answer_seconds)
        with self._hearing():
            check_description(reply)
        return facts_from(reply)

    async def inspect(self) -> HostState:
        """What the node's network stack has counted so far, and how it is set."""
        reply = await self._unary(self._stub.Inspect, agent_pb2.InspectRequest(term=self._term))
        return HostState(dict(reply.counters), dict(reply.settings))

    async def open_endpoint(
        self, group: str, spec: Spec, lease_seconds: float, stamp: StampSession | None = None
    ) -> Opened:
        """Starts the server side of a test; returns when its port listens. `stamp` is the session that STAMP needs."""
        request = agent_pb2.OpenEndpointRequest(
            term=self._term,
            group=group,
            spec=spec.message(),
            lease_seconds=lease_seconds,
            stamp=stamp.message() if stamp is not None else None,
        )
        reply = await self._unary(self._stub.OpenEndpoint, request)
        return Opened(reply.endpoint, tuple(reply.ports), reply.command, reply.stamp.ssid)

    async def close_endpoint(self, endpoint: str, *, finished: bool) -> Side:
        """Ends a server side; `finished` gives one whose test ended well a moment to say what it saw.

        With its words come the host samples that a watch of it in batches had not sent yet.
        """
        reply = await self._unary(
            self._stub.CloseEndpoint,
            agent_pb2.CloseEndpointRequest(term=self._term, endpoint=endpoint, finished=finished),
        )
        now = time.monotonic()
        await my_turn()
        with self._hearing():
            side = side_of(reply.outcome)
            if reply.HasField("samples"):
                check_samples(reply.samples)
                side = replace(side, samples=(Received(reply.samples, now),))
            return side

    async def run_test(
        self,
        group: str,
        spec: Spec,
        target: str,
        ports: tuple[int, ...],
        timeout_seconds: float,
        stamp: StampSession | None = None,
        batch_seconds: float = 0.0,
    ) -> AsyncGenerator[Accepted | Received | Side, None]:
        """Runs the client side: Accepted first, host samples as it goes, Side last. Closing it ends the test.

        AgentError(`tool_output`) where the agent says more, or else, than a test has to say.
        Samples of `batch_seconds` travel together, the last ones with the outcome; where that is 0, each by itself.
        """
        request = agent_pb2.RunTestRequest(
            term=self._term,
            group=group,
            spec=spec.message(),
            target_address=target,
            target_ports=ports,
            stamp=stamp.message() if stamp is not None else None,
            batch_seconds=batch_seconds,
        )
        call: Any = self._stub.RunTest(request, timeout=timeout_seconds)
        allowance, ended = Allowance(), False
        try:
            while (event := await call.read()) is not _EOF:
                now = time.monotonic()
                await my_turn()
                with self._hearing():
                    allowance.take(event)
                    if ended:
                        raise HeardError("goes on after the outcome of its test")
                match event.WhichOneof("event"):
                    case "accepted":
                        accepted = event.accepted
                        yield Accepted(accepted.command, accepted.monotonic_nanoseconds / 1e9)
                    case "host":
                        with self._hearing():
                            check_samples(event.host)
                        yield Received(event.host, now)
                    case "outcome":
                        ended = True
                        with self._hearing():
                            side = side_of(event.outcome)
                            if event.HasField("last"):
                                check_samples(event.last)
                        if event.HasField("last"):
                            yield Received(event.last, now)
                        yield side
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from error
        finally:
            call.cancel()

    async def watch_host(
        self, endpoint: str, interval_seconds: float, batch_seconds: float = 0.0
    ) -> AsyncGenerator[Received, None]:
        """Samples of the agent's host and of an endpoint's process tree, until the iterator is closed.

        Those of `batch_seconds` travel together; what is under way when the endpoint is closed comes with its words.
        """
        request = agent_pb2.WatchHostRequest(
            term=self._term, interval_seconds=interval_seconds, endpoint=endpoint, batch_seconds=batch_seconds
        )
        await my_turn()
        call: Any = self._stub.WatchHost(request)
        allowance = Allowance()
        try:
            while (message := await call.read()) is not _EOF:
                now = time.monotonic()
                await my_turn()
                with self._hearing():
                    allowance.take(message)
                    check_samples(message)
                yield Received(message, now)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from error
        finally:
            call.cancel()

    async def configure_probing(self, wanted: Probing) -> tuple[str, int]:
        """Whom the agent probes from now on, and whose probes it answers.

        Returns the instance of the agent's process, whose windows are numbered from 1, and its reflector's port.
        """
        reply = await self._unary(self._stub.ConfigureProbing, wanted.message(self._term))
        return reply.instance, reply.stamp_port

    async def watch_probes(self, instance: str = "", after: int = 0) -> AsyncGenerator[agent_pb2.ProbeReport, None]:
        """What became of its probes: windows after the last that was seen of that instance, then each as it ends."""
        request = agent_pb2.WatchProbesRequest(term=self._term, instance=instance, after=after)
        call: Any = self._stub.WatchProbes(request)
        allowance = Allowance(REPORTS_BURST_BYTES, REPORT_COST)
        try:
            while (report := await call.read()) is not _EOF:
                with self._hearing():
                    allowance.take(report)
                    check_sample(report.host)
                yield report
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from error
        finally:
            call.cancel()

    async def ask_reflector(
        self, address: str, port: int, session: StampSession, timeout_seconds: float
    ) -> tuple[bool, int]:
        """Whether the reflector at an IP address answers this agent within the time, and how often it was asked."""
        request = agent_pb2.AskReflectorRequest(
            term=self._term, address=address, port=port, stamp=session.message(), timeout_seconds=timeout_seconds
        )
        try:
            reply = await self._stub.AskReflector(request, timeout=timeout_seconds + CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from error
        return reply.answered, reply.questions

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        try:
            yield
        except HeardError as error:
            raise AgentError("tool_output", f"the agent at {self.address} {error}") from error

    async def _unary(self, method: Any, request: Any, answer_seconds: float = CALL_SECONDS) -> Any:
        await my_turn()
        try:
            return await method(request, timeout=answer_seconds)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from error


def _translated(error: grpc.aio.AioRpcError, address: str) -> AgentError:
    for key, value in error.trailing_metadata() or ():
        if key == FAILURE_KEY and isinstance(value, bytes):
            failure = agent_pb2.Failure()
            with suppress(Exception):
                failure.ParseFromString(value)
                field_name = f"{failure.field}: " if failure.field else ""
                return AgentError(_known(failure.code), plain(f"{field_name}{failure.message}"))
    details = error.details() or ""
    # What OpenSSL said is about certificates; a handshake that timed out, or broke with the connection, is not.
    if any(word in details.lower() for word in ("certificate", "ssl routines", "unknown_ca")):
        return AgentError(
            "refused", f"the TLS handshake with the agent at {address} failed; are both of one CA?", lost=True
        )
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return AgentError("timeout", f"the agent at {address} did not answer in time", lost=True)
        case grpc.StatusCode.UNAVAILABLE:
            return AgentError("agent_lost", f"the agent at {address} cannot be reached", lost=True)
        case grpc.StatusCode.CANCELLED:
            return AgentError("agent_lost", f"the agent at {address} ended the call", lost=True)
        case code:
            too_large = code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details
            said = "sends a message that is too large" if too_large else f"answered {code.name}: {details}"
            return AgentError("tool_output" if too_large else "tool_failed", plain(f"the agent at {address} {said}"))


def _known(code: str) -> str:
    """A reason code; what is none failed in a way that this controller does not know."""
    return code if code in REASONS else "tool_failed"


def side_of(outcome: agent_pb2.Outcome) -> Side:
    """What a side of a test said; HeardError where it cannot be."""
    check_outcome(outcome)
    try:
        return _read_side(outcome)
    except ValidationError as error:
        raise HeardError("sends a figure that is none") from error


def _read_side(outcome: agent_pb2.Outcome) -> Side:
    failure = None
    if outcome.HasField("failure"):
        failure = Reason(code=_known(outcome.failure.code), message=plain(outcome.failure.message))
    reading = outcome.reading
    return Side(
        command=outcome.command,
        started_seconds=outcome.started_monotonic_nanoseconds / 1e9,
        ended_seconds=outcome.ended_monotonic_nanoseconds / 1e9,
        tool_cpu_seconds=outcome.tool_cpu_seconds if outcome.HasField("tool_cpu_seconds") else None,
        failure=failure,
        values={name: _summary(summary) for name, summary in reading.values.items()},
        intervals={name: list(series.values) for name, series in reading.intervals.items()},
        congestion_control=reading.congestion_control or None,
        reported=dict(reading.reported),
        raw=reading.raw or None,
        histograms=dict(reading.histograms),
        source_ports=tuple(_source_port(port) for port in reading.source_ports),
    )


def _source_port(message: agent_pb2.SourcePort) -> SourcePort:
    return SourcePort(
        port=message.port,
        sent=message.sent,
        lost=message.lost,
        min_seconds=message.min_seconds if message.HasField("min_seconds") else None,
        p50_seconds=message.p50_seconds if message.HasField("p50_seconds") else None,
    )


def _summary(message: agent_pb2.Summary) -> Summary:
    known = {name: getattr(message, name) for name in _SUMMARY_FIELDS if message.HasField(name)}  # type: ignore[arg-type]  # names are literals in the stub
    return Summary(mean=message.mean, count=message.count, **known)


def facts_from(reply: agent_pb2.DescribeReply) -> dict[str, Any]:
    """An agent's description as plain data for the run document; what is unknown is None."""

    def known(message: Any, name: str) -> Any:
        return getattr(message, name) if message.HasField(name) else None

    return {
        "node": reply.node,
        "role": reply.role,
        "agent_version": reply.agent_version,
        "addresses": list(reply.addresses),
        "kernel": reply.kernel,
        "cpus": reply.cpus,
        "memory_bytes": reply.memory_bytes,
        "device": reply.device.name or None,
        "driver": reply.device.driver or None,
        "mtu_bytes": known(reply.device, "mtu_bytes"),
        "line_rate_bits_per_second": known(reply.device, "line_rate_bits_per_second"),
        "congestion_control": reply.congestion_control or None,
        "congestion_controls_allowed": list(reply.congestion_controls_allowed),
        "tools": {tool.name: tool.version for tool in reply.tools},
        "clock_source": reply.clock_source or None,
        "clock_offset_seconds": known(reply, "clock_offset_seconds"),
        "clock_error_seconds": known(reply, "clock_error_seconds"),
        "limits": {
            "seconds": reply.limits.seconds,
            "streams": reply.limits.streams,
            "bits_per_second": known(reply.limits, "bits_per_second"),
        },
        "boot_id": reply.boot_id or None,
        "stamp_port": known(reply, "stamp_port"),
    }


async def close_all(clients: list[AgentClient]) -> None:
    """Ends all connections, one after the other: a thousand at once would be one long pass of the event loop."""
    async for client in unhurried(clients):
        await asyncio.gather(client.close(), return_exceptions=True)
