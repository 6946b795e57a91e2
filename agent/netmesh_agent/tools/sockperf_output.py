"""What sockperf prints: a summary on stdout, coloured even in a pipe, and the log of all observations on stderr.

It exits 0 whatever happens, so that only what it prints tells. It looks at the messages sent from 400 ms after the
first one to 50 ms before the last one; both the summary and the log are of these alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from netmesh_agent.probes.samples import HIGHEST_NANOSECONDS, Samples
from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary

WARM_UP_SECONDS = 0.4
COOL_DOWN_SECONDS = 0.05

# By this much may the measured time be shorter than it should: a busy node starts late and stops early.
_LATE_SECONDS = 0.2
_LATE_SHARE = 0.1
# So many messages in a row without a reply are no random loss.
_SILENT_MESSAGES = 20
# Printed with three decimals of a microsecond.
_ROUNDING_SECONDS = 0.01e-6

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = re.compile(r"ERROR: (.+?)(?:\nsockperf:|\Z)", re.DOTALL)
_USAGE = re.compile(r"^sockperf: ('-.+|Invalid .+)$", re.MULTILINE)
_SUMMARY = re.compile(r"^sockperf: Summary: (Latency|Round trip) is (\d{1,12}\.\d{3}) usec$", re.MULTILINE)
_VALID = re.compile(
    r"^sockperf: \[Valid Duration\] RunTime=(\d{1,8}\.\d{3}) sec; SentMessages=(\d{1,9}); ReceivedMessages=(\d{1,9})$",
    re.MULTILINE,
)
_AVERAGE = re.compile(
    r"^sockperf: ====> avg-(latency|rtt)=(\d{1,12}\.\d{3}) \(std-dev=(\d{1,12}\.\d{3})\b", re.MULTILINE
)
_COUNTS = re.compile(
    r"^sockperf: # dropped messages = (\d{1,9}); # duplicated messages = (\d{1,9}); "
    r"# out-of-order messages = (\d{1,9})$",
    re.MULTILINE,
)
_FIGURE = re.compile(r"^sockperf: ---> (<MAX> observation|<MIN> observation|percentile +\S+) = +(\d{1,12}\.\d{3})$")
_HEADING = re.compile(r"^packet, txTime\(sec\), rxTime\(sec\), (latency|rtt)\(usec\)$", re.MULTILINE)
_ROW = re.compile(r"(\d{1,9}), (\d{1,8})\.(\d{9}), (\d{1,8})\.(\d{9}), (\d{1,12}\.\d{3})")
_END = "-" * 30

# How many times the printed figure the whole round trip is.
_TIMES = {"latency": 2, "Latency": 2, "rtt": 1, "Round trip": 1}
# What the program calls its figures, and their names here.
_FIGURES = {
    "<MIN> observation": "min",
    "percentile 25.000": "p25",
    "percentile 50.000": "p50",
    "percentile 75.000": "p75",
    "percentile 90.000": "p90",
    "percentile 99.000": "p99",
    "percentile 99.900": "p999",
    "<MAX> observation": "max",
}

# The program's own words, a reason code, what they mean; the first that matches tells.
_ERRORS: tuple[tuple[str, str, str], ...] = (
    (r"Address already in use", "busy", "another program holds the port"),
    (r"Connection refused", "refused", "nothing listens at the server's port, or a firewall refuses"),
    (r"Connection timed out", "timeout", "the server did not answer in time"),
    (r"No route to host|Network is unreachable", "unreachable", "there is no way to the server"),
    (r"forcibly closed|Connection reset", "tool_failed", "the server ended in mid-test"),
    (r"Message too long", "not_supported", "the path does not carry messages of this size"),
    (r"Invalid address", "not_supported", "sockperf speaks IPv4 only"),
)

_NO_REPLY = {
    "tcp": Failure("busy", "the server took sockperf's connection and answered nothing: it serves another client"),
    "udp": Failure("unreachable", "no reply came to sockperf: nothing listens there, or UDP is blocked on the way"),
}


@dataclass(frozen=True, slots=True)
class Observation:
    """One message and its reply, on the client's clock, in nanoseconds."""

    sent: int
    received: int

    @property
    def round_trip(self) -> int:
        """From the message to its reply."""
        return self.received - self.sent


@dataclass(frozen=True, slots=True)
class Totals:
    """What the summary says of the measured time. `average` and `deviation` are printed figures, in seconds."""

    seconds: float
    sent: int
    received: int
    dropped: int
    duplicated: int
    out_of_order: int
    average: float
    deviation: float
    times: int


def read_client(spec: Spec, output: Output, protocol: str, rate: int) -> Reading | Failure:
    """What the test truly saw.

    `round_trip_seconds` is the time from each message to its reply, by the two stamps in the log: whole, not the half
    that is printed, which `reported` holds as `half_round_trip_seconds`. `jitter_seconds` is the mean absolute
    difference of the round trips of consecutive messages that were answered. `messages_per_second` counts the
    answered ones, by the times at which they were sent. `loss_ratio` is given over UDP; see `_loss_ratio`.
    """
    text = _COLOUR.sub("", output.stdout)
    failure = _failure(text, output, protocol)
    if failure is not None:
        return failure
    totals = _totals(text)
    observations = _observations(output.stderr, totals.times) if totals is not None else None
    if totals is None or observations is None:
        return _wrong("its summary, or the log of the observations behind it, is not whole")
    failure = _contradiction(totals, observations) or _cut_short(spec, totals, observations, rate)
    if failure is not None:
        return failure
    samples = Samples()
    samples.fresh.extend(one.round_trip for one in observations)
    figures: dict[str, Any] = samples.summary()
    return Reading(
        values={"round_trip_seconds": Summary(**figures), **_other_values(totals, observations, protocol)},
        reported=_reported(text, totals),
        histograms={"round_trip_seconds": samples.histogram()},
        raw=text,
    )


def read_server(output: Output) -> Reading | Failure:
    """An empty reading, or why the server did not start."""
    return _error(_COLOUR.sub("", output.stdout)) or Reading()


def _failure(text: str, output: Output, protocol: str) -> Failure | None:
    if output.timed_out:
        return Failure("timeout", "sockperf did not end in time: the path or the server was lost, or is blocked")
    failure = _error(text)
    if failure is None and "No messages were received" in text:
        failure = _NO_REPLY[protocol]
    elif failure is None and "No valid observations found" in text:
        failure = Failure("loss", "sockperf got no reply to any message that it sent after its warm-up")
    elif failure is None and "Summary: " not in text:
        failure = Failure("tool_failed", "sockperf ended before it had a result")
    return failure


def _error(text: str) -> Failure | None:
    found = _ERROR.search(text) or _USAGE.search(text)
    if found is None:
        return None
    said = " ".join(found[1].split())[:300]
    for pattern, code, meaning in _ERRORS:
        if re.search(pattern, said):
            return Failure(code, f"{meaning} (sockperf: {said})")
    return Failure("tool_failed", f"sockperf failed: {said}")


def _wrong(why: str) -> Failure:
    return Failure("tool_output", f"sockperf's output is not read: {why}")


def _totals(text: str) -> Totals | None:
    summaries = list(_SUMMARY.finditer(text))
    found = [list(pattern.finditer(text)) for pattern in (_VALID, _AVERAGE, _COUNTS)]
    if len(summaries) != 1 or any(len(each) != 1 for each in found):
        return None
    valid, average, counts = (each[0] for each in found)
    times = _TIMES[average[1]]
    if _TIMES[summaries[0][1]] != times or summaries[0][2] != average[2]:
        return None
    return Totals(
        seconds=float(valid[1]),
        sent=int(valid[2]),
        received=int(valid[3]),
        dropped=int(counts[1]),
        duplicated=int(counts[2]),
        out_of_order=int(counts[3]),
        average=float(average[2]) / 1e6,
        deviation=float(average[3]) / 1e6,
        times=times,
    )


def _observations(log: str, times: int) -> list[Observation] | None:
    """All rows of the log, or None where one is missing or cannot be true."""
    headings = list(_HEADING.finditer(log))
    if len(headings) != 1 or _TIMES[headings[0][1]] != times:
        return None
    lines = log[headings[0].end() + 1 :].split("\n")
    if _END not in lines:
        return None
    observations: list[Observation] = []
    for number, line in enumerate(lines[: lines.index(_END)]):
        row = _ROW.fullmatch(line)
        if row is None or int(row[1]) != number:
            return None
        one = Observation(int(row[2] + row[3]), int(row[4] + row[5]))
        earlier = observations[-1] if observations else one
        in_order = earlier.sent <= one.sent < one.received and earlier.received <= one.received
        printed = float(row[6]) / 1e6
        if not in_order or abs(one.round_trip / 1e9 / times - printed) > _ROUNDING_SECONDS:
            return None
        observations.append(one)
    return observations


def _contradiction(totals: Totals, observations: Sequence[Observation]) -> Failure | None:
    if not observations or len(observations) != totals.received:
        return _wrong(f"it counts {totals.received} replies, and its log holds {len(observations)}")
    answered = totals.received + totals.out_of_order
    if not totals.received <= totals.sent <= answered + totals.dropped:
        return _wrong(f"{totals.received} replies and {totals.dropped} dropped are not {totals.sent} messages")
    if max(one.round_trip for one in observations) > HIGHEST_NANOSECONDS:
        return _wrong("a round trip is longer than any test")
    mean = sum(one.round_trip for one in observations) / len(observations) / 1e9
    if abs(mean - totals.average * totals.times) > _ROUNDING_SECONDS * totals.times:
        return _wrong(f"its average is {totals.average * totals.times * 1e6:.3f} µs, that of its log {mean * 1e6:.3f}")
    if _span_seconds(observations) > totals.seconds + 0.001:
        return _wrong("its log spans more than the time that it measured")
    return None


def _cut_short(spec: Spec, totals: Totals, observations: Sequence[Observation], rate: int) -> Failure | None:
    planned = spec.duration_seconds - WARM_UP_SECONDS - COOL_DOWN_SECONDS
    # It counts from message to message: up to one period is missing at either end.
    if totals.seconds < planned * (1 - _LATE_SHARE) - _LATE_SECONDS - 2 / rate:
        # It was held up as it began, and a second try may be better.
        return Failure("tool_failed", f"sockperf measured {totals.seconds:.3f} s of the {planned:.2f} s that it should")
    if totals.seconds > spec.duration_seconds + _LATE_SECONDS:
        return _wrong(f"it measured {totals.seconds:.3f} s in a test of {spec.duration_seconds} s")
    silent = totals.seconds - _span_seconds(observations)
    if silent > max(totals.seconds * _LATE_SHARE + _LATE_SECONDS, _SILENT_MESSAGES / rate):
        return Failure(
            "timeout", f"the path or the server was lost in mid-test: no reply came to sockperf for {silent:.3f} s"
        )
    return None


def _span_seconds(observations: Sequence[Observation]) -> float:
    return (observations[-1].received - observations[0].sent) / 1e9


def _other_values(totals: Totals, observations: Sequence[Observation], protocol: str) -> dict[str, Summary]:
    if len(observations) < 2:
        return {}
    pairs = len(observations) - 1
    # The |D| of RFC 3550, section 6.4.1, of round trips, averaged over all pairs: the RFC's own J is a running mean
    # that remembers the last few dozen packets only.
    differences = sum(abs(later.round_trip - earlier.round_trip) for earlier, later in pairwise(observations))
    values = {"jitter_seconds": Summary(differences / pairs / 1e9)}
    sending = (observations[-1].sent - observations[0].sent) / 1e9
    if sending > 0:
        values["messages_per_second"] = Summary(pairs / sending)
    loss = _loss_ratio(totals) if protocol == "udp" else None
    if loss is not None:
        values["loss_ratio"] = Summary(loss)
    return values


def _loss_ratio(totals: Totals) -> float | None:
    """The messages that were never answered, over those sent.

    The program counts a reply that is still under way when it ends as dropped: those to the last messages, where the
    round trip is above 50 ms. They are not among `sent`, which ends with the last message that was answered, or with
    one dropped that was sent after the last reply came. A late reply that another overtook is not among `received`;
    where there are such, and replies under way too, the loss is not known: None.

    TCP has none: it sends again what was lost, and what is left unanswered at the end is under way.
    """
    under_way = totals.received + totals.out_of_order + totals.dropped - totals.sent
    if under_way and totals.out_of_order:
        return None
    return (totals.dropped - under_way) / totals.sent


def _reported(text: str, totals: Totals) -> dict[str, float]:
    """The program's own figures; round trips are whole, but for the one that is named half."""
    printed = {}
    for line in text.splitlines():
        found = _FIGURE.match(line)
        if found is not None:
            name = _FIGURES.get(" ".join(found[1].split()))
            if name is not None:
                printed[f"{name}_round_trip_seconds"] = float(found[2]) / 1e6 * totals.times
    return {
        "half_round_trip_seconds": totals.average * totals.times / 2,
        "mean_round_trip_seconds": totals.average * totals.times,
        "stdev_round_trip_seconds": totals.deviation * totals.times,
        **printed,
        "measured_seconds": totals.seconds,
        "sent_messages": totals.sent,
        "received_messages": totals.received,
        "dropped_messages": totals.dropped,
        "duplicated_messages": totals.duplicated,
        "out_of_order_messages": totals.out_of_order,
    }
