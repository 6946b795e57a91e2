"""netmesh's own measuring programs (`netmesh_agent.probes`): connects, requests and responses, and the path's MTU."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.own_output import read_client, read_server

_MODULES = {
    "tcp-connect": "tcp_connect",
    "tcp-request-response": "request_response",
    "tcp-connect-request-response": "request_response",
    "path-mtu": "path_mtu",
}
_CONNECTION = {"tcp-request-response": "kept", "tcp-connect-request-response": "new"}

DEFAULT_CONNECTS_PER_SECOND = 100
# One process opens some 10,000 connections a second on a fast core; beyond that it would measure itself.
_MOST_CONNECTS_PER_SECOND = 10_000
_MOST_MESSAGE_BYTES = 1_048_576
_MOST_SECONDS = 86_400

# A start of a second on a busy node, and what is waited for at the end: an answer for 5 s. A search of the MTU takes
# well below a second where too large packets are refused; where they vanish, up to 0.6 s for each size lost.
_OVERHEAD_SECONDS = 7.0
_SEARCH_SECONDS = 12.0


class Own:
    """The adapter of netmesh's own programs; see `Instrument` for what each method answers."""

    name = "netmesh"
    program = sys.executable
    version_command: Sequence[str] = (sys.executable, "-m", "netmesh_agent.probes", "--version")
    serves_once = False

    def parse_version(self, output: Output) -> str | None:
        """For example "0.1.0"; None where the output is not netmesh's."""
        found = re.fullmatch(r"netmesh (\S+)\s*", output.stdout)
        return found[1] if found else None

    def refuse(self, spec: Spec) -> Failure | None:
        """`not_supported` or `rate_not_supported` with the field that means nothing to this test."""
        if spec.test not in _MODULES:
            return Failure("not_supported", f"netmesh's own programs have no test '{spec.test}'", "test")
        if spec.offered_bits_per_second is not None:
            return Failure("rate_not_supported", f"{spec.test} offers no bits per second", "offered_bits_per_second")
        if spec.offered_per_second is not None and spec.test != "tcp-connect":
            return Failure("rate_not_supported", f"{spec.test} has no rate of its own", "offered_per_second")
        return next(
            (
                Failure("not_supported", f"{spec.test} {sentence}", field)
                for bad, field, sentence in _checks(spec)
                if bad
            ),
            None,
        )

    def ports_needed(self, spec: Spec) -> int:
        """One."""
        del spec
        return 1

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A server that goes on until it is ended."""
        return (*_command(spec, "server", address, ports), *_exchange(spec))

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A client. A search of the MTU takes the time that it takes, whatever the duration."""
        command = (*_command(spec, "client", address, ports), *_exchange(spec))
        if spec.test == "path-mtu":
            return command
        command += ("--omit", str(spec.omit_seconds), "--seconds", str(spec.duration_seconds))
        if spec.test == "tcp-connect":
            command += ("--rate", str(_rate(spec)))
        return command

    def client_overhead_seconds(self, spec: Spec) -> float:
        """Seconds beyond the test that a healthy client may take."""
        return _SEARCH_SECONDS if spec.test == "path-mtu" else _OVERHEAD_SECONDS

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The server's socket."""
        return (("udp" if spec.test == "path-mtu" else "tcp", ports[0]),)

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """The test's values. `round_trip_seconds` of tcp-connect-request-response is connect, request and response.

        `mtu_bytes` is the largest IP packet that passes from the client to the server, and `black_hole` 1 where
        larger ones vanish without a word, else 0; the way back stands in `reported`.
        """
        return read_client(spec, output)

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """An empty reading with the server's own count in `reported`; or why it did not start."""
        del spec
        return read_server(output)


def _command(spec: Spec, role: str, address: str, ports: Sequence[int]) -> tuple[str, ...]:
    module = f"netmesh_agent.probes.{_MODULES[spec.test]}"
    return (sys.executable, "-m", module, role, "--address", address, "--port", str(ports[0]))


def _exchange(spec: Spec) -> tuple[str, ...]:
    """What both sides of a request and its response agree on."""
    if spec.test not in _CONNECTION:
        return ()
    size = 1 if spec.message_bytes is None else spec.message_bytes
    agreed = ("--connection", _CONNECTION[spec.test], "--bytes", str(size))
    return agreed if spec.congestion_control is None else (*agreed, "--congestion", spec.congestion_control)


def _rate(spec: Spec) -> int:
    return DEFAULT_CONNECTS_PER_SECOND if spec.offered_per_second is None else spec.offered_per_second


def _checks(spec: Spec) -> Sequence[tuple[bool, str, str]]:
    """Each as (whether it is wrong, the field, the rest of the sentence)."""
    message, exchanges = spec.message_bytes, spec.test in _CONNECTION
    return (
        (spec.family not in {4, 6}, "family", "speaks IPv4 and IPv6 only"),
        (not _whole(spec.duration_seconds, 1, _MOST_SECONDS), "duration_seconds", "takes whole seconds from 1 on"),
        (not _whole(spec.omit_seconds, 0, _MOST_SECONDS), "omit_seconds", "omits whole seconds"),
        (spec.streams != 1, "streams", "has one stream"),
        (spec.mss_bytes is not None, "mss_bytes", "leaves the segment size to the node"),
        (message is not None and not exchanges, "message_bytes", "sends no messages"),
        (
            message is not None and not _whole(message, 1, _MOST_MESSAGE_BYTES),
            "message_bytes",
            f"sends messages of 1 to {_MOST_MESSAGE_BYTES} bytes",
        ),
        (
            spec.congestion_control is not None and not exchanges,
            "congestion_control",
            "sends no data that it would control",
        ),
        (
            not _whole(_rate(spec), 1, _MOST_CONNECTS_PER_SECOND),
            "offered_per_second",
            f"opens 1 to {_MOST_CONNECTS_PER_SECOND} connections a second",
        ),
    )


def _whole(value: float, smallest: int, largest: int) -> bool:
    return isinstance(value, int) and smallest <= value <= largest
