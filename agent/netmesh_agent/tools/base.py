"""What every instrument adapter speaks: a specification in, command lines out; a program's output in, a reading out.

An adapter is pure. It answers three questions: can it do this (`refuse`), what are the two command lines
(`server_command`, `client_command`), what does this output say (`parse_client`, `parse_server`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

_EMPTY: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StampSession:
    """A session of a STAMP reflector: its identifier, the next one being the warm-up's (RFC 8972 §3).

    `peers`: only packets from these IP addresses are answered; none: from any. With a `key` it is an authenticated one.
    `same_clock`: both ends read one clock, so that one-way delays have no error.
    """

    ssid: int
    peers: tuple[str, ...] = ()
    key: bytes | None = field(default=None, repr=False)
    same_clock: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """One test, the same for both of its sides.

    `duration_seconds` counts from the end of `omit_seconds`; both are whole seconds, as the tools take them.
    `offered_bits_per_second` None means as much as goes through; `offered_per_second` is messages, probes or connects;
    `message_bytes`, `mss_bytes` and
    `congestion_control` None mean the tool's or the node's default. `session` is STAMP's.
    """

    test: str
    instrument: str
    family: int = 4
    duration_seconds: int = 5
    omit_seconds: int = 0
    interval_seconds: float = 0.1
    streams: int = 1
    offered_bits_per_second: int | None = None
    message_bytes: int | None = None
    mss_bytes: int | None = None
    congestion_control: str | None = None
    offered_per_second: int | None = None
    session: StampSession | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a finished program left: text of both pipes, and how it ended.

    `exit_code` is negative where a signal ended it. `timed_out` is true where its deadline ended it.
    """

    stdout: str
    stderr: str = ""
    exit_code: int | None = 0
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """A value's distribution; fields that one figure alone cannot give are None."""

    mean: float
    stdev: float | None = None
    min: float | None = None
    p10: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class SourcePort:
    """What became of the probes of one source port; seconds are of the network round trip, None where none is known."""

    port: int
    sent: int
    lost: int
    min_seconds: float | None = None
    p50_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What one side of a test truly saw; a value that this side cannot know is absent.

    `values` and `intervals` go by the value names of the catalogue, in SI units; the two sides of one test
    never claim the same series. `reported` holds the tool's own figures beside the values, in SI units.
    `histograms` are HdrHistograms in nanoseconds (V2 compressed encoding, base64) by value name. `raw` is what the
    tool printed of the totals. `source_ports` are those that STAMP's probes left by.
    """

    values: Mapping[str, Summary] = field(default_factory=dict)
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    congestion_control: str | None = None
    reported: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    histograms: Mapping[str, str] = field(default_factory=dict)
    raw: str = ""
    source_ports: Sequence[SourcePort] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reading: a reason code and one sentence; `field` names a wrong request field."""

    code: str
    message: str
    field: str | None = None


class Instrument(Protocol):
    """A measuring program. Implementations hold no state and do no I/O.

    `serves_once` is true where the server side ends by itself after one test and says then what it saw.
    """

    name: str
    program: str
    version_command: Sequence[str]
    serves_once: bool

    def parse_version(self, output: Output) -> str | None:
        """The version as the program prints it, or None where the output is not this program's."""

    def refuse(self, spec: Spec) -> Failure | None:
        """Why this instrument cannot run `spec`, or None where it can."""

    def ports_needed(self, spec: Spec) -> int:
        """How many ports of the pool the server side takes."""

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """The command line of the server side, listening on `address` where the program can choose it."""

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """The command line of the client side, towards the server at `address`."""

    def client_overhead_seconds(self, spec: Spec) -> float:
        """How long a healthy client may take beyond `omit_seconds + duration_seconds` before it is ended."""

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The sockets, as ("tcp" or "udp", port), that show that the server side is ready."""

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """What the client's output says."""

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """What the server's output says after its test, or after it was ended."""
