"""iperf3's command lines, and what is refused before it starts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.agent.tools.iperf3 import IPERF3, TCP, UDP, UDP_OMIT

from netmesh_agent.tools.base import Failure, Output, Spec


def test_versions_differ_and_are_read() -> None:
    assert IPERF3.parse_version(Output("iperf 3.12 (cJSON 1.7.15)\nLinux vm 6.18\n")) == "3.12"
    assert IPERF3.parse_version(Output("iperf 3.19.1 (cJSON 1.7.15)\n")) == "3.19.1"
    assert IPERF3.parse_version(Output("", "bash: iperf3: command not found")) is None


def test_command_lines() -> None:
    spec = Spec("tcp-bandwidth", "iperf3", family=6, duration_seconds=5, omit_seconds=1, streams=4)
    assert " ".join(IPERF3.server_command(spec, "fd00::2", [61863])) == (
        "iperf3 -s -1 -J -p 61863 -B fd00::2 -i 0.1 --rcv-timeout 10000"
    )
    spec = dataclasses.replace(
        spec, mss_bytes=1200, congestion_control="bbr", offered_bits_per_second=100_000_000, message_bytes=8192
    )
    assert " ".join(IPERF3.client_command(spec, "fd00::2", [61863])) == (
        "iperf3 -c fd00::2 -p 61863 -6 -J -t 5 -O 1 -i 0.1 -P 4 --connect-timeout 3000 --snd-timeout 4000 "
        "-b 25000000 -l 8192 -M 1200 -C bbr"
    )
    assert IPERF3.listens_on(spec, [61863]) == (("tcp", 61863),)
    assert IPERF3.ports_needed(spec) == 1


def test_udp_without_a_rate_is_unlimited_and_not_one_megabit() -> None:
    spec = dataclasses.replace(UDP, offered_bits_per_second=None)
    command = IPERF3.client_command(spec, "10.0.0.2", [61863])
    assert "-u" in command
    assert command[command.index("-b") + 1] == "0"
    assert "--snd-timeout" not in command


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"test": "tcp-latency"}, "test"),
        ({"family": 5}, "family"),
        ({"duration_seconds": 0}, "duration_seconds"),
        ({"duration_seconds": 1.9}, "duration_seconds"),
        ({"duration_seconds": 86_401}, "duration_seconds"),
        ({"omit_seconds": 61}, "omit_seconds"),
        ({"omit_seconds": 0.5}, "omit_seconds"),
        ({"interval_seconds": 0.05}, "interval_seconds"),
        ({"interval_seconds": float("nan")}, "interval_seconds"),
        ({"streams": 129}, "streams"),
        ({"streams": 0}, "streams"),
        ({"message_bytes": 1_048_577}, "message_bytes"),
        ({"mss_bytes": 9217}, "mss_bytes"),
        ({"mss_bytes": 87}, "mss_bytes"),
        ({"streams": 4, "offered_bits_per_second": 3}, "offered_bits_per_second"),
        ({"test": "udp-bandwidth", "message_bytes": 15}, "message_bytes"),
        ({"test": "udp-bandwidth", "message_bytes": 65_508}, "message_bytes"),
        ({"test": "udp-bandwidth", "mss_bytes": 1200}, "mss_bytes"),
        ({"test": "udp-bandwidth", "congestion_control": "bbr"}, "congestion_control"),
    ],
)
def test_what_iperf3_would_truncate_or_refuse_is_refused_before(change: dict[str, Any], field: str) -> None:
    refusal = IPERF3.refuse(dataclasses.replace(TCP, **change))
    assert isinstance(refusal, Failure)
    assert (refusal.code, refusal.field) == ("not_supported", field)


@pytest.mark.parametrize("spec", [TCP, UDP, UDP_OMIT, dataclasses.replace(TCP, mss_bytes=9216, streams=128)])
def test_what_iperf3_can_do_is_not_refused(spec: Spec) -> None:
    assert IPERF3.refuse(spec) is None
