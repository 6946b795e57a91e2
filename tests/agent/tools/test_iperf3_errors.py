"""What iperf3 says where it fails, and what of it is no measurement."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tests.agent.tools.iperf3 import IPERF3, TCP, UDP, Samples, changed, parse

from netmesh_agent.tools.base import Failure, Output


def test_a_bad_option_is_named_in_the_tools_words(samples: Samples) -> None:
    result = IPERF3.parse_client(TCP, samples("iperf3")["err_badopt"])
    assert isinstance(result, Failure)
    assert "unrecognized option '--bogus'" in result.message
    usage = Output("Usage: iperf3 ...", "iperf3: parameter error - bogus value for --omit\n", 1)
    result = IPERF3.parse_client(TCP, usage)
    assert isinstance(result, Failure)
    assert (result.code, "parameter error - bogus value for --omit" in result.message) == ("tool_failed", True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("unable to connect to server: Connection refused", "refused"),
        (
            # 3.14 and later say more.
            "unable to connect to server - server may have stopped running, firewall issue, etc.: Connection refused",
            "refused",
        ),
        ("unable to connect to server: No route to host", "unreachable"),
        ("unable to connect to server: Network is unreachable", "unreachable"),
        ("unable to connect to server: Resource temporarily unavailable", "unreachable"),
        ("unable to read from stream socket: Resource temporarily unavailable", "timeout"),
        ("unable to connect to server: Connection timed out", "timeout"),
        ("unable to write to stream socket: Connection timed out", "timeout"),
        ("idle timeout for receiving data", "timeout"),
        ("the server is busy running a test. try again later", "busy"),
        (
            "unable to set TCP_CONGESTION: Supplied congestion control algorithm not supported on this host",
            "not_supported",
        ),
        ("socket buffer size not set correctly", "not_supported"),
        ("unable to start stream listener: Protocol not supported", "not_supported"),
        ("unable to set TCP/SCTP MSS: Invalid argument", "not_supported"),
        ("the server has terminated", "tool_failed"),
        ("control socket has closed unexpectedly", "tool_failed"),
        ("test authorization failed", "tool_failed"),
        ("something that no version has said so far", "tool_failed"),
    ],
)
def test_errors_keep_the_tools_words_and_get_a_code(said: str, code: str) -> None:
    output = Output(json.dumps({"start": {}, "intervals": [], "end": {}, "error": said}))
    for side in ("client", "server"):
        result = parse(side, TCP, output)
        assert isinstance(result, Failure)
        assert result.code == code
        assert said in result.message


def test_an_unresolved_name_is_not_reported_as_a_lack_of_resources() -> None:
    said = "unable to connect to server: Resource temporarily unavailable"
    result = IPERF3.parse_client(TCP, Output(json.dumps({"start": {}, "end": {}, "error": said})))
    assert isinstance(result, Failure)
    assert "does not resolve" in result.message


def test_a_deadline_in_the_udp_handshake_says_what_may_be_blocked(samples: Samples) -> None:
    output = changed(
        samples("iperf3")["err_udp_blocked"],
        lambda document: document.update(error="interrupt - the client has terminated"),
    )
    result = IPERF3.parse_client(UDP, dataclasses.replace(output, timed_out=True))
    assert isinstance(result, Failure)
    assert result.code == "timeout"
    assert "UDP is blocked" in result.message


def test_our_deadline_is_a_timeout_with_and_without_a_document(samples: Samples) -> None:
    for output in (samples("iperf3")["client_sigterm"], Output("", "", -9)):
        result = IPERF3.parse_client(TCP, dataclasses.replace(output, timed_out=True))
        assert isinstance(result, Failure)
        assert result.code == "timeout"
        assert "UDP" not in result.message


@pytest.mark.parametrize(
    "text", ["", "Server listening", "{", "[]", '{"end": {}} {"end": {}}', "{" * 100_000, '{"a":' * 100_000]
)
def test_what_is_no_document_is_refused(text: str) -> None:
    result = IPERF3.parse_client(TCP, Output(text))
    assert isinstance(result, Failure)
    assert result.code == "tool_output"
