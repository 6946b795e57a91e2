"""sockperf (https://github.com/Mellanox/sockperf): distributions of latency. After `sockperf ul --help` of 3.7.

Only its `under-load` mode with a reply to every message is asked for: each message is an observation, and a lost one
is counted. Its `ping-pong` stops at the first loss, and its `throughput` prints a rate without any server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.sockperf_output import COOL_DOWN_SECONDS, WARM_UP_SECONDS, read_client, read_server

# Silence between its start and its first message (2.21 to 2.29 s in all, whatever the duration).
START_UP_SECONDS = 2.25
DEFAULT_MESSAGES_PER_SECOND = 1000
# Each message is a line of the log of at most 52 bytes; of a program's output 8 MiB are kept.
MOST_MESSAGES = 150_000

_TESTS = frozenset({"tcp-latency", "udp-latency"})
# Connecting and ending, also where the first packets of a TCP connection are lost.
_MARGIN_SECONDS = 5.0
# The program's own header, and the most that one UDP datagram carries; it holds TCP to it too.
_MESSAGE_BYTES = (14, 65_507)


class Sockperf:
    """The sockperf adapter; see `Instrument` for what each method answers."""

    name = "sockperf"
    program = "sockperf"
    version_command: Sequence[str] = ("sockperf", "--version")
    serves_once = False

    def parse_version(self, output: Output) -> str | None:
        """For example "3.7-no.git"; None where the output is not sockperf's."""
        found = re.search(r"^sockperf, version (\d\S*)", output.stdout, re.MULTILINE)
        return found[1] if found else None

    def refuse(self, spec: Spec) -> Failure | None:
        """`not_supported` or `rate_not_supported` with the field.

        A warm-up is not among them: it always leaves its own 0.4 s out, and no more.
        """
        if spec.test not in _TESTS:
            return Failure("not_supported", f"sockperf has no test '{spec.test}'", "test")
        for wrong, field, sentence in _checks(spec):
            if wrong:
                return Failure("not_supported", f"sockperf {sentence}", field)
        if spec.offered_bits_per_second is not None:
            sentence = "sockperf paces its latency tests in messages a second, not in bits"
            return Failure("rate_not_supported", sentence, "offered_bits_per_second")
        return None

    def ports_needed(self, spec: Spec) -> int:
        """One."""
        del spec
        return 1

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A server that runs until it is ended; over TCP it serves one client at a time."""
        return ("sockperf", "sr", "-i", address, "-p", str(ports[0]), *_protocol(spec))

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A client that logs every observation on stderr, where it mixes with nothing else."""
        command = [
            *("sockperf", "ul", "-i", address, "-p", str(ports[0]), *_protocol(spec)),
            *("-t", str(spec.duration_seconds), "--mps", str(_rate(spec)), "--reply-every", "1"),
            *("--full-log", "/dev/stderr"),
        ]
        if spec.message_bytes is not None:
            command += ["-m", str(spec.message_bytes)]
        return tuple(command)

    def client_overhead_seconds(self, spec: Spec) -> float:
        """Its silent start, and seconds beyond that."""
        del spec
        return START_UP_SECONDS + _MARGIN_SECONDS

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The one port, of the protocol that is tested."""
        return ((_name(spec), ports[0]),)

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """Every observation; see `read_client`."""
        return read_client(spec, output, _name(spec), _rate(spec))

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """An empty reading, for the server says nothing; or why it did not start."""
        del spec
        return read_server(output)


def _name(spec: Spec) -> str:
    return "tcp" if spec.test == "tcp-latency" else "udp"


def _protocol(spec: Spec) -> Sequence[str]:
    return ("--tcp",) if spec.test == "tcp-latency" else ()


def _rate(spec: Spec) -> int:
    return spec.offered_per_second if spec.offered_per_second is not None else DEFAULT_MESSAGES_PER_SECOND


def _checks(spec: Spec) -> Sequence[tuple[bool, str, str]]:
    """Each as (whether it is wrong, the field, the rest of the sentence); the first that is wrong counts."""
    message, rate, seconds = spec.message_bytes, _rate(spec), spec.duration_seconds
    smallest, largest = _MESSAGE_BYTES
    return (
        (spec.family != 4, "family", "speaks IPv4 only"),
        (not isinstance(seconds, int) or seconds < 1, "duration_seconds", "takes whole seconds, at least 1"),
        (spec.streams != 1, "streams", "runs one stream"),
        (spec.congestion_control is not None, "congestion_control", "cannot choose the congestion control"),
        (spec.mss_bytes is not None, "mss_bytes", "cannot set the segment size"),
        (
            message is not None and not smallest <= message <= largest,
            "message_bytes",
            f"sends messages of {smallest} to {largest} bytes",
        ),
        (
            # Two messages at least, in what is left of the time.
            rate * (seconds - WARM_UP_SECONDS - COOL_DOWN_SECONDS) < 2,
            "offered_per_second",
            f"measures nothing with {rate} messages a second in {seconds} s, of which it cuts 0.45 s",
        ),
        (
            rate * seconds > MOST_MESSAGES,
            "offered_per_second",
            f"logs each message: {rate} a second over {seconds} s are more than the {MOST_MESSAGES} that are read",
        ),
    )
