"""The words of the terminal: names of values, short reason codes, and prose that keeps to the width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from netmesh_common.units import format_rate
from netmesh_controller.mesh.document import Parameters

_LABELS: dict[str, str] = {
    "bits_per_second": "received",
    "sent_bits_per_second": "sent",
    "packets_per_second": "packets",
    "messages_per_second": "messages",
    "retransmits": "retransmits",
    "out_of_order_packets": "out of order",
    "there_over_back_ratio": "there over back",
    "share_of_hosts_ratio": "share of host-to-host",
    "share_of_line_rate_ratio": "share of the line rate",
    "loss_ratio": "loss",
    "round_trip_seconds": "round trip",
    "network_round_trip_seconds": "network round trip",
    "host_seconds": "in the hosts",
    "forward_delay_seconds": "one way there",
    "return_delay_seconds": "one way back",
    "forward_loss_ratio": "loss there",
    "return_loss_ratio": "loss back",
    "duplicate_packets": "duplicates",
    "late_packets": "late",
    "jitter_seconds": "jitter",
    "connect_seconds": "connect time",
    "mtu_bytes": "path MTU",
    "available_memory_bytes": "available memory",
    "source_used_memory_bytes": "sender memory in use",
    "target_used_memory_bytes": "receiver memory in use",
    "source_cpu_seconds_per_gigabyte": "sender CPU, host",
    "target_cpu_seconds_per_gigabyte": "receiver CPU, host",
    "source_tool_cpu_seconds_per_gigabyte": "sender CPU, tool",
    "target_tool_cpu_seconds_per_gigabyte": "receiver CPU, tool",
}

# What stands in a matrix instead of a number: seven characters at most, explained below the matrix.
_SHORT: dict[str, str] = {
    "unreachable": "unreach",
    "agent_lost": "lost",
    "agent_away": "away",
    "tool_missing": "no tool",
    "tool_failed": "failed",
    "tool_output": "output",
    "not_supported": "n/s",
    "rate_not_supported": "no rate",
    "service_not_ready": "service",
    "shared_host": "shared",
    "too_small": "small",
    "pressure": "press",
    "cancelled": "cancel",
    "not_scheduled": "-",
    "not_applicable": "n/a",
    "version_mismatch": "version",
}

# Gaps by design: nobody expected a number there.
QUIET_CODES: frozenset[str] = frozenset({"not_scheduled", "not_applicable", "not_supported"})

# Reasons that a matrix gives by itself: no cell has a sentence for them.
_SENTENCES: dict[str, str] = {
    "not_supported": "the tool, or the node, does not give this value",
    "shared_host": "another test ran on the same kernel in the window, so the host's CPU is not this test's alone",
    "starved": "the process that timed it was held up by its CPU limit or its hypervisor",
    "too_small": "the cost is smaller than what can be told from the host's own noise, or from ticks of 10 ms",
    "cancelled": "this pair was not measured before the run stopped",
    "not_scheduled": "the plan left this pair out",
    "not_applicable": "the path has no such cell",
}

# Reasons that come with a cell's own sentence, in general words.
_IN_GENERAL: dict[str, str] = {
    "unreachable": "no agent answered, or no way led there",
    "refused": "the connection was refused",
    "timeout": "the test did not end, or the other side did not answer, in time",
    "agent_lost": "the agent stopped answering",
    "agent_away": "the agent was away",
    "busy": "somebody else measured there",
    "tool_missing": "the measuring program is not installed on the node",
    "tool_failed": "the measuring program failed",
    "tool_output": "what the measuring program printed could not be read",
    "rate_not_supported": "the tool cannot keep to the rate that was asked for",
    "service_not_ready": "the Service led nowhere yet",
    "starved": "the measuring process did not get the CPU it needed: its figures are not the network's",
    "pressure": "the node was too busy to be measured without harm",
    "budget": "the time was used up",
    "loss": "packets were lost where the tool cannot measure under loss",
    "version_mismatch": "the two ends run versions that do not go together",
}


def label(value: str) -> str:
    """What people call a value."""
    return _LABELS.get(value, value.replace("_", " "))


def short(code: str) -> str:
    """A reason code for the inside of a matrix."""
    return _SHORT.get(code, code)[:7]


def sentence(code: str) -> str | None:
    """What a reason means that has no cell to say it."""
    return _SENTENCES.get(code)


def in_general(code: str) -> str:
    """What a reason means, in general words; empty for a code that is not known."""
    return _SENTENCES.get(code) or _IN_GENERAL.get(code, "")


def parameters_in_words(parameters: Parameters) -> str:
    """The instrument and what differs from its plainest use."""
    words = [parameters.instrument]
    if parameters.family == 6:
        words.append(f"IPv{parameters.family}")
    if parameters.streams is not None and parameters.streams != 1:
        words.append(f"{parameters.streams} streams")
    if parameters.direction == "bidirectional":
        words.append("both directions at once")
    if parameters.offered_bits_per_second is not None:
        words.append(f"offered {format_rate(parameters.offered_bits_per_second)}")
    if parameters.offered_per_second is not None:
        words.append(f"offered {parameters.offered_per_second}/s")
    if parameters.congestion_control is not None:
        words.append(parameters.congestion_control)
    if parameters.message_bytes is not None:
        words.append(f"messages of {parameters.message_bytes} B")
    if parameters.mss_bytes is not None:
        words.append(f"MSS {parameters.mss_bytes} B")
    if parameters.load is not None:
        words.append(f"load {parameters.load}")
    return ", ".join(words)


def clean(text: str) -> str:
    """The text on one line and without control characters: what a tool printed must not steer the terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def wrapped(text: str, width: int, first: str = "", then: str | None = None) -> list[str]:
    """The text in lines of at most `width` characters, the first led by `first` and each further one by `then`."""
    further = " " * len(first) if then is None else then
    return textwrap.wrap(
        clean(text), max(width, 20), initial_indent=first, subsequent_indent=further, break_on_hyphens=False
    )


def joined(parts: Sequence[str], width: int, first: str) -> list[str]:
    """The parts with commas between them, in lines of at most `width` characters that break between parts only."""
    lines, line = [], first
    for index, part in enumerate(parts):
        piece = part + ("," if index + 1 < len(parts) else "")
        if line.strip() and line != first and len(line) + 1 + len(piece) > width:
            lines.append(line)
            line = " " * len(first)
        line += piece if line.endswith(" ") or not line else f" {piece}"
    # A part that is wider than the screen by itself breaks at its words.
    return [short for long in [*lines, line] for short in (_broken(long, width) if len(long) > width else [long])]


def _broken(line: str, width: int) -> list[str]:
    indent = len(line) - len(line.lstrip())
    return textwrap.wrap(line, width, subsequent_indent=" " * min(indent + 4, width // 2), break_on_hyphens=False)


def count(number: int, noun: str) -> str:
    """`1 cell`, `3 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
