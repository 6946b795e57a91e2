"""Between the messages of the contract and the agent's own types; nothing else knows both."""

from __future__ import annotations

from dataclasses import fields

from netmesh.v1 import agent_pb2
from netmesh_agent.checks import Check
from netmesh_agent.probing_settings import Configuration, ProbePeer
from netmesh_agent.process import Ended
from netmesh_agent.tools.base import Failure, Reading, SourcePort, Spec, StampSession, Summary


def session_from_message(message: agent_pb2.StampSession) -> StampSession:
    """The STAMP session that a request carries."""
    return StampSession(message.ssid, tuple(message.peers), message.key or None, message.same_clock)


def session_to_message(session: StampSession) -> agent_pb2.StampSession:
    """A session as a caller is told of it: without its key."""
    return agent_pb2.StampSession(ssid=session.ssid, peers=session.peers, same_clock=session.same_clock)


def probing_from_message(message: agent_pb2.ConfigureProbingRequest) -> Configuration:
    """The configuration of the continuous probe that a request carries."""
    return Configuration(
        version=message.version,
        interval_seconds=message.interval_seconds,
        timeout_seconds=message.timeout_seconds,
        window_seconds=message.window_seconds,
        lease_seconds=message.lease_seconds,
        peers=tuple(
            ProbePeer(peer.address, peer.port, peer.ssid, peer.key or None, peer.same_clock) for peer in message.peers
        ),
        answered=tuple(session_from_message(session) for session in message.answered),
        checks=tuple(Check(one.name, one.kind, one.address, one.port, one.question) for one in message.checks),
        checks_interval_seconds=message.checks_interval_seconds,
    )


def spec_from_message(message: agent_pb2.Spec, session: StampSession | None = None) -> Spec:
    """The specification that a request carries, with its STAMP session; what is not set there is None here."""

    def optional(name: str) -> int | None:
        return getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]  # names are literals in the stub

    return Spec(
        test=message.test,
        instrument=message.instrument,
        family=message.family,
        duration_seconds=message.duration_seconds,
        omit_seconds=message.omit_seconds,
        interval_seconds=message.interval_seconds,
        streams=message.streams,
        offered_bits_per_second=optional("offered_bits_per_second"),
        message_bytes=optional("message_bytes"),
        mss_bytes=optional("mss_bytes"),
        congestion_control=message.congestion_control or None,
        offered_per_second=optional("offered_per_second"),
        session=session,
    )


def summary_to_message(summary: Summary) -> agent_pb2.Summary:
    """A summary; None becomes an unset field."""
    return agent_pb2.Summary(**{field.name: getattr(summary, field.name) for field in fields(summary)})


def _port_to_message(port: SourcePort) -> agent_pb2.SourcePort:
    return agent_pb2.SourcePort(**{field.name: getattr(port, field.name) for field in fields(port)})


def outcome_to_message(command: str, ended: Ended, result: Reading | Failure) -> agent_pb2.Outcome:
    """What one side of a test said, with its window and its cost."""
    outcome = agent_pb2.Outcome(
        started_monotonic_nanoseconds=ended.started_nanoseconds,
        ended_monotonic_nanoseconds=ended.ended_nanoseconds,
        tool_cpu_seconds=ended.cpu_seconds,
        command=command,
    )
    if isinstance(result, Failure):
        outcome.failure.CopyFrom(failure_to_message(result))
        return outcome
    outcome.reading.CopyFrom(
        agent_pb2.Reading(
            values={name: summary_to_message(summary) for name, summary in result.values.items()},
            intervals={name: agent_pb2.Series(values=series) for name, series in result.intervals.items()},
            congestion_control=result.congestion_control or "",
            reported=result.reported,
            raw=result.raw,
            histograms=result.histograms,
            source_ports=[_port_to_message(port) for port in result.source_ports],
        )
    )
    return outcome


def failure_to_message(failure: Failure) -> agent_pb2.Failure:
    """A typed failure."""
    return agent_pb2.Failure(code=failure.code, message=failure.message, field=failure.field or "")
