"""The tests and their values: data that plan, matrices and surfaces read.

A test added here is known to the plan, the estimate, the document and the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bandwidth", "latency"]


@dataclass(frozen=True, slots=True)
class TestKind:
    """What a test is: its values in the order of their weight, and the instruments that can run it."""

    __test__ = False

    name: str
    protocol: Literal["tcp", "udp"]
    kind: Kind
    instruments: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def default_instrument(self) -> str:
        """The instrument that runs it where none is asked for."""
        return self.instruments[0]

    @property
    def headline(self) -> str:
        """The value that people are shown first."""
        return self.values[0]


TESTS: dict[str, TestKind] = {
    test.name: test
    for test in (
        TestKind(
            "tcp-bandwidth",
            "tcp",
            "bandwidth",
            ("iperf3", "qperf"),
            ("bits_per_second", "retransmits", "round_trip_seconds"),
        ),
        TestKind(
            "udp-bandwidth",
            "udp",
            "bandwidth",
            ("iperf3", "qperf"),
            (
                "bits_per_second",
                "loss_ratio",
                "jitter_seconds",
                "sent_bits_per_second",
                "packets_per_second",
                "out_of_order_packets",
            ),
        ),
        TestKind(
            "tcp-latency",
            "tcp",
            "latency",
            ("qperf",),
            ("round_trip_seconds", "jitter_seconds", "messages_per_second", "loss_ratio"),
        ),
        TestKind(
            "udp-latency",
            "udp",
            "latency",
            ("qperf",),
            ("round_trip_seconds", "jitter_seconds", "messages_per_second", "loss_ratio"),
        ),
    )
}

UNITS: dict[str, str] = {
    "bits_per_second": "bit/s",
    "sent_bits_per_second": "bit/s",
    "packets_per_second": "1/s",
    "messages_per_second": "1/s",
    "retransmits": "1",
    "out_of_order_packets": "1",
    "loss_ratio": "1",
    "round_trip_seconds": "s",
    "jitter_seconds": "s",
}

PATHS: tuple[str, ...] = ("pod-to-pod",)

REASONS: frozenset[str] = frozenset(
    {
        "unreachable",
        "refused",
        "timeout",
        "agent_lost",
        "agent_away",
        "busy",
        "tool_missing",
        "tool_failed",
        "tool_output",
        "not_supported",
        "rate_not_supported",
        "service_not_ready",
        "starved",
        "shared_host",
        "pressure",
        "budget",
        "cancelled",
        "not_scheduled",
        "not_applicable",
        "loss",
        "version_mismatch",
    }
)
