"""Outcomes with anything in them, as a broken agent might send them: refused, or a cell of numbers."""

from __future__ import annotations

import math

from hypothesis import event, given
from hypothesis import strategies as st
from tests.support.fuzzing import fuzzed

from netmesh.v1 import agent_pb2
from netmesh_controller.clients.agents import side_of
from netmesh_controller.clients.heard import HeardError
from netmesh_controller.mesh.assemble import cell_from
from netmesh_controller.mesh.document import Cell, CellKey, Parameters
from netmesh_controller.mesh.evidence import Evidence

FIGURE = st.sampled_from([0.0, 1.0, 1e-3, 1e9, 2.5e10, 1e18, -1.0, 5e-324] * 4 + [1e308, -1e308, math.nan, math.inf])
NAMES = st.sampled_from(
    [
        *("bits_per_second", "retransmits", "jitter_seconds", "loss_ratio", "round_trip_seconds"),
        *("network_round_trip_seconds", "forward_loss_ratio", "no_such_value"),
    ]
)
SPREAD = [name for name in agent_pb2.Summary.DESCRIPTOR.fields_by_name if name not in ("mean", "count")]
KINDS = (
    ("tcp-bandwidth", "iperf3"),
    ("udp-bandwidth", "iperf3"),
    ("udp-latency", "stamp"),
    ("tcp-latency", "qperf"),
    ("path-mtu", "netmesh"),
)


@st.composite
def outcomes(draw: st.DrawFn) -> agent_pb2.Outcome:
    """Any values, intervals and words, or a failure."""
    outcome = agent_pb2.Outcome(
        command=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
        started_monotonic_nanoseconds=draw(st.integers(0, 2**64 - 1)),
        ended_monotonic_nanoseconds=draw(st.integers(0, 2**64 - 1)),
    )
    if draw(st.booleans()):
        outcome.tool_cpu_seconds = draw(FIGURE)
    if draw(st.integers(0, 9)) == 0:
        outcome.failure.code = draw(st.sampled_from(["timeout", "no_such_code", ""]))
        return outcome
    for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        summary = outcome.reading.values[name]
        summary.mean, summary.count = draw(FIGURE), draw(st.sampled_from([0, 1, 2, 2**64 - 1]))
        for figure in draw(st.lists(st.sampled_from(SPREAD), max_size=3, unique=True)):
            setattr(summary, figure, draw(FIGURE))
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        outcome.reading.intervals[name].values.extend(draw(st.lists(FIGURE, max_size=4)))
    for name in draw(st.lists(st.sampled_from(["waited_seconds", "socket_drops", "words"]), unique=True)):
        outcome.reading.reported[name] = draw(FIGURE)
    return outcome


@given(outcomes(), outcomes(), st.sampled_from(KINDS))
@fuzzed(200)
def test_fuzzed_outcomes_are_refused_or_make_a_cell_of_numbers(
    at_source: agent_pb2.Outcome, at_target: agent_pb2.Outcome, kind: tuple[str, str]
) -> None:
    try:
        client, server = side_of(at_source), side_of(at_target)
    except HeardError:
        event("refused")
        return
    test, instrument = kind
    key = CellKey(
        path="pod-to-pod", test=test, source="a", target="b", repeat=1, parameters=Parameters(instrument=instrument)
    )
    evidence = Evidence(key, 1, "2026-01-01T00:00:00.000+00:00", 6.0, client=client, server=server)
    cell = cell_from(evidence, duration_seconds=5, omit_seconds=1)
    event(cell.outcome)
    # A number that is none cannot be read again.
    assert Cell.model_validate_json(cell.model_dump_json()) == cell
