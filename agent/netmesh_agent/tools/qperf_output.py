"""What qperf prints: one block a test, `name = value unit` lines under its heading.

Units are read from the line. A line whose value is 0 is left out, but for the main result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from netmesh_agent.tools.base import Failure, Output, Reading, Spec, Summary

TESTS = {
    "tcp-bandwidth": "tcp_bw",
    "udp-bandwidth": "udp_bw",
    "tcp-latency": "tcp_lat",
    "udp-latency": "udp_lat",
    "sctp-bandwidth": "sctp_bw",
    "sctp-latency": "sctp_lat",
}

# No figure of a test comes near it.
_MOST = 1e18

_HEADING = re.compile(r"^([a-z]+_[a-z_]+|conf|quit):$")
_LINE = re.compile(r"^    (\w+)\s+=\s+(\S+)(?: (\S.*?))?(?: \((.*)\))?\s*$")

_DECIMAL = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_LETTER = {"bytes": "", "KB": "K", "MB": "M", "GB": "G", "TB": "T"}
# Factors to SI base units, by the unit as printed.
_UNITS: dict[str, tuple[str, float]] = {
    "": ("count", 1.0),
    "% cpus": ("cores", 0.01),
    **{f"{name}/sec": ("bits_per_second", 8 * _DECIMAL[letter]) for name, letter in _LETTER.items()},
    **{name: ("bytes", _DECIMAL[letter]) for name, letter in _LETTER.items()},
    **{name: ("bytes", 1024.0**power) for power, name in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
    "bits/sec": ("bits_per_second", 1.0),
    **{f"{letter}b/sec": ("bits_per_second", _DECIMAL[letter]) for letter in "KMGT"},
    **{f"{letter}/sec": ("per_second", factor) for letter, factor in _DECIMAL.items()},
    **{
        name: ("count", factor)
        for name, factor in {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}.items()
    },
    **{
        form: (kind, factor)
        for name, factor in {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "sec": 1.0}.items()
        for form, kind in ((name, "seconds"), (f"{name}/GB", "seconds_per_gigabyte"))
    },
}

# The program's own words, a reason code, what they mean; the first that matches tells.
_ERRORS: tuple[tuple[str, str, str], ...] = (
    (r"upgrade qperf on (client|server)", "version_mismatch", "the two ends run versions that do not fit"),
    (r"failed to connect", "unreachable", "no server answered: nothing listens there, or there is no way to it"),
    (r"getaddrinfo failed", "unreachable", "the server's name does not resolve"),
    (r"failed to receive port: timed out", "busy", "the server is serving another client, or is wedged"),
    (r"server not responding", "tool_failed", "the server ended in mid-test"),
    (r"timed out", "timeout", "the other side did not answer in time"),
    (r"unable to bind to listen port", "busy", "another program holds the control port"),
    (r"unable to make (TCP|UDP) socket", "busy", "another program holds the data port at the server"),
    (
        r"unable to make \w+ socket|not supported|InfiniBand",
        "not_supported",
        "the node's kernel or hardware does not support it",
    ),
)

# A UDP latency this many times TCP's on the same path is a datagram lost, not the network: idle states of the CPU
# move either by a factor of 4 at most, and the test stands still from the first loss to its end.
_MOST_ABOVE_TCP = 5.0


@dataclass(frozen=True, slots=True)
class Block:
    """One test's results: by name, each as (kind of unit, value in the SI base unit of that kind)."""

    test: str
    values: Mapping[str, tuple[str, float]]

    def get(self, name: str, kind: str) -> float | None:
        """The value, or None where its line is missing or its unit is of another kind."""
        found = self.values.get(name)
        return found[1] if found is not None and found[0] == kind else None


def read_blocks(text: str) -> list[Block]:
    """All results in `text`, in their order. Lines that are no result (warnings, errors), and values that are no
    number of a known unit, are passed over. Rates of bytes come as bits per second.
    """
    blocks: list[tuple[str, dict[str, tuple[str, float]]]] = []
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            blocks.append((heading[1], {}))
            continue
        result = _LINE.match(line)
        if result and blocks:
            value = _value(result[2], (result[3] or "").strip())
            if value is not None:
                blocks[-1][1][result[1]] = value
    return [Block(test, values) for test, values in blocks]


def _value(number: str, unit: str) -> tuple[str, float] | None:
    if unit not in _UNITS or not re.fullmatch(r"[0-9][0-9,]*(\.[0-9]+)?", number, re.ASCII):
        return None
    kind, factor = _UNITS[unit]
    value = float(number.replace(",", "")) * factor
    return (kind, value) if value <= _MOST else None


def read_client(spec: Spec, output: Output) -> Reading | Failure:
    """What the test truly saw.

    `round_trip_seconds` is twice the printed latency, which is half the round trip; `raw` keeps what was printed.
    `messages_per_second` counts both ways. A UDP test that lost one datagram stands still until its end, with exit
    code 0 and counts like a healthy one's: its latency is taken only beside TCP's of the same command (`loss` where
    it stands out, or none is there).

    A TCP test whose path was lost half-way prints half the rate with exit code 0, and its counts differ by what the
    socket buffers hold, as a healthy one's do: this output alone cannot tell them apart.
    """
    blocks = read_blocks(output.stdout)
    wanted = TESTS[spec.test]
    failure = _failure(output)
    if failure is not None:
        return failure
    results = [block for block in blocks if block.test == wanted and block.values]
    if len(results) != 1:
        return Failure(
            "tool_output", f"qperf printed {len(results) or 'no'} results of {wanted}, where one was asked for"
        )
    block = results[0]
    if wanted == "udp_lat":
        failure = _udp_stood_still(block, blocks)
        if failure is not None:
            return failure
    values = _bandwidth(block) if wanted.endswith("_bw") else _latency(block)
    if isinstance(values, Failure):
        return values
    return Reading(values=values, reported=_reported(block), raw=output.stdout)


def read_server(output: Output) -> Reading | Failure:
    """An empty reading, or why the server did not start."""
    said = output.stdout.strip() or output.stderr.strip()
    return _meaning(said) if said else Reading()


def _failure(output: Output) -> Failure | None:
    if output.timed_out:
        return Failure(
            "timeout", "qperf did not end in time: its data port is blocked, or the path or the server was lost"
        )
    if output.exit_code == 0:
        return None
    said = [line for line in output.stderr.splitlines() if line.strip()]
    said += [line for line in output.stdout.splitlines() if line.strip() and not _HEADING.match(line)]
    complaints = [line for line in said if not _LINE.match(line) and not line.startswith("warning:")]
    return _meaning(" ".join(complaints[-1].split())[:300] if complaints else "")


def _meaning(said: str) -> Failure:
    if said in {"", "server:"}:
        return Failure("tool_failed", "qperf failed, and the server's reason was lost on the way")
    for pattern, code, meaning in _ERRORS:
        if re.search(pattern, said):
            return Failure(code, f"{meaning} (qperf: {said})")
    return Failure("tool_failed", f"qperf failed: {said}")


def _udp_stood_still(udp: Block, blocks: list[Block]) -> Failure | None:
    latency = udp.get("latency", "seconds")
    tcp = next((block.get("latency", "seconds") for block in reversed(blocks) if block.test == "tcp_lat"), None)
    if latency == 0:
        return Failure("loss", "no UDP message came back to qperf")
    if tcp is None or latency is None or tcp == 0:
        return Failure(
            "loss", "qperf's UDP latency has no TCP latency beside it, so that a lost datagram would not show"
        )
    if latency > _MOST_ABOVE_TCP * tcp:
        return Failure(
            "loss",
            f"qperf waited for a datagram that did not come: it prints a UDP latency of {latency * 1e6:.0f} µs beside "
            f"TCP's {tcp * 1e6:.0f} µs; one was lost, or answers come from another address than was asked",
        )
    return None


def _latency(block: Block) -> dict[str, Summary] | Failure:
    latency = block.get("latency", "seconds")
    if not latency:
        return Failure("tool_output", "qperf printed no latency: no message came back")
    values = {"round_trip_seconds": Summary(2 * latency)}
    rate = block.get("msg_rate", "per_second")
    if rate:
        values["messages_per_second"] = Summary(rate)
    return values


def _bandwidth(block: Block) -> dict[str, Summary] | Failure:
    udp = block.test == "udp_bw"
    received = block.get("recv_bw" if udp else "bw", "bits_per_second")
    sent_messages, received_messages = block.get("send_msgs", "count"), block.get("recv_msgs", "count")
    if received is None:
        return Failure("tool_output", "qperf printed no rate that arrived")
    if received == 0:
        return Failure("loss" if udp else "tool_output", "qperf says that nothing arrived")
    if not sent_messages or not received_messages:
        return Failure("tool_output", "qperf printed a rate without the messages of both ends: it cannot be checked")
    values = {"bits_per_second": Summary(received)}
    if not udp:
        return values
    if received_messages > sent_messages:
        said = f"{received_messages:.0f} messages arrived of {sent_messages:.0f}"
        return Failure("tool_output", f"qperf's output cannot be true: {said}")
    values["loss_ratio"] = Summary((sent_messages - received_messages) / sent_messages)
    sent, rate = block.get("send_bw", "bits_per_second"), block.get("msg_rate", "per_second")
    if sent:
        values["sent_bits_per_second"] = Summary(sent)
    if rate:
        # Messages that arrived; one packet each, since they fit the path.
        values["packets_per_second"] = Summary(rate)
    return values


# CPU of the whole node, by qperf's own sampling of /proc/stat in ticks of 10 ms; other processes are in it.
_REPORTED = (
    ("send_cost", "send_cost_seconds_per_gigabyte", "seconds_per_gigabyte"),
    ("recv_cost", "receive_cost_seconds_per_gigabyte", "seconds_per_gigabyte"),
    *(
        (f"{end}_cpus_{mode}", f"{side}_cpu_{mode}_cores", "cores")
        for end, side in (("send", "source"), ("loc", "source"), ("recv", "target"), ("rem", "target"))
        for mode in ("user", "intr", "kernel", "iowait")
    ),
    ("send_cpus_used", "source_cpu_cores", "cores"),
    ("loc_cpus_used", "source_cpu_cores", "cores"),
    ("recv_cpus_used", "target_cpu_cores", "cores"),
    ("rem_cpus_used", "target_cpu_cores", "cores"),
    ("latency", "latency_seconds", "seconds"),
    ("send_msgs", "sent_messages", "count"),
    ("recv_msgs", "received_messages", "count"),
    ("loc_send_msgs", "sent_messages", "count"),
    ("loc_recv_msgs", "received_messages", "count"),
)


def _reported(block: Block) -> dict[str, float]:
    found = {name: block.get(line, kind) for line, name, kind in _REPORTED if line in block.values}
    return {name: value for name, value in found.items() if value is not None}
