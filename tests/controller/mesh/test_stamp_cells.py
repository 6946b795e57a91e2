"""STAMP in a plan and in its cells: beside the other instruments of udp-latency, with values of its own."""

from __future__ import annotations

from typing import Any

import pytest

from netmesh_controller.mesh.ask import AskError, ask_from
from netmesh_controller.mesh.assemble import cell_from
from netmesh_controller.mesh.catalogue import TESTS, UNITS
from netmesh_controller.mesh.document import Agent, CellKey, Node, Parameters, SourcePort, Summary
from netmesh_controller.mesh.evidence import Evidence, Side
from netmesh_controller.mesh.matrix import matrices
from netmesh_controller.mesh.plan import Plan, make_plan

FACTS: dict[str, Any] = {"tools": {"qperf": "1", "sockperf": "1", "stamp": "1"}, "mtu_bytes": 1500}


def plan(**asked: Any) -> Plan:
    nodes = [Node(name=f"node-{n}", agents=[Agent(role="pod", address=f"10.0.0.{n}", facts=FACTS)]) for n in (1, 2)]
    return make_plan(ask_from({"tests": "udp-latency", "pairs": "node-1:node-2", **asked}), nodes)


def instruments(made: Plan) -> list[str]:
    return [one.variant.parameters.instrument for one in made.measurements]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["qperf", "stamp"]),
        ({"tool": "sockperf"}, ["sockperf", "stamp"]),
        ({"tool": "stamp,sockperf"}, ["stamp", "sockperf"]),
        ({"tool": "stamp"}, ["stamp"]),
        ({"tool": "sockperf", "stamp": False}, ["sockperf"]),
        ({"tests": "tcp-latency"}, ["qperf"]),
        # It cannot, and nobody asked for it: no gap.
        ({"message-sizes": "64"}, ["qperf"]),
        ({"message-sizes": "72"}, ["qperf", "stamp"]),
    ],
)
def test_stamp_stands_beside_unless_it_is_refused(asked: dict[str, Any], expected: list[str]) -> None:
    made = plan(**asked)
    assert instruments(made) == expected
    assert made.gaps == ()


def test_it_is_told_a_rate_and_a_warm_up() -> None:
    made = plan(tool="stamp", **{"message-rate": 250, "duration": 7, "omit": 2})
    (one,) = made.measurements
    assert one.variant.parameters.offered_per_second == 250
    assert one.seconds == 9.5


def test_it_cannot_be_asked_for_and_refused() -> None:
    with pytest.raises(AskError, match="stamp: it is asked for and refused"):
        ask_from({"tests": "udp-latency", "tool": "stamp", "stamp": False})


def test_a_rate_limit_counts_its_packets() -> None:
    made = plan(tool="stamp", **{"max-rate": "500k"})
    (gap,) = made.gaps
    assert gap.reason is not None
    assert "1000 messages of 72 bytes a second are 576 kbit/s" in gap.reason.message


def evidence(**reported: float) -> Evidence:
    values = {
        name: Summary(mean=0.0)
        for name in TESTS["udp-latency"].values_by("stamp")
        if name not in ("forward_delay_seconds", "return_delay_seconds")
    }
    parameters = Parameters(instrument="stamp", family=4, offered_per_second=1000)
    key = CellKey(path="pod-to-pod", test="udp-latency", source="a", target="b", repeat=1, parameters=parameters)
    ports = (SourcePort(port=4000, sent=3, lost=1, min_seconds=1e-5, p50_seconds=2e-5),)
    client = Side("sender", 0.0, 6.0, values=values, reported={"sent": 3.0}, source_ports=ports)
    server = Side("reflector", 0.0, 6.0, reported={"reflected": 3.0, **reported})
    return Evidence(key, 1, "2026-11-25T00:00:00Z", 6.0, client=client, server=server)


def test_a_cell_has_its_values_and_its_ports() -> None:
    cell = cell_from(evidence(socket_drops=0), duration_seconds=5, omit_seconds=1)
    assert cell.tool.reported == {"sent": 3.0, "reflector_reflected": 3.0, "reflector_socket_drops": 0}
    assert [(port.port, port.sent, port.lost) for port in cell.tool.source_ports] == [(4000, 3, 1)]
    # Of clocks that nobody keeps nothing is said: null, and not 0.
    assert cell.values["forward_delay_seconds"] is None
    loss = cell.values["forward_loss_ratio"]
    assert loss is not None
    made = matrices([Node(name="a"), Node(name="b")], [cell])
    assert made[0].value == "network_round_trip_seconds"
    assert {matrix.value for matrix in made} >= {"host_seconds", "return_loss_ratio", "late_packets"}
    assert all(matrix.unit == UNITS[matrix.value] for matrix in made)


def test_what_the_target_had_no_room_for_is_not_called_the_networks_loss() -> None:
    cell = cell_from(evidence(socket_drops=2), duration_seconds=5, omit_seconds=1)
    assert cell.values["loss_ratio"] is None
    assert cell.values["forward_loss_ratio"] is None
    assert cell.values["return_loss_ratio"] is not None
    assert cell.tool.reported["reflector_socket_drops"] == 2
