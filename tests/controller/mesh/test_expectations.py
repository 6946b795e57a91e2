"""Expectations: what they mean, what is wrong with them, and that no gap passes for a success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from netmesh_controller.mesh.document import Cell, CpuCores, Host, Hosts, Node, Parameters, Reason, Summary
from netmesh_controller.mesh.expectations import ExpectationError, Outcome, evaluate, parse
from netmesh_controller.mesh.matrix import expected_pairs, tables
from netmesh_controller.surfaces.terminal.expectations import miss_in_words, outcome_in_words

IPERF3 = Parameters(instrument="iperf3", streams=1, direction="forward")
NODES = [Node(name="a"), Node(name="b")]
CPU = dict.fromkeys(CpuCores.model_fields, 0.1)


def cell(source: str, target: str, rate: float | None, **changes: Any) -> Cell:
    fields: dict[str, Any] = {
        "path": "pod-to-pod",
        "test": "tcp-bandwidth",
        "source": source,
        "target": target,
        "repeat": 1,
        "attempt": 1,
        "parameters": IPERF3,
        "outcome": "measured",
        "values": {} if rate is None else {"bits_per_second": Summary(mean=rate, p99=rate / 2)},
    }
    if rate is None:
        fields |= {"outcome": "failed", "reason": Reason(code="timeout", message="iperf3 said nothing.")}
    return Cell(**{**fields, **changes})


def outcome(text: str, cells: Sequence[Cell], planned: Sequence[Cell] | None = None) -> Outcome:
    expected = None if planned is None else expected_pairs(one.key for one in planned)
    (found,) = evaluate([parse(text)], tables(NODES, cells, expected), cells)
    return found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "tcp-bandwidth.mean@pod-to-pod/remote >= 9 Gbit/s",
            ("bits_per_second", "mean", "pod-to-pod", "remote", ">=", 9e9),
        ),
        ("tcp-bandwidth.bits_per_second.p10>=900Mbit/s", ("bits_per_second", "p10", None, None, ">=", 9e8)),
        ("udp-latency.p99@host-to-host < 150 us", ("round_trip_seconds", "p99", "host-to-host", None, "<", 150e-6)),
        ("udp-latency.p99 < 150 µs", ("round_trip_seconds", "p99", None, None, "<", 150e-6)),
        ("udp-bandwidth.loss_ratio.mean <= 0.1 %", ("loss_ratio", "mean", None, None, "<=", 0.001)),
        ("udp-bandwidth.loss_ratio.mean == 0", ("loss_ratio", "mean", None, None, "==", 0.0)),
        ("path-mtu.mean@pod-to-pod >= 1450 B", ("mtu_bytes", "mean", "pod-to-pod", None, ">=", 1450.0)),
        ("tcp-bandwidth.retransmits.mean < 1e2", ("retransmits", "mean", None, None, "<", 100.0)),
        ("tcp-request-response.mean > 10 k/s", ("transactions_per_second", "mean", None, None, ">", 1e4)),
        (
            "tcp-bandwidth.source_cpu_seconds_per_gigabyte.mean < 400 ms/GB",
            ("source_cpu_seconds_per_gigabyte", "mean", None, None, "<", 0.4),
        ),
        (
            "tcp-latency.max@pod-to-service/local != .5 s",
            ("round_trip_seconds", "max", "pod-to-service", "local", "!=", 0.5),
        ),
    ],
)
def test_an_expectation_is_read(text: str, parts: tuple[object, ...]) -> None:
    read = parse(text)
    assert (read.value, read.statistic, read.path, read.where, read.op) == parts[:5]
    assert read.bound == pytest.approx(parts[5])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("it should read TEST", "tcp-bandwidth.mean")),
        ("fast please", ("it should read TEST",)),
        ("tcp-bandwith.mean > 1 Gbit/s", ("TEST", "did you mean tcp-bandwidth")),
        ("tcp-bandwidth > 1 Gbit/s", ("STATISTIC", "mean, stdev, min")),
        ("tcp-bandwidth.bits_per_second > 1 Gbit/s", ("STATISTIC", "bits_per_second.mean")),
        ("tcp-bandwidth.average > 1 Gbit/s", ("STATISTIC", "p999")),
        ("tcp-bandwidth.loss_ratio.mean < 1 %", ("VALUE", "retransmits")),
        ("tcp-bandwidth.mean@pod-to-moon > 1 Gbit/s", ("PATH", "pod-to-pod")),
        ("tcp-bandwidth.mean@pod-to-pod/near > 1 Gbit/s", ("PATH", "/local or /remote")),
        ("tcp-bandwidth.mean@hairpin/remote > 1 Gbit/s", ("PATH", "hairpin has no remote cells")),
        ("tcp-bandwidth.mean => 1 Gbit/s", ("OP", ">=")),
        ("tcp-bandwidth.mean > 1", ("UNIT", "has a unit", "Gbit/s")),
        ("tcp-bandwidth.mean > 1 GB", ("UNIT", "'GB' is no unit of bits_per_second", "Gbit/s")),
        ("tcp-bandwidth.mean > 1 gbit/s", ("UNIT", "Gbit/s")),
        ("tcp-latency.mean < 5 %", ("UNIT", "ms")),
        ("tcp-bandwidth.retransmits.mean < 5 s", ("UNIT", "nothing")),
        ("tcp-bandwidth.mean > 1e999 Gbit/s", ("NUMBER",)),
        ("tcp-bandwidth.source_cpu_seconds_per_gigabyte.p99 < 1 s/GB", ("STATISTIC", "a mean only")),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ExpectationError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"--expect '{text}': ")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_it_holds_where_every_cell_is_as_expected() -> None:
    cells = [cell("a", "b", 9.5e9), cell("b", "a", 9.1e9), cell("a", "a", 4e9)]
    held = outcome("tcp-bandwidth.mean@pod-to-pod/remote >= 9 Gbit/s", cells)
    assert (held.holds, held.planned, held.misses) == (True, 2, ())
    assert "holds" in outcome_in_words(held)
    failed = outcome("tcp-bandwidth.mean >= 9 Gbit/s", cells)
    assert (failed.holds, failed.planned, [miss.source for miss in failed.misses]) == (False, 3, ["a"])
    assert miss_in_words(failed.misses[0], failed.expectation) == "pod-to-pod a by iperf3, repeat 1: 4.00 Gbit/s"
    assert not outcome("tcp-bandwidth.p99 >= 4.6 Gbit/s", cells).holds
    assert outcome("tcp-bandwidth.p99@pod-to-pod/remote >= 4.5 Gbit/s", cells).holds


def test_one_slow_repeat_is_not_averaged_away() -> None:
    cells = [cell("a", "b", 10e9), cell("a", "b", 1e9, repeat=2), cell("a", "b", 16e9, repeat=3)]
    failed = outcome("tcp-bandwidth.mean >= 9 Gbit/s", cells)
    assert [miss.repeat for miss in failed.misses] == [2]


def test_a_gap_fails_it_whatever_kind_of_gap() -> None:
    good = cell("a", "b", 10e9)
    gap = outcome("tcp-bandwidth.mean@pod-to-pod/remote >= 1 bit/s", [good, cell("b", "a", None)])
    assert (gap.holds, gap.gaps) == (False, 1)
    assert "timeout: iperf3 said nothing." in miss_in_words(gap.misses[0], gap.expectation)
    discarded = cell("b", "a", 10e9, outcome="discarded", reason=Reason(code="starved", message="throttled"))
    assert not outcome("tcp-bandwidth.mean >= 1 bit/s", [good, discarded]).holds
    never = outcome("tcp-bandwidth.mean >= 1 bit/s", [good], planned=[good, cell("b", "a", None)])
    assert (never.planned, [(miss.source, miss.reason) for miss in never.misses]) == (2, [("b", "cancelled")])
    not_given = outcome("tcp-bandwidth.round_trip_seconds.mean < 1 s", [good])
    assert "iperf3 gives no round_trip_seconds" in (not_given.misses[0].reason or "")
    assert not outcome("tcp-bandwidth.max >= 1 bit/s", [good]).holds
    nothing = outcome("udp-latency.mean < 1 s", [good])
    assert (nothing.holds, nothing.planned) == (False, 0)
    assert "no such cell" in outcome_in_words(nothing)


def test_what_hosts_say_can_be_expected() -> None:
    host = Host(cpu_cores=CpuCores(**CPU), cpu_seconds_per_gigabyte=0.5)
    seen = cell("a", "b", 1e9, hosts=Hosts(source=host, target=Host(shared_host=True)))
    assert outcome("tcp-bandwidth.source_cpu_seconds_per_gigabyte.mean < 600 ms/GB", [seen]).holds
    assert not outcome("tcp-bandwidth.source_cpu_seconds_per_gigabyte.mean < 400 ms/GB", [seen]).holds
    shared = outcome("tcp-bandwidth.target_cpu_seconds_per_gigabyte.mean < 1 s/GB", [seen])
    assert shared.misses[0].reason == "shared_host"


def test_a_large_run_has_means_only() -> None:
    cells = [cell("a", "b", 9.5e9), cell("b", "a", None)]
    (found,) = evaluate([parse("tcp-bandwidth.mean@pod-to-pod >= 9 Gbit/s")], tables(NODES, cells), ())
    assert (found.planned, found.gaps, found.misses[0].reason) == (2, 1, "timeout")
    with pytest.raises(ExpectationError, match="means only"):
        evaluate([parse("tcp-bandwidth.p99 >= 9 Gbit/s")], tables(NODES, cells), ())


def test_junit_has_a_case_an_expectation() -> None:
    from netmesh_controller.mesh.document import PlanRecord, Run, RunDocument  # noqa: PLC0415
    from netmesh_controller.mesh.matrix import matrices  # noqa: PLC0415
    from netmesh_controller.surfaces.reports.formats import Choice, ReportError, Wanted, formats  # noqa: PLC0415

    cells = [cell("a", "b", 9.5e9), cell("b", "a", None, reason=Reason(code="timeout", message="\x1b[31m<&>"))]
    run = Run(id="1", state="partial", started_at="2026-11-23T06:00:00.000Z", netmesh_version="0", plan=PlanRecord())
    document = RunDocument(run=run, nodes=NODES, cells=cells, matrices=matrices(NODES, cells))
    texts = (
        "tcp-bandwidth.mean >= 9 Gbit/s",
        "tcp-bandwidth.mean@pod-to-pod/local >= 9 Gbit/s",
        "tcp-bandwidth.mean > 0 bit/s",
    )
    render = formats()[".xml"].render
    root = ET.fromstring(b"".join(render(Wanted.of(document, Choice(expectations=texts)), ".xml")))  # noqa: S314  # netmesh wrote it
    assert root.tag == "testsuites"
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == list(texts)
    assert (suite.get("tests"), suite.get("failures"), suite.get("timestamp")) == ("3", "3", "2026-11-23T06:00:00")
    (failure,) = cases[0].findall("failure")
    assert failure.get("type") == "gap"
    assert "timeout: \ufffd[31m<&>" in (failure.text or "")
    good = RunDocument(run=run, nodes=NODES, cells=cells[:1], matrices=matrices(NODES, cells[:1]))
    root = ET.fromstring(b"".join(render(Wanted.of(good, Choice(expectations=texts[:1])), ".xml")))  # noqa: S314  # netmesh wrote it
    assert root.find(".//failure") is None
    with pytest.raises(ReportError, match="--expect"):
        list(render(Wanted.of(good, Choice()), ".xml"))
