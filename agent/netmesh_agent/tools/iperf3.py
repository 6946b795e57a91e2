"""iperf3 (https://software.es.net/iperf/): TCP and UDP bandwidth. Command lines after iperf3(1) of 3.12.

Both directions at once are two processes with a server each, so `--bidir` and `-R` are never asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.iperf3_output import read_client, read_server

_PROTOCOLS = {"tcp-bandwidth": "TCP", "udp-bandwidth": "UDP"}

# Limits of iperf3 3.12; beyond them it prints its usage and no result.
_MAX_STREAMS = 128
_MAX_DURATION_SECONDS = 86_400
_MAX_OMIT_SECONDS = 60
_INTERVAL_SECONDS = (0.1, 60.0)
_MESSAGE_BYTES = {"TCP": (1, 1_048_576), "UDP": (16, 65_507)}
# 88 is Linux's TCP_MIN_MSS, 9216 the program's own limit.
_MSS_BYTES = (88, 9216)

_CONNECT_MILLISECONDS = 3000
# A client that sends TCP into a path that was lost waits for ever without this (TCP_USER_TIMEOUT).
_SEND_MILLISECONDS = 4000
# A server whose client vanished in mid-test waits 120 s without this.
_RECEIVE_MILLISECONDS = 10_000
# Connecting and the exchange of results take about 7.5 round trips, one more for each further stream. A lost UDP
# handshake takes 30 s and ends in failure: it is cut off long before.
_OVERHEAD_SECONDS = 5.0


class Iperf3:
    """The iperf3 adapter; see `Instrument` for what each method answers."""

    name = "iperf3"
    program = "iperf3"
    version_command: Sequence[str] = ("iperf3", "--version")
    serves_once = True

    def parse_version(self, output: Output) -> str | None:
        """For example "3.12"; None where the output is not iperf3's."""
        found = re.match(r"iperf (3\.\S+)", output.stdout)
        return found[1] if found else None

    def refuse(self, spec: Spec) -> Failure | None:
        """`not_supported` or `rate_not_supported` with the field that iperf3 would refuse, or read otherwise."""
        protocol = _PROTOCOLS.get(spec.test)
        if protocol is None:
            return Failure("not_supported", f"iperf3 has no test '{spec.test}'", "test")
        if spec.offered_per_second is not None:
            return Failure("rate_not_supported", "iperf3 paces bits, not messages", "offered_per_second")
        return next(
            (
                Failure("not_supported", f"iperf3 {sentence}", field)
                for bad, field, sentence in _checks(spec, protocol)
                if bad
            ),
            None,
        )

    def ports_needed(self, spec: Spec) -> int:
        """One: control connection and data share it, for UDP too."""
        del spec
        return 1

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A server for one test. It has no idle timeout: opened ahead, it waits for a whole test before its own."""
        return (
            *("iperf3", "-s", "-1", "-J"),
            *("-p", str(ports[0]), "-B", address),
            *("-i", _seconds(spec.interval_seconds)),
            *("--rcv-timeout", str(_RECEIVE_MILLISECONDS)),
        )

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A client that sends. `address` is an IP address: a name that does not resolve gets a misleading error."""
        tcp = _PROTOCOLS[spec.test] == "TCP"
        command = [
            *("iperf3", "-c", address, "-p", str(ports[0]), f"-{spec.family}", "-J"),
            *("-t", str(spec.duration_seconds), "-O", str(spec.omit_seconds)),
            *("-i", _seconds(spec.interval_seconds), "-P", str(spec.streams)),
            *("--connect-timeout", str(_CONNECT_MILLISECONDS)),
            *(("--snd-timeout", str(_SEND_MILLISECONDS)) if tcp else ("-u",)),
        ]
        offered = spec.offered_bits_per_second
        if offered is not None:
            # The rate is for each stream; 0 would mean unlimited, which `refuse` keeps out.
            command += ["-b", str(offered // spec.streams)]
        elif not tcp:
            command += ["-b", "0"]
        if spec.message_bytes is not None:
            command += ["-l", str(spec.message_bytes)]
        if spec.mss_bytes is not None:
            command += ["-M", str(spec.mss_bytes)]
        if spec.congestion_control is not None:
            command += ["-C", spec.congestion_control]
        return tuple(command)

    def client_overhead_seconds(self, spec: Spec) -> float:
        """Seconds beyond the test that a healthy client may take."""
        del spec
        return _OVERHEAD_SECONDS

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The control port; the UDP socket comes only with its client."""
        del spec
        return (("tcp", ports[0]),)

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """Received and sent totals, retransmits and TCP's round trip; see `read_client`."""
        return read_client(spec, output, _PROTOCOLS[spec.test])

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """Received intervals and the order of packets; see `read_server`."""
        return read_server(spec, output, _PROTOCOLS[spec.test])


def _seconds(value: float) -> str:
    return f"{value:g}"


def _checks(spec: Spec, protocol: str) -> Sequence[tuple[bool, str, str]]:
    """Each as (whether it is wrong, the field, the rest of the sentence)."""
    shortest, longest = _INTERVAL_SECONDS
    smallest, largest = _MESSAGE_BYTES[protocol]
    message, mss, offered = spec.message_bytes, spec.mss_bytes, spec.offered_bits_per_second
    udp = protocol == "UDP"
    return (
        (spec.family not in {4, 6}, "family", "speaks IPv4 and IPv6 only"),
        (
            not _whole(spec.duration_seconds, 1, _MAX_DURATION_SECONDS),
            "duration_seconds",
            f"takes whole seconds, 1 to {_MAX_DURATION_SECONDS}, and reads 0 as endless",
        ),
        (
            not _whole(spec.omit_seconds, 0, _MAX_OMIT_SECONDS),
            "omit_seconds",
            f"omits 0 to {_MAX_OMIT_SECONDS} whole seconds",
        ),
        (
            not shortest <= spec.interval_seconds <= longest,
            "interval_seconds",
            f"reports at intervals of {shortest:g} to {longest:g} s",
        ),
        (not _whole(spec.streams, 1, _MAX_STREAMS), "streams", f"runs 1 to {_MAX_STREAMS} streams"),
        (
            message is not None and not _whole(message, smallest, largest),
            "message_bytes",
            f"writes {smallest} to {largest} bytes at once over {protocol}",
        ),
        (mss is not None and udp, "mss_bytes", "has no segment size over UDP"),
        (
            mss is not None and not _whole(mss, *_MSS_BYTES),
            "mss_bytes",
            f"sets a TCP segment size of {_MSS_BYTES[0]} to {_MSS_BYTES[1]} bytes",
        ),
        (spec.congestion_control is not None and udp, "congestion_control", "has no congestion control over UDP"),
        (
            offered is not None and offered < spec.streams,
            "offered_bits_per_second",
            "offers at least 1 bit/s in each stream, and reads 0 as unlimited",
        ),
    )


def _whole(value: float, smallest: int, largest: int) -> bool:
    return isinstance(value, int) and smallest <= value <= largest
