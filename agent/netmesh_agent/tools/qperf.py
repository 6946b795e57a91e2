"""qperf (https://github.com/linux-rdma/qperf): TCP, UDP and SCTP bandwidth and latency. After qperf(1) of 0.4.11.

Two ports: the first for control (`-lp`), the second for data (`-ip`). Data goes from the client to the server only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.qperf_output import TESTS, read_client, read_server

# The server is known to listen: a client that finds none need not wait the 5 s of the default.
_WAIT_FOR_SERVER_SECONDS = 2
# Below the overhead, so that the program can say what it waited for.
_TIMEOUT_SECONDS = 4
_OVERHEAD_SECONDS = 5.0
# A UDP latency is believed only beside TCP's on the same path, which is measured first for this long.
_REFERENCE_SECONDS = 1
_MAX_DATAGRAM_BYTES = 65_507


class Qperf:
    """The qperf adapter; see `Instrument` for what each method answers."""

    name = "qperf"
    program = "qperf"
    version_command: Sequence[str] = ("qperf", "--version")
    serves_once = False

    def parse_version(self, output: Output) -> str | None:
        """For example "0.4.11"; None where the output is not qperf's."""
        found = re.match(r"qperf (\d+\.\S+)", output.stdout)
        return found[1] if found else None

    def refuse(self, spec: Spec) -> Failure | None:
        """`not_supported` or `rate_not_supported` with the field; warm-up is not among them: it has none to omit."""
        if spec.test not in TESTS:
            return Failure("not_supported", f"qperf has no test '{spec.test}'", "test")
        for wrong, field, sentence in _checks(spec):
            if wrong:
                return Failure("not_supported", f"qperf {sentence}", field)
        if spec.offered_bits_per_second is not None:
            sentence = "qperf cannot hold a rate: it sends as much as goes through"
            return Failure("rate_not_supported", sentence, "offered_bits_per_second")
        if spec.offered_per_second is not None:
            sentence = "qperf cannot hold a rate: it sends one message after the other"
            return Failure("rate_not_supported", sentence, "offered_per_second")
        return None

    def ports_needed(self, spec: Spec) -> int:
        """Two: control and data."""
        del spec
        return 2

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A server; it has no option to listen on one address, and learns the data port from its client."""
        del spec, address
        return ("qperf", "-lp", str(ports[0]))

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A client that sends to `address`, and prints base units, bits and the counts of both ends."""
        control, data = ports[0], ports[1]
        command = [
            *("qperf", address, "-lp", str(control), "-ip", str(data)),
            *("-ws", str(_WAIT_FOR_SERVER_SECONDS), "-to", str(_TIMEOUT_SECONDS)),
            *("-uu", "-ub", "-vvs", "-vvt"),
        ]
        if spec.message_bytes is not None:
            command += ["-m", str(spec.message_bytes)]
        if spec.test == "udp-latency":
            command += ["-t", str(_REFERENCE_SECONDS), TESTS["tcp-latency"]]
        return (*command, "-t", str(spec.duration_seconds), TESTS[spec.test])

    def client_overhead_seconds(self, spec: Spec) -> float:
        """Seconds beyond the test that a healthy client may take; it omits nothing, but measures its reference."""
        return _OVERHEAD_SECONDS + (_REFERENCE_SECONDS if spec.test == "udp-latency" else 0)

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The control port; the data port opens with its client."""
        del spec
        return (("tcp", ports[0]),)

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """Both ends' figures: the client is told what the server counted; see `read_client`."""
        return read_client(spec, output)

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """An empty reading, for the server says nothing; or why it did not start."""
        del spec
        return read_server(output)


def _checks(spec: Spec) -> Sequence[tuple[bool, str, str]]:
    """Each as (whether it is wrong, the field, the rest of the sentence)."""
    message = spec.message_bytes
    udp = spec.test.startswith("udp-")
    return (
        (spec.family not in {4, 6}, "family", "speaks IPv4 and IPv6 only"),
        (
            not isinstance(spec.duration_seconds, int) or spec.duration_seconds < 1,
            "duration_seconds",
            "takes whole seconds, at least 1, and reads 0 as endless",
        ),
        (spec.streams != 1, "streams", "runs one stream"),
        (spec.congestion_control is not None, "congestion_control", "cannot choose the congestion control"),
        (spec.mss_bytes is not None, "mss_bytes", "cannot set the segment size"),
        (message is not None and message < 1, "message_bytes", "sends messages of at least 1 byte"),
        (
            message is not None and udp and message > _MAX_DATAGRAM_BYTES,
            "message_bytes",
            f"sends UDP messages of at most {_MAX_DATAGRAM_BYTES} bytes",
        ),
        (
            # Its own default is 32 KiB: fragments, of which one lost loses the message.
            message is None and spec.test == "udp-bandwidth",
            "message_bytes",
            "needs the message size that the path carries whole: its MTU less 28 bytes, or 48 over IPv6",
        ),
    )
