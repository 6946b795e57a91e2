"""Why a test cannot be run between two ends, as far as that is known before anybody is asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from netmesh_common.units import format_rate
from netmesh_controller.mesh.ask import Ask
from netmesh_controller.mesh.cells import (
    Case,
    End,
    default_message_bytes,
    has_congestion,
    load_case,
    load_for,
    offered_bits_per_second,
    offered_per_second,
    told_seconds,
)
from netmesh_controller.mesh.document import Reason
from netmesh_controller.mesh.instruments import STAMP

# Messages that follow one another without a pace are bounded by the round trip; on one machine it took 15 µs.
_SHORTEST_ROUND_TRIP_SECONDS = 10e-6
# sockperf logs each message, and of a program's output no more can be kept.
_MOST_SOCKPERF_MESSAGES = 150_000
_MOST_STAMP_PROBES_PER_SECOND = 20_000
# Behind its base packet there is room for all of STAMP's TLVs, or for none.
_NO_STAMP_BYTES = frozenset(range(45, 76)) - {72}


def refused_everywhere(case: Case, ask: Ask) -> Reason | None:
    """Why no two ends can run the case as it was asked for, or None."""
    tool, kind = case.tool, case.kind
    if case.family not in tool.families:
        return _not_supported(f"{tool.title} does not speak IPv{case.family}")
    if (case.streams or 1) > tool.most_streams:
        return _not_supported(f"{tool.title} runs one stream, not {case.streams}")
    if ask.congestion is not None and has_congestion(kind) and not tool.congestion:
        return _not_supported(f"{tool.title} cannot choose the congestion control, and {ask.congestion} was asked for")
    refused = _size_refused(case) or _rate_refused(case, ask)
    return refused or (refused_everywhere(load_case(case, ask), ask) if case.load is not None else None)


def _size_refused(case: Case) -> Reason | None:
    tool = case.tool
    if case.message_bytes is not None:
        if case.instrument == STAMP and case.message_bytes in _NO_STAMP_BYTES:
            return _not_supported(f"STAMP sends packets of 44, 72 or at least 76 bytes, not of {case.message_bytes}")
        least, most = tool.message_bytes[case.kind.protocol or "tcp"]
        if not least <= case.message_bytes <= most:
            return _not_supported(
                f"{tool.title} sends messages of {least} to {most} bytes over {case.kind.protocol}, "
                f"not of {case.message_bytes}"
            )
    if case.mss_bytes is not None:
        if tool.mss_bytes is None:
            return _not_supported(f"{tool.title} cannot set the segment size, and {case.mss_bytes} was asked for")
        least, most = tool.mss_bytes
        if not least <= case.mss_bytes <= most:
            return _not_supported(f"{tool.title} sets segments of {least} to {most} bytes, not of {case.mss_bytes}")
    return None


def _rate_refused(case: Case, ask: Ask) -> Reason | None:
    tool, offered = case.tool, offered_bits_per_second(case.kind, ask)
    if offered is not None and not tool.paces_bits:
        until = "" if ask.max_rate is not None else "; it runs this test with --rate unlimited only"
        message = f"{tool.title} cannot limit its rate to {format_rate(offered)}{until}"
        return Reason(code="rate_not_supported", message=message)
    messages = offered_per_second(case, ask)
    if messages is not None and case.instrument == "sockperf" and messages * ask.duration > _MOST_SOCKPERF_MESSAGES:
        return _not_supported(
            f"{tool.title} logs each message: {messages} a second over {ask.duration} s are more than the "
            f"{_MOST_SOCKPERF_MESSAGES} that are read"
        )
    if messages is not None and case.instrument == STAMP and messages > _MOST_STAMP_PROBES_PER_SECOND:
        return _not_supported(f"{tool.title} sends up to {_MOST_STAMP_PROBES_PER_SECOND} probes a second")
    reached = _message_bits_per_second(case, messages)
    if ask.max_rate is not None and reached > ask.max_rate:
        size = f"messages of {case.message_bytes or default_message_bytes(case.instrument)} bytes"
        paced = f"{messages} {size} a second are" if messages is not None else f"{size} without a pace may reach"
        message = f"{paced} {format_rate(reached)}, above the max-rate of {format_rate(ask.max_rate)}"
        return Reason(code="rate_not_supported", message=message)
    return None


def _message_bits_per_second(case: Case, messages: int | None) -> float:
    """What a test of single messages sends at most each way; 0 for a test that sends none of a size."""
    if case.kind.kind not in ("latency", "transactions"):
        return 0.0
    size = case.message_bytes or default_message_bytes(case.instrument)
    return size * 8 * (messages or 1 / _SHORTEST_ROUND_TRIP_SECONDS)


def refused_by(end: End, case: Case, ask: Ask) -> Reason | None:
    """Why this end cannot take part in the case, as source or as target, or None."""
    if end.facts is None:
        return Reason(code="agent_away", message=f"{end.node} has no {end.role} agent that answers")
    tools = end.facts.get("tools")
    if tools is not None and case.instrument not in tools:
        return Reason(code="tool_missing", message=f"{end.node} has no {case.tool.title}")
    allowed = end.facts.get("congestion_controls_allowed")
    if ask.congestion is not None and has_congestion(case.kind) and allowed and ask.congestion not in allowed:
        return _not_supported(f"{end.node} allows no congestion control {ask.congestion}, only {', '.join(allowed)}")
    if case.family not in _families(end.facts["addresses"]):
        return _not_supported(f"{end.node} has no IPv{case.family} address")
    limits = end.facts.get("limits") or {}
    load = load_for(case, ask)
    if load is not None:
        loading = load_case(case, ask)
        return refused_by(end, loading, ask) or _too_long(end.node, limits, load.duration_seconds)
    return _too_long(end.node, limits, sum(told_seconds(case.test, case.instrument, ask))) or _too_much(
        end.node, limits, case, ask
    )


def _too_long(node: str, limits: Mapping[str, int | None], asked_seconds: int) -> Reason | None:
    most = limits.get("seconds")
    if most is not None and asked_seconds > most:
        return _not_supported(f"{node} allows tests of {most} s, not of {asked_seconds} s (its limit of seconds)")
    return None


def _too_much(node: str, limits: Mapping[str, int | None], case: Case, ask: Ask) -> Reason | None:
    if case.kind.kind != "bandwidth":
        return None
    most = limits.get("streams")
    if most is not None and (case.streams or 1) > most:
        return _not_supported(f"{node} allows {most} streams, not {case.streams} (its limit of streams)")
    most, offered = limits.get("bits_per_second"), offered_bits_per_second(case.kind, ask)
    if most is not None and (offered is None or offered > most):
        asked = "as much as goes through" if offered is None else format_rate(offered)
        return _not_supported(f"{node} allows {format_rate(most)}, not {asked} (its limit of bits a second)")
    return None


def _families(addresses: list[str]) -> set[int]:
    # An address that is not understood may be of any family: the test will tell.
    families: set[int] = set()
    for address in addresses:
        try:
            families.add(ipaddress.ip_address(address).version)
        except ValueError:
            return {4, 6}
    return families or {4, 6}


def _not_supported(message: str) -> Reason:
    return Reason(code="not_supported", message=message)
