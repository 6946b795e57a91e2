"""The adapter of netmesh's own programs: command lines in, typed results out, whatever is printed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import cases

from netmesh_agent.tools.base import Failure, Output, Reading, Spec
from netmesh_agent.tools.own import Own

OWN = Own()
TESTS = ("tcp-connect", "tcp-request-response", "tcp-connect-request-response", "path-mtu")
# The first bytes of an HdrHistogram in V2 compressed encoding.
_HISTOGRAM = "HISTFAAAAA=="


def times(count: int = 1500) -> dict[str, float | int | None]:
    return {
        "mean": 2e-4,
        "stdev": 1e-5,
        "min": 1e-4,
        "p10": 1.5e-4,
        "p50": 2e-4,
        "p90": 3e-4,
        "p99": 4e-4,
        "p999": 5e-4,
        "max": 6e-4,
        "count": count,
    }


def connects(**other: object) -> dict[str, Any]:
    told: dict[str, Any] = {"connect_seconds": times(), "histogram": _HISTOGRAM, "attempts": 1504, "late_starts": 2}
    told["handshake_round_trip_seconds"] = 1e-4
    return told | {"failures": {"ETIMEDOUT": 1, "ECONNREFUSED": 3}} | other


def transactions(**other: object) -> dict[str, Any]:
    told = {"round_trip_seconds": times(20_000), "histogram": _HISTOGRAM, "transactions": 20_000}
    return told | {"transactions_per_second": 4000.0} | other


def mtu(**other: object) -> dict[str, Any]:
    told = {"mtu_bytes": 1400, "black_hole": True, "reverse_mtu_bytes": 1300, "reverse_black_hole": False}
    return told | other


DOCUMENTS = {
    "tcp-connect": connects(),
    "tcp-request-response": transactions(),
    "tcp-connect-request-response": transactions(),
    "path-mtu": mtu(),
}


def client(test: str, document: object, **ended: Any) -> Reading | Failure:
    return OWN.parse_client(Spec(test, "netmesh"), Output(json.dumps(document), **ended))


def test_command_lines() -> None:
    python = sys.executable
    spec = Spec("tcp-connect", "netmesh", duration_seconds=3, omit_seconds=1, offered_per_second=50)
    assert OWN.server_command(spec, "192.0.2.1", [61863]) == (
        *(python, "-m", "netmesh_agent.probes.tcp_connect", "server", "--address", "192.0.2.1", "--port", "61863"),
    )
    assert OWN.client_command(spec, "192.0.2.1", [61863]) == (
        *(python, "-m", "netmesh_agent.probes.tcp_connect", "client", "--address", "192.0.2.1", "--port", "61863"),
        *("--omit", "1", "--seconds", "3", "--rate", "50"),
    )
    spec = Spec("tcp-request-response", "netmesh", family=6, message_bytes=100, congestion_control="cubic")
    agreed = ("--connection", "kept", "--bytes", "100", "--congestion", "cubic")
    assert OWN.server_command(spec, "::1", [61864])[-6:] == agreed
    assert OWN.client_command(spec, "::1", [61864])[-10:] == (*agreed, "--omit", "0", "--seconds", "5")
    new = OWN.client_command(Spec("tcp-connect-request-response", "netmesh"), "::1", [61864])
    assert new[8:12] == ("--connection", "new", "--bytes", "1")
    search = OWN.client_command(Spec("path-mtu", "netmesh"), "::1", [61864])
    assert search[-5:] == ("client", "--address", "::1", "--port", "61864")


def test_where_a_server_listens() -> None:
    assert OWN.listens_on(Spec("path-mtu", "netmesh"), [7]) == (("udp", 7),)
    assert OWN.listens_on(Spec("tcp-connect", "netmesh"), [7]) == (("tcp", 7),)


@pytest.mark.parametrize("test", TESTS)
def test_plain_tests_are_taken(test: str) -> None:
    assert OWN.refuse(Spec(test, "netmesh")) is None
    assert OWN.refuse(Spec(test, "netmesh", family=6)) is None


@pytest.mark.parametrize(
    ("spec", "code", "field"),
    [
        (Spec("tcp-bandwidth", "netmesh"), "not_supported", "test"),
        (Spec("tcp-connect", "netmesh", offered_bits_per_second=1), "rate_not_supported", "offered_bits_per_second"),
        (Spec("tcp-request-response", "netmesh", offered_per_second=1), "rate_not_supported", "offered_per_second"),
        (Spec("tcp-connect", "netmesh", offered_per_second=0), "not_supported", "offered_per_second"),
        (Spec("tcp-connect", "netmesh", offered_per_second=10_001), "not_supported", "offered_per_second"),
        (Spec("tcp-connect", "netmesh", message_bytes=1), "not_supported", "message_bytes"),
        (Spec("path-mtu", "netmesh", message_bytes=1), "not_supported", "message_bytes"),
        (Spec("tcp-request-response", "netmesh", message_bytes=0), "not_supported", "message_bytes"),
        (Spec("tcp-request-response", "netmesh", message_bytes=1_048_577), "not_supported", "message_bytes"),
        (Spec("tcp-connect", "netmesh", congestion_control="cubic"), "not_supported", "congestion_control"),
        (Spec("tcp-request-response", "netmesh", streams=2), "not_supported", "streams"),
        (Spec("tcp-request-response", "netmesh", mss_bytes=1000), "not_supported", "mss_bytes"),
        (Spec("tcp-connect", "netmesh", duration_seconds=0), "not_supported", "duration_seconds"),
        (Spec("tcp-connect", "netmesh", omit_seconds=-1), "not_supported", "omit_seconds"),
        (Spec("path-mtu", "netmesh", family=5), "not_supported", "family"),
    ],
)
def test_what_means_nothing_to_a_test_is_refused(spec: Spec, code: str, field: str) -> None:
    refusal = OWN.refuse(spec)
    assert refusal is not None
    assert (refusal.code, refusal.field) == (code, field)


def test_the_version_is_netmeshs() -> None:
    ended = subprocess.run(OWN.version_command, capture_output=True, text=True, timeout=10, check=False)
    assert OWN.parse_version(Output(ended.stdout, ended.stderr, ended.returncode)) == version("netmesh")
    assert OWN.parse_version(Output("iperf 3.12\n")) is None


def test_connects_are_read() -> None:
    reading = client("tcp-connect", connects())
    assert isinstance(reading, Reading)
    assert reading.values["connect_seconds"].p999 == 5e-4
    assert reading.reported == {
        "attempted_connections": 1504,
        "failed_connections": 4,
        "failures_ETIMEDOUT": 1,
        "failures_ECONNREFUSED": 3,
        "late_starts": 2,
        "handshake_round_trip_seconds": 1e-4,
    }
    assert reading.histograms == {"connect_seconds": _HISTOGRAM}
    assert not reading.intervals


def test_transactions_are_read() -> None:
    reading = client("tcp-request-response", transactions())
    assert isinstance(reading, Reading)
    assert reading.values["transactions_per_second"].mean == 4000
    assert reading.values["round_trip_seconds"].count == 20_000
    assert _HISTOGRAM not in reading.raw


def test_a_path_mtu_is_read() -> None:
    reading = client("path-mtu", mtu())
    assert isinstance(reading, Reading)
    assert (reading.values["mtu_bytes"].mean, reading.values["black_hole"].mean) == (1400, 1)
    assert reading.reported == {"reverse_mtu_bytes": 1300, "reverse_black_hole": 0}


@pytest.mark.parametrize(
    ("test", "document"),
    [
        ("tcp-connect", connects(attempts=1503)),
        ("tcp-connect", connects(failures={"ETIMEDOUT": 4.5})),
        ("tcp-connect", connects(failures=None)),
        ("tcp-connect", connects(histogram="not base64")),
        ("tcp-connect", connects(histogram="aGVsbG8=")),
        ("tcp-connect", connects(connect_seconds=times() | {"p50": 9.0})),
        ("tcp-connect", connects(connect_seconds=times() | {"mean": None})),
        ("tcp-connect", connects(connect_seconds=times() | {"mean": 7e-4})),
        ("tcp-connect", connects(connect_seconds=times() | {"count": True})),
        ("tcp-connect", connects(connect_seconds=times(99), attempts=103)),
        ("tcp-connect", connects(connect_seconds=times() | {"min": -1e-6})),
        ("tcp-request-response", transactions(transactions=19_999)),
        ("tcp-request-response", transactions(transactions_per_second=5010.0)),
        ("tcp-request-response", transactions(transactions_per_second=0)),
        ("tcp-request-response", transactions(round_trip_seconds=times(1500), transactions=1500)),
        ("path-mtu", mtu(mtu_bytes=70_000)),
        ("path-mtu", mtu(mtu_bytes=10**400)),
        ("path-mtu", mtu(black_hole=1)),
        ("path-mtu", {}),
        ("path-mtu", {"error": "x"}),
        ("path-mtu", {"error": {"code": "refused", "message": ""}}),
    ],
)
def test_what_cannot_be_true_is_no_reading(test: str, document: dict[str, Any]) -> None:
    failure = client(test, document)
    assert isinstance(failure, Failure)
    assert failure.code == "tool_output"


def test_failures_keep_their_code() -> None:
    failure = client("tcp-connect", {"error": {"code": "refused", "message": "nobody there"}}, exit_code=1)
    assert failure == Failure("refused", "nobody there")
    unknown = client("tcp-connect", {"error": {"code": "strange", "message": "x"}}, exit_code=1)
    assert unknown == Failure("tool_failed", "x")


def test_a_deadline_is_a_timeout_whatever_was_said() -> None:
    failure = client("tcp-connect", connects(), exit_code=None, timed_out=True)
    assert isinstance(failure, Failure)
    assert failure.code == "timeout"


def test_a_crash_is_told_in_its_own_words() -> None:
    crash = Output("", "Traceback (most recent call last):\n  …\nKeyError: 5\n", 1)
    failure = OWN.parse_client(Spec("tcp-connect", "netmesh"), crash)
    assert failure == Failure("tool_failed", "netmesh's program failed: KeyError: 5")
    nothing = OWN.parse_server(Spec("tcp-connect", "netmesh"), Output("", "", -9))
    assert isinstance(nothing, Failure)
    assert nothing.code == "tool_output"


_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1, 1e308, 10**400, math.nan, math.inf, -0.0, "5", "", [], {}, [[]]]
)


@st.composite
def mutated(draw: st.DrawFn, test: str) -> str:
    document: Any = json.loads(json.dumps(DOCUMENTS[test]))
    for _ in range(draw(st.integers(1, 3))):
        inner: list[dict[str, Any]] = [value for value in document.values() if isinstance(value, dict) and value]
        part = draw(st.sampled_from([document, *inner]))
        if not part:
            continue
        name = draw(st.sampled_from(sorted(part)))
        how = draw(st.sampled_from(["odd", "odd", "drop", "scale"]))
        if how == "drop":
            del part[name]
        elif how == "scale" and isinstance(part[name], int | float) and abs(part[name]) < 1e100:
            part[name] = part[name] * draw(st.sampled_from([-1, 0.5, 2, 1e3, 1e-3, 1e200]))
        else:
            part[name] = draw(_ODD)
    text = json.dumps(document)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=cases(300), deadline=None)
@given(data=st.data())
def test_mutated_output_is_read_truthfully_or_refused(test: str, data: st.DataObject) -> None:
    spec = Spec(test, "netmesh", family=data.draw(st.sampled_from([4, 6])))
    output = Output(
        data.draw(mutated(test) | st.text(max_size=50)),
        data.draw(st.sampled_from(["", "x"])),
        data.draw(st.sampled_from([0, 1, -15, None])),
        timed_out=data.draw(st.integers(0, 9)) == 0,
    )
    for result in (OWN.parse_client(spec, output), OWN.parse_server(spec, output)):
        if isinstance(result, Failure):
            assert result.code
            assert result.message
            continue
        for summary in result.values.values():
            assert math.isfinite(summary.mean)
            assert summary.mean >= 0
            assert summary.count >= 1
            if summary.min is not None and summary.max is not None:
                assert 0 <= summary.min <= summary.mean <= summary.max
        assert all(math.isfinite(each) and each >= 0 for each in result.reported.values())
