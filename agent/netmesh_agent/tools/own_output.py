"""What the JSON of netmesh's own programs says; nothing is taken from it that cannot be true."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary

# What the programs say; anything else of theirs is `tool_failed`.
_CODES = frozenset({"refused", "timeout", "unreachable", "busy", "not_supported", "cancelled", "tool_failed"})
_FIELDS = ("mean", "stdev", "min", "p10", "p50", "p90", "p99", "p999", "max")
_ASCENDING = ("min", "p10", "p50", "p90", "p99", "p999", "max")
_COMPRESSED_V2 = (0x1C849314).to_bytes(4, "big")  # HdrHistogram's V2CompressedEncodingCookieBase with its word size
# No time, count or rate of a test comes near it.
_MOST = 1e12
_LARGEST_PACKET = 65_535


class _UnreadableError(ValueError):
    """The document lacks something, or says something that cannot be; the text names it."""


def read_client(spec: Spec, output: Output) -> Reading | Failure:
    """What the client of a test says."""
    return _read(output, lambda document: _CLIENTS[spec.test](spec, document))


def read_server(output: Output) -> Reading | Failure:
    """What a server says when it is ended: how many it served; or why it did not start."""
    return _read(output, _server)


def _read(output: Output, read: Callable[[Mapping[str, Any]], Reading]) -> Reading | Failure:
    try:
        document = json.loads(output.stdout)
    except (ValueError, RecursionError):
        document = None
    if output.timed_out:
        return Failure("timeout", "the test did not end in time")
    if not isinstance(document, dict):
        complaint = output.stderr.strip().rpartition("\n")[2][:300]
        if complaint:
            return Failure("tool_failed", f"netmesh's program failed: {complaint}")
        return Failure("tool_output", f"netmesh's program printed no result (exit code {output.exit_code})")
    try:
        return _refusal(document) or read(document)
    except _UnreadableError as error:
        return Failure("tool_output", f"the output of netmesh's program cannot be true: {error}")


def _refusal(document: Mapping[str, Any]) -> Failure | None:
    if "error" not in document:
        return None
    error = document["error"]
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
    if not (isinstance(code, str) and isinstance(message, str) and message):
        raise _UnreadableError("its error has no code and message")
    return Failure(code if code in _CODES else "tool_failed", message[:300])


def _connects(spec: Spec, document: Mapping[str, Any]) -> Reading:
    del spec
    attempts = _number(document, "attempts", lowest=1)
    failures = document.get("failures")
    if not isinstance(failures, dict):
        raise _UnreadableError("it has no 'failures'")
    kinds = {f"failures_{kind}": _number(failures, kind, lowest=1) for kind in failures}
    times = _summary(document, "connect_seconds")
    if times.count + sum(kinds.values()) != attempts:
        raise _UnreadableError("connections and failures are not as many as the attempts")
    reported = {
        "attempted_connections": attempts,
        "failed_connections": sum(kinds.values()),
        "late_starts": _number(document, "late_starts", highest=attempts),
        **kinds,
    }
    if document.get("handshake_round_trip_seconds") is not None:
        reported["handshake_round_trip_seconds"] = _number(document, "handshake_round_trip_seconds")
    return Reading(
        values={"connect_seconds": times},
        reported=reported,
        histograms={"connect_seconds": _histogram(document)},
        raw=_raw(document),
    )


def _transactions(spec: Spec, document: Mapping[str, Any]) -> Reading:
    times = _summary(document, "round_trip_seconds")
    rate = _number(document, "transactions_per_second")
    if _number(document, "transactions") != times.count:
        raise _UnreadableError("round trips are not as many as the transactions")
    # One at a time: more than 1 / mean is impossible, but for the rounding of the figures.
    if not 0 < rate * times.mean <= 1.001:
        raise _UnreadableError(f"{rate:g} transactions a second of {times.mean:g} s each")
    if times.count / rate < 0.5 * spec.duration_seconds:
        raise _UnreadableError(f"the test ran {times.count / rate:g} s, not {spec.duration_seconds} s")
    return Reading(
        values={"transactions_per_second": Summary(rate), "round_trip_seconds": times},
        histograms={"round_trip_seconds": _histogram(document)},
        raw=_raw(document),
    )


def _path_mtu(spec: Spec, document: Mapping[str, Any]) -> Reading:
    smallest = 28 if spec.family == 4 else 48
    there, back = (
        _number(document, name, lowest=smallest, highest=_LARGEST_PACKET) for name in ("mtu_bytes", "reverse_mtu_bytes")
    )
    return Reading(
        values={"mtu_bytes": Summary(there), "black_hole": Summary(_truth(document, "black_hole"))},
        reported={"reverse_mtu_bytes": back, "reverse_black_hole": _truth(document, "reverse_black_hole")},
        raw=_raw(document),
    )


_CLIENTS: Mapping[str, Callable[[Spec, Mapping[str, Any]], Reading]] = {
    "tcp-connect": _connects,
    "tcp-request-response": _transactions,
    "tcp-connect-request-response": _transactions,
    "path-mtu": _path_mtu,
}


def _server(document: Mapping[str, Any]) -> Reading:
    names = ("accepted_connections", "transactions", "answered_packets")
    reported = {f"server_{name}": _number(document, name) for name in names if name in document}
    if not reported:
        raise _UnreadableError("it counts nothing")
    return Reading(reported=reported, raw=_raw(document))


def _raw(document: Mapping[str, Any]) -> str:
    return json.dumps({name: part for name, part in document.items() if name != "histogram"}, separators=(",", ":"))


def _summary(document: Mapping[str, Any], name: str) -> Summary:
    part = document.get(name)
    if not isinstance(part, dict):
        raise _UnreadableError(f"it has no '{name}'")
    count = part.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MOST:
        raise _UnreadableError(f"'{name}' counts nothing")
    figures = {field: _number(part, field) for field in _FIELDS if part.get(field) is not None}
    if "mean" not in figures:
        raise _UnreadableError(f"'{name}' has no mean")
    ascending = [figures[field] for field in _ASCENDING if field in figures]
    if ascending != sorted(ascending) or (ascending and not ascending[0] <= figures["mean"] <= ascending[-1]):
        raise _UnreadableError(f"the percentiles of '{name}' are out of order")
    if ("p99" in figures and count < 100) or ("p999" in figures and count < 1000):
        raise _UnreadableError(f"'{name}' has percentiles that {count} samples cannot show")
    return Summary(**figures, count=count)


def _histogram(document: Mapping[str, Any]) -> str:
    text = document.get("histogram")
    try:
        encoded = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        encoded = b""
    if not encoded.startswith(_COMPRESSED_V2):
        raise _UnreadableError("it has no histogram")
    return str(text)


def _truth(document: Mapping[str, Any], name: str) -> float:
    value = document.get(name)
    if not isinstance(value, bool):
        raise _UnreadableError(f"it does not say '{name}'")
    return float(value)


def _number(part: Mapping[str, Any], name: str, *, lowest: float = 0, highest: float = _MOST) -> float:
    value = part.get(name)
    # A whole number may be too large for a float; NaN is not between the two.
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise _UnreadableError(f"it has no '{name}' that could be")
    return float(value)
