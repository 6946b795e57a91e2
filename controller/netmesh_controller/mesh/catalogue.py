"""The tests and their values: data that plan, matrices and surfaces read.

A test added here is known to the plan, the estimate, the document and the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bandwidth", "latency", "transactions", "connect", "mtu", "idle"]
Protocol = Literal["tcp", "udp", "sctp"]

# What a matrix reads from the hosts of a cell, not from its values. Costs are per gigabyte (10^9 bytes) received.
COST_VALUES: tuple[str, ...] = (
    "source_cpu_seconds_per_gigabyte",
    "target_cpu_seconds_per_gigabyte",
    "source_tool_cpu_seconds_per_gigabyte",
    "target_tool_cpu_seconds_per_gigabyte",
)
# The most of a host's memory that was in use while a test ran.
MEMORY_VALUES: tuple[str, ...] = ("source_used_memory_bytes", "target_used_memory_bytes")
IDLE_VALUES: tuple[str, ...] = ("busy_cores", "available_memory_bytes")


@dataclass(frozen=True, slots=True)
class TestKind:
    """What a test is: its values in the order of their weight, and the instruments that can run it.

    A node takes part in one test at a time. `by_default`: `all` names it. `host_values` are what its
    matrices read from the hosts of a cell beside the test's own values. `beside` runs with every other instrument, in
    cells of its own, and gives the `beside_values` first.
    """

    __test__ = False

    name: str
    protocol: Protocol | None
    kind: Kind
    instruments: tuple[str, ...]
    values: tuple[str, ...]
    by_default: bool = True
    beside: str | None = None
    beside_values: tuple[str, ...] = ()

    @property
    def default_instrument(self) -> str:
        """The instrument that runs it where none is asked for."""
        return self.instruments[0]

    @property
    def host_values(self) -> tuple[str, ...]:
        """What its matrices read from the hosts: cost and memory of what transfers data, load of idle nodes."""
        return {"bandwidth": (*COST_VALUES, *MEMORY_VALUES), "idle": IDLE_VALUES}.get(self.kind, ())

    @property
    def headline(self) -> str:
        """The value of its default instrument's cells that people are shown first."""
        return self.headline_by(self.default_instrument)

    def values_by(self, instrument: str) -> tuple[str, ...]:
        """The values that an instrument's cells have, in the order of their weight."""
        return tuple(dict.fromkeys((*self.beside_values, *self.values))) if instrument == self.beside else self.values

    def headline_by(self, instrument: str) -> str:
        """The value of an instrument's cells that people are shown first."""
        return (*self.values_by(instrument), *self.host_values)[0]


_STREAM_VALUES = ("bits_per_second", "retransmits", "round_trip_seconds")
_LATENCY_VALUES = ("round_trip_seconds", "jitter_seconds", "messages_per_second", "loss_ratio")
# What of a round trip is the network's comes first.
_STAMP_VALUES = (
    *("network_round_trip_seconds", "host_seconds", "round_trip_seconds", "jitter_seconds", "loss_ratio"),
    *("forward_loss_ratio", "return_loss_ratio", "forward_delay_seconds", "return_delay_seconds"),
    *("duplicate_packets", "out_of_order_packets", "late_packets"),
)
_TRANSACTION_VALUES = ("transactions_per_second", "round_trip_seconds")

TESTS: dict[str, TestKind] = {
    test.name: test
    for test in (
        TestKind("tcp-bandwidth", "tcp", "bandwidth", ("iperf3", "qperf"), _STREAM_VALUES),
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
        # Few kernels have SCTP and nobody measures it unasked: `all` would only add gaps.
        TestKind("sctp-bandwidth", "sctp", "bandwidth", ("qperf",), _STREAM_VALUES, by_default=False),
        TestKind("tcp-latency", "tcp", "latency", ("qperf", "sockperf"), _LATENCY_VALUES),
        TestKind(
            "udp-latency",
            "udp",
            "latency",
            ("qperf", "sockperf", "stamp"),
            _LATENCY_VALUES,
            beside="stamp",
            beside_values=_STAMP_VALUES,
        ),
        TestKind("sctp-latency", "sctp", "latency", ("qperf",), _LATENCY_VALUES, by_default=False),
        TestKind("tcp-connect", "tcp", "connect", ("netmesh",), ("connect_seconds",)),
        TestKind("tcp-request-response", "tcp", "transactions", ("netmesh",), _TRANSACTION_VALUES),
        TestKind("tcp-connect-request-response", "tcp", "transactions", ("netmesh",), _TRANSACTION_VALUES),
        TestKind("path-mtu", "udp", "mtu", ("netmesh",), ("mtu_bytes", "black_hole")),
        # Watched, not run: all nodes at once, before the first test.
        TestKind("idle", None, "idle", ("netmesh",), ()),
    )
}

ALL_TESTS: tuple[str, ...] = tuple(test.name for test in TESTS.values() if test.by_default)

COST_UNIT = "s/GB"
UNITS: dict[str, str] = {
    "bits_per_second": "bit/s",
    "sent_bits_per_second": "bit/s",
    "packets_per_second": "1/s",
    "messages_per_second": "1/s",
    "transactions_per_second": "1/s",
    "retransmits": "1",
    "out_of_order_packets": "1",
    "duplicate_packets": "1",
    "late_packets": "1",
    "loss_ratio": "1",
    "forward_loss_ratio": "1",
    "return_loss_ratio": "1",
    "round_trip_seconds": "s",
    "network_round_trip_seconds": "s",
    "host_seconds": "s",
    "forward_delay_seconds": "s",
    "return_delay_seconds": "s",
    "connect_seconds": "s",
    "jitter_seconds": "s",
    "mtu_bytes": "B",
    # 1 where larger packets vanish without a word, else 0.
    "black_hole": "1",
    "busy_cores": "cores",
    "available_memory_bytes": "B",
    **dict.fromkeys(MEMORY_VALUES, "B"),
    **dict.fromkeys(COST_VALUES, COST_UNIT),
}

# What reports show beside a bandwidth: each pair against its way back, its hosts and its line. In no document.
THERE_OVER_BACK = "there_over_back_ratio"
OF_THE_HOSTS = "share_of_hosts_ratio"
OF_THE_LINE = "share_of_line_rate_ratio"
RELATIONS: frozenset[str] = frozenset({THERE_OVER_BACK, OF_THE_HOSTS, OF_THE_LINE})

# Values of which more is better; of all others less is.
MORE_IS_BETTER: frozenset[str] = (
    frozenset(name for name, unit in UNITS.items() if unit in {"bit/s", "1/s"})
    | RELATIONS
    | {"mtu_bytes", "available_memory_bytes"}
)

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
        "too_small",
        "pressure",
        "budget",
        "cancelled",
        "not_scheduled",
        "not_applicable",
        "loss",
        "version_mismatch",
    }
)
