"""What iperf3's JSON says, of any version from 3.12 on.

The exit code is not looked at: with `-J` 3.12 exits 0 on most failures, 3.14 and later do not, and 3.19 exits 0 when
a signal ends it. A test is good where the document parses, has no `error` and some bytes arrived.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary

# The program's own words, what they mean for the test, and a reason code; the first that matches tells.
_ERRORS: tuple[tuple[str, str, str], ...] = (
    (r"server is busy", "busy", "the server is running another test"),
    (r"Address already in use", "busy", "another program holds the port"),
    (r"Connection refused", "refused", "nothing listens at the server's port, or a firewall refuses"),
    (r"No route to host|unreachable", "unreachable", "there is no way to the server"),
    (r"connect to server.*temporarily unavailable", "unreachable", "the server's name does not resolve"),
    (
        r"read from stream socket.*temporarily unavailable",
        "timeout",
        "UDP is blocked, or the first packet or its answer was lost",
    ),
    (r"timed out|idle timeout", "timeout", "the other side did not answer in time"),
    (r"TCP_CONGESTION", "not_supported", "the node does not have, or does not allow, this congestion control"),
    (r"socket buffer size", "not_supported", "the node does not allow such a socket buffer"),
    (r"TCP(/SCTP)? MSS|TCP_MAXSEG", "not_supported", "the node does not allow this segment size"),
    (r"not supported", "not_supported", "the node's kernel does not support it"),
    (r"Message too long", "not_supported", "the message is larger than the path allows"),
    (r"receive parameters from client", "tool_failed", "a connection that was no test used the server up"),
    (r"server has terminated|control socket has closed", "tool_failed", "the other side ended in mid-test"),
    (r"client has terminated", "tool_failed", "the client was ended before its test was over"),
)


# No count and no rate of a test comes near it.
_MOST = 1e18


class _Side(Protocol):
    def __call__(self, spec: Spec, document: Mapping[str, Any], *, udp: bool) -> Reading: ...


class _UnreadableError(ValueError):
    """The document lacks something, or says something that cannot be; the text names it."""


def read_client(spec: Spec, output: Output, protocol: str) -> Reading | Failure:
    """The client's totals: what arrived by the receiver's count, what was sent, and TCP's own view of the path.

    Intervals are those of the sending side only. Loss is counted from the bytes that arrived, since a client of 3.13
    to 3.20 shows none where its server is older. A test with omitted seconds has its loss from the server alone: the
    client of 3.12 adds what was lost in them, and takes off its own count of packets at their end, not the receiver's.
    """
    return _read(spec, output, protocol, "connecting_to", _client)


def read_server(spec: Spec, output: Output, protocol: str) -> Reading | Failure:
    """The server's intervals as received, the packets that came out of order, and the loss of a test that omits.

    The loss of intervals is left out where one cannot say it: no packet came, or a late one was charged to the
    interval before. All other totals belong to the client.
    """
    return _read(spec, output, protocol, "accepted_connection", _server)


def _read(spec: Spec, output: Output, protocol: str, mark: str, read: _Side) -> Reading | Failure:
    document = _document(output)
    if isinstance(document, Failure):
        return document
    try:
        return _refusal(spec, document, output, protocol, mark) or read(spec, document, udp=protocol == "UDP")
    except (_UnreadableError, OverflowError) as error:
        return Failure("tool_output", f"iperf3's output cannot be true: {error}")


def _refusal(spec: Spec, document: Mapping[str, Any], output: Output, protocol: str, mark: str) -> Failure | None:
    said = document.get("error")
    if said is not None:
        return _failure(str(said), document, output, protocol)
    start = _part(document, "start")
    _part(start, mark)  # tells a client's document from a server's
    ran = _part(start, "test_start").get("protocol")
    if ran != protocol:
        return Failure("tool_output", f"iperf3 ran {ran!s:.20}, not {protocol}")
    received = _part(_part(document, "end"), "sum_received")
    if _number(received, "bytes") == 0:
        # A UDP flood of which nothing came through; TCP would have said that it was cut off.
        code = "loss" if protocol == "UDP" else "tool_output"
        return Failure(code, "iperf3 ran to its end, and nothing that it sent arrived")
    ran_seconds = _number(received, "seconds")
    if ran_seconds < spec.duration_seconds / 2:
        return Failure("tool_output", f"iperf3 ran {ran_seconds:g} s, not {spec.duration_seconds} s")
    return None


def _document(output: Output) -> dict[str, Any] | Failure:
    # Warnings, and a line about the MSS with -V, can stand before the document.
    start = output.stdout.find("{")
    try:
        document = json.loads(output.stdout[start:], parse_constant=_refuse_constant) if start >= 0 else None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return document
    if output.timed_out:
        return Failure("timeout", "iperf3 did not end in time and left no result")
    complaint = re.search(r"^iperf3: (.*(?:error|unrecognized|invalid|requires).*)$", output.stderr, re.MULTILINE)
    if complaint:
        return Failure("tool_failed", f"iperf3 did not start the test: {complaint[1]}")
    what = "no JSON document" if output.stdout.strip() else "nothing"
    return Failure("tool_output", f"iperf3 printed {what} (exit code {output.exit_code})")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _failure(said: str, document: Mapping[str, Any], output: Output, protocol: str) -> Failure:
    said = " ".join(said.split())[:300]
    if output.timed_out:
        # The cookie is there once the control connection is; then UDP sends one packet and waits for one, for 30 s.
        connected = "cookie" in _part(document, "start")
        if protocol == "UDP" and connected and not document.get("intervals"):
            meaning = "UDP is blocked, or the first packet or its answer was lost"
        else:
            meaning = "the path or the other side stopped answering"
        return Failure("timeout", f"iperf3 did not end in time: {meaning} (iperf3: {said})")
    for pattern, code, meaning in _ERRORS:
        if re.search(pattern, said):
            return Failure(code, f"{meaning} (iperf3: {said})")
    return Failure("tool_failed", f"iperf3 failed: {said}")


def _client(spec: Spec, document: Mapping[str, Any], *, udp: bool) -> Reading:
    end = document["end"]
    received, sent = _part(end, "sum_received"), _part(end, "sum_sent")
    values = {"bits_per_second": _one(_number(received, "bits_per_second"))}
    reported: dict[str, float] = {}
    intervals = _intervals(spec, document)
    series: dict[str, Sequence[float]] = {}
    if udp:
        values |= _udp_values(spec, document, received)
        values["sent_bits_per_second"] = _one(_number(sent, "bits_per_second"))
        if all("packets" in interval["sum"] and "jitter_ms" not in interval["sum"] for interval in intervals):
            series["sent_bits_per_second"] = [_number(interval["sum"], "bits_per_second") for interval in intervals]
    else:
        if "retransmits" in sent:
            values["retransmits"] = _one(_number(sent, "retransmits"))
        reported["sent_bits_per_second"] = _number(sent, "bits_per_second")
        if all("retransmits" in interval["sum"] for interval in intervals):
            series["retransmits"] = [_number(interval["sum"], "retransmits") for interval in intervals]
        round_trips = [_round_trips(interval) for interval in intervals]
        if all(round_trips):
            series["round_trip_seconds"] = [sum(each) / len(each) for each in round_trips]
        samples = [sample for each in round_trips for sample in each]
        if samples:
            values["round_trip_seconds"] = Summary(
                sum(samples) / len(samples), min=min(samples), max=max(samples), count=len(samples)
            )
    usage = end.get("cpu_utilization_percent")
    if isinstance(usage, dict):
        # Each process's own user and system time over the time elapsed; 100 is one core.
        reported["client_cpu_cores"] = _number(usage, "host_total") / 100
        reported["server_cpu_cores"] = _number(usage, "remote_total") / 100
    algorithm = end.get("sender_tcp_congestion")
    return Reading(
        values=values,
        intervals={name: values for name, values in series.items() if values},
        congestion_control=algorithm if isinstance(algorithm, str) and algorithm else None,
        reported=reported,
        raw=_raw(document),
    )


def _udp_values(spec: Spec, document: Mapping[str, Any], received: Mapping[str, Any]) -> dict[str, Summary]:
    arrived = _arrived(spec, document, received)
    values = {
        "packets_per_second": _one(arrived / _number(received, "seconds")),
        "jitter_seconds": _one(_number(received, "jitter_ms") / 1000),
    }
    if not spec.omit_seconds:
        packets = _number(received, "packets")
        _check_loss(_number(received, "lost_packets", lowest=-_MOST), packets)
        values["loss_ratio"] = _loss(packets - arrived, packets)
    return values


def _arrived(spec: Spec, document: Mapping[str, Any], received: Mapping[str, Any]) -> float:
    """Packets that arrived in the measured seconds: every datagram of a test has the same size."""
    size = _part(_part(document, "start"), "test_start").get("blksize")
    if isinstance(size, int) and size > 0 and _number(received, "bytes") % size == 0:
        return _number(received, "bytes") / size
    if spec.omit_seconds:
        raise _UnreadableError("its datagrams differ in size, and those of the omitted seconds cannot be told apart")
    return _number(received, "packets") - _number(received, "lost_packets")


def _loss(lost: float, packets: float) -> Summary:
    _check_loss(lost, packets)
    return _one(lost / packets)


def _check_loss(lost: float, packets: float) -> None:
    if packets <= 0 or not 0 <= lost <= packets:
        raise _UnreadableError(f"{lost:.0f} packets lost of {packets:.0f}")


def _server(spec: Spec, document: Mapping[str, Any], *, udp: bool) -> Reading:
    values: dict[str, Summary] = {}
    sums = [interval["sum"] for interval in _intervals(spec, document)]
    if any(each.get("sender") for each in sums):
        raise _UnreadableError("the server sent, and was to receive")
    series: dict[str, Sequence[float]] = {"bits_per_second": [_number(each, "bits_per_second") for each in sums]}
    if udp:
        # Only the receiver counts these; the client says 0 even where packets did come out of order.
        streams = [_part(stream, "udp") for stream in _list(document["end"], "streams")]
        if streams:
            values["out_of_order_packets"] = _one(sum(_number(stream, "out_of_order") for stream in streams))
        if spec.omit_seconds:
            received = _part(document["end"], "sum_received")
            lost_packets = _number(received, "lost_packets", lowest=-_MOST)
            values["loss_ratio"] = _loss(lost_packets, _number(received, "packets"))
        series["jitter_seconds"] = [_number(each, "jitter_ms") / 1000 for each in sums]
        packets = [_number(each, "packets") for each in sums]
        lost = [_number(each, "lost_packets", lowest=-_MOST) for each in sums]
        if all(of > 0 and 0 <= missing <= of for missing, of in zip(lost, packets, strict=True)):
            series["loss_ratio"] = [missing / of for missing, of in zip(lost, packets, strict=True)]
    return Reading(
        values=values,
        intervals={name: values for name, values in series.items() if values},
        raw=_raw(document),
    )


def _intervals(spec: Spec, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The measured intervals: none of the warm-up, none that it reached into, and no stub at the end."""
    nominal = min(spec.interval_seconds, spec.duration_seconds)
    measured = []
    for interval in _list(document, "intervals"):
        total = _part(interval, "sum")
        seconds = _number(total, "seconds")
        # The clock restarts when the warm-up ends. An interval that began before counts its bytes from there, but
        # its seconds and UDP packets from its own beginning: its rate and loss are wrong.
        began = _number(total, "end") - seconds
        if not total.get("omitted") and seconds >= nominal / 2 and began > -nominal / 20:
            measured.append(interval)
    return measured


def _round_trips(interval: Mapping[str, Any]) -> list[float]:
    """TCP's smoothed round trip at the interval's end, in seconds, of each stream that this side sends.

    Empty where one is missing: 0 stands for unknown.
    """
    found = [_number(stream, "rtt") / 1e6 for stream in _list(interval, "streams") if "rtt" in stream]
    return found if all(found) else []


def _raw(document: Mapping[str, Any]) -> str:
    start = _part(document, "start")
    return json.dumps({"version": start.get("version"), "end": document["end"]}, separators=(",", ":"))


def _one(value: float) -> Summary:
    return Summary(value)


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(part, dict):
        raise _UnreadableError(f"it has no '{name}'")
    return part


def _list(whole: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = whole.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _UnreadableError(f"it has no list '{name}'")
    return found


def _number(part: Mapping[str, Any], name: str, *, lowest: float = 0) -> float:
    value = part.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnreadableError(f"it has no number '{name}'")
    number = float(value)
    # `not` refuses NaN as well. 3.12 prints counts below 0 as such of almost 2^64.
    if not lowest <= number <= _MOST:
        raise _UnreadableError(f"'{name}' is {number:g}")
    return number
