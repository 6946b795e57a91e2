"""STAMP (RFC 8762), netmesh's own program: the network's share of UDP latency, by the kernel's time stamps."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from netmesh_agent.tools.base import Failure, Output, Reading, SourcePort, Spec, StampSession, Summary

STAMP = "stamp"
_PROGRAM = (sys.executable, "-m", "netmesh_agent.stamp.measure")
DEFAULT_RATE = 1000
# So many source ports take turns, where each sends this many probes at least: a port that sends few says little.
_MOST_SOURCE_PORTS, _LEAST_PROBES_A_PORT = 16, 20
_MAX_RATE = 20_000
# The base packet is 44 bytes, 112 in authenticated mode; the TLVs for follow-up and time stamp information, and there
# for an HMAC, take these more. None between, nor so little more that no padding TLV fits.
_BASE_BYTES, _SEALED_BYTES, _MOST_BYTES = 44, 112, 9000
_TLV_BYTES, _SEALED_TLV_BYTES, _LEAST_PADDING_BYTES = 28, 48, 4
# Starting, waiting two seconds for late answers, and folding the results of a long test.
_OVERHEAD_SECONDS = 6.0
_COUNTS = ("duplicate_packets", "out_of_order_packets", "late_packets")
_CODES = frozenset({"refused", "timeout", "unreachable", "busy", "not_supported", "tool_failed"})
_FIGURES = (
    *("jitter_seconds", "messages_per_second", "loss_ratio", "forward_loss_ratio", "return_loss_ratio"),
    *_COUNTS,
)
_DISTRIBUTIONS = (
    *("network_round_trip_seconds", "host_seconds", "round_trip_seconds"),
    *("forward_delay_seconds", "return_delay_seconds"),
)


class Stamp:
    """The STAMP adapter; see `Instrument` for what each method answers."""

    name = STAMP
    program = sys.executable
    version_command: Sequence[str] = (*_PROGRAM, "--version")
    serves_once = False

    def parse_version(self, output: Output) -> str | None:
        """For example "0.1.0"; None where the output is not the program's."""
        found = re.match(r"netmesh-stamp (\d\S*)", output.stdout)
        return found[1] if found else None

    def refuse(self, spec: Spec) -> Failure | None:
        """`not_supported` with the field."""
        if spec.test != "udp-latency":
            return Failure("not_supported", f"STAMP has no test '{spec.test}'", "test")
        return next(
            (Failure("not_supported", f"STAMP {sentence}", field) for wrong, field, sentence in _checks(spec) if wrong),
            None,
        )

    def ports_needed(self, spec: Spec) -> int:
        """One."""
        del spec
        return 1

    def server_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """None: the agent's own reflector answers, and no program is started."""
        del spec, address, ports
        return ()

    def client_command(self, spec: Spec, address: str, ports: Sequence[int]) -> Sequence[str]:
        """A sender that probes `address` from several source ports in turn.

        It reads the session's key from its standard input: a command line is everybody's to read.
        """
        session = spec.session or StampSession(0)
        rate = spec.offered_per_second or DEFAULT_RATE
        sources = max(1, min(_MOST_SOURCE_PORTS, rate * spec.duration_seconds // _LEAST_PROBES_A_PORT))
        command = [
            *_PROGRAM,
            *("client", "--address", address, "--port", str(ports[0]), "--ssid", str(session.ssid)),
            *("--duration", str(spec.duration_seconds), "--omit", str(spec.omit_seconds)),
            *("--rate", str(rate), "--source-ports", str(sources)),
        ]
        if spec.message_bytes is not None:
            command += ["--bytes", str(spec.message_bytes)]
        if session.key is not None:
            command.append("--authenticated")
        if session.same_clock:
            command.append("--same-clock")
        return tuple(command)

    def client_overhead_seconds(self, spec: Spec) -> float:
        """Seconds beyond the test that a healthy client may take."""
        del spec
        return _OVERHEAD_SECONDS

    def listens_on(self, spec: Spec, ports: Sequence[int]) -> Sequence[tuple[str, int]]:
        """The reflector's port."""
        del spec
        return (("udp", ports[0]),)

    def parse_client(self, spec: Spec, output: Output) -> Reading | Failure:
        """All values: the sender learns from the replies what the reflector saw."""
        del spec
        if output.timed_out:
            return Failure("timeout", "the STAMP sender did not end in time")
        answer = _answer(output)
        if answer is None or not isinstance(answer.get("values"), dict):
            return _failed(answer, output)
        if not answer["received"] and answer["discarded"]:
            return Failure("tool_failed", "STAMP: this host's clock was set, and no probe was left that could be timed")
        if not answer["received"]:
            return Failure("unreachable", f"none of {answer['sent']} STAMP probes was answered")
        found = answer["values"]
        values = {name: Summary(**found[name]) for name in _DISTRIBUTIONS if found[name] is not None}
        values.update({name: Summary(float(found[name])) for name in _FIGURES if found[name] is not None})
        reported = {name: float(answer[name]) for name in ("sent", "received", "incomplete", "discarded", "seconds")}
        reported.update({name: float(answer[name]) for name in ("not_sent_in_time", "not_sent", "socket_drops")})
        reported["kernel_stamps"] = float(sum(taken == "kernel" for taken in answer["stamps"].values()))
        # How long after its last probe it still waited for answers, which those that are lost make it do.
        reported["waited_seconds"] = float(answer["waited_seconds"])
        if answer["one_way_error_seconds"] is not None:
            reported["one_way_error_seconds"] = answer["one_way_error_seconds"]
        told = {key: answer[key] for key in ("stamps", "sent", "received", "one_way_error_seconds")}
        return Reading(
            values,
            reported=reported,
            histograms=answer["histograms"],
            raw=json.dumps(told),
            source_ports=[_port(port) for port in answer["ports"]],
        )

    def parse_server(self, spec: Spec, output: Output) -> Reading | Failure:
        """What the reflector counted while it answered the test's session."""
        del spec
        answer = _answer(output)
        if answer is None or "reflected" not in answer:
            # It says nothing where it was killed, and that is no failure of the test.
            return Reading() if not output.stdout and not output.stderr else _failed(answer, output)
        return Reading(reported={name: float(count) for name, count in answer.items()}, raw=output.stdout.strip())


def _port(told: Mapping[str, Any]) -> SourcePort:
    network = told["network_round_trip_seconds"] or {}
    return SourcePort(told["port"], told["sent"], told["lost"], network.get("min"), network.get("p50"))


def _answer(output: Output) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(output.stdout)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _failed(answer: Mapping[str, Any] | None, output: Output) -> Failure:
    error = answer.get("error") if answer is not None else None
    if isinstance(error, dict) and error.get("code") in _CODES:
        return Failure(error["code"], f"STAMP: {error.get('message')}")
    last = (output.stderr.strip().splitlines() or ["no output"])[-1][:300]
    return Failure("tool_output", f"STAMP ended with {output.exit_code}: {last}")


def _checks(spec: Spec) -> Sequence[tuple[bool, str, str]]:
    """Each as (whether it is wrong, the field, the rest of the sentence)."""
    message, rate = spec.message_bytes, spec.offered_per_second
    sealed = spec.session is not None and spec.session.key is not None
    base, area = (_SEALED_BYTES, _SEALED_TLV_BYTES) if sealed else (_BASE_BYTES, _TLV_BYTES)
    full, padded = base + area, base + area + _LEAST_PADDING_BYTES
    return (
        (spec.family not in {4, 6}, "family", "speaks IPv4 and IPv6 only"),
        (spec.duration_seconds < 1, "duration_seconds", "probes for at least 1 second"),
        (spec.streams != 1, "streams", "runs one stream"),
        (spec.congestion_control is not None, "congestion_control", "has no congestion control over UDP"),
        (spec.mss_bytes is not None, "mss_bytes", "has no segment size over UDP"),
        (
            spec.offered_bits_per_second is not None,
            "offered_bits_per_second",
            "sends probes a second, not bits a second",
        ),
        (
            rate is not None and not 1 <= rate <= _MAX_RATE,
            "offered_per_second",
            f"sends 1 to {_MAX_RATE} probes a second",
        ),
        (
            message is not None and message not in {base, full} and not padded <= message <= _MOST_BYTES,
            "message_bytes",
            f"sends packets of {base}, {full} or {padded} to {_MOST_BYTES} bytes",
        ),
    )
