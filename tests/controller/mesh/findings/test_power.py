"""Findings by simulation: none on healthy meshes, the right kind and place on meshes with one fault.

Every mesh has three series (TCP bandwidth, latency, UDP with its loss), noise with a heavy tail, tests that something
disturbs, nodes and zones that differ without a fault, and gaps. Seeds are fixed.
"""

import math
from collections.abc import Iterable

import numpy as np
import pytest
from tests.controller.mesh.findings.faults import (
    Fault,
    What,
    gathered,
    node_fault,
    nodes_of,
    pair_fault,
    put,
    said,
    zone_fault,
)
from tests.controller.mesh.findings.healthy import Mesh, healthy

from netmesh_controller.mesh.document import Finding
from netmesh_controller.mesh.findings import find

FAULTS = {"node": node_fault, "pair": pair_fault, "zones": zone_fault}


def meshes(
    count: int, repeats: int, runs: int, gaps: float, zones: int | None = None, *, held_up: float = 0.0
) -> list[Mesh]:
    return [
        healthy(np.random.default_rng([count, repeats, run]), count, repeats, gaps=gaps, zones=zones, held_up=held_up)
        for run in range(runs)
    ]


@pytest.mark.parametrize("repeats", [1, 3])
def test_healthy_meshes_show_nothing(repeats: int) -> None:
    """At most 5 % of the runs show any finding, over all sizes together and of each size."""
    shown: dict[int, float] = {}
    sizes = {4: 100, 5: 60, 6: 60, 8: 60, 12: 50, 20: 40, 40: 20, 100: 10}
    for count, runs in sizes.items():
        found = [
            bool(find(nodes_of(mesh), gathered(mesh), duration_seconds=5.0))
            for gaps in (0.0, 0.1)
            for mesh in meshes(count, repeats, runs // 2, gaps)
        ]
        shown[count] = sum(found)
    assert sum(shown.values()) <= 0.05 * sum(sizes.values()), shown
    for count, number in shown.items():
        # What a rate of 5 % exceeds by chance once in a thousand times.
        assert number <= 0.05 * sizes[count] + 3.1 * math.sqrt(0.05 * 0.95 * sizes[count]), shown


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_tests_that_a_busy_machine_holds_up_are_no_findings(repeats: int) -> None:
    """One bandwidth test in 50 has a third of the rate or so: what is measured again is right nearly always."""
    sizes = {6: 60, 9: 40, 20: 15}
    shown = {
        count: sum(bool(said(mesh)) for mesh in meshes(count, repeats, runs, 0.02, held_up=1 / 50))
        for count, runs in sizes.items()
    }
    assert sum(shown.values()) <= 0.05 * sum(sizes.values()), shown


@pytest.mark.parametrize(("place", "size"), [("node", 0.5), ("pair", 0.3)])
def test_a_fault_is_found_among_tests_that_are_held_up(place: str, size: float) -> None:
    sizes = {6: 60, 20: 15}
    faulty = (mesh for count, runs in sizes.items() for mesh in meshes(count, 1, runs, 0.02, held_up=1 / 100))
    assert_found(faulty, place, "out" if place == "node" else "forward", "bandwidth", size)


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize(
    ("place", "direction", "what", "once", "thrice"),
    [
        ("node", "out", "bandwidth", 0.5, 0.65),
        ("node", "in", "bandwidth", 0.5, 0.65),
        ("node", "both", "bandwidth", 0.5, 0.65),
        ("node", "both", "round_trip", 3.0, 2.2),
        ("node", "out", "loss", 0.02, 0.02),
        ("node", "in", "loss", 0.02, 0.02),
        ("node", "both", "loss", 0.02, 0.02),
        ("pair", "forward", "bandwidth", 0.3, 0.5),
        ("pair", "both", "bandwidth", 0.5, 0.6),
        ("pair", "both", "round_trip", 3.0, 2.2),
        ("pair", "forward", "loss", 0.03, 0.02),
        ("zones", "forward", "bandwidth", 0.5, 0.5),
        ("zones", "both", "bandwidth", 0.5, 0.5),
        ("zones", "both", "round_trip", 4.0, 4.0),
        ("zones", "forward", "loss", 0.02, 0.02),
    ],
)
def test_one_fault_is_found_where_it_is(
    place: str, direction: str, what: What, once: float, thrice: float, repeats: int
) -> None:
    """The right kind and place in at least 95 % of the runs, of every size; and nothing wrong beside it."""
    zones = None if place != "zones" else (4 if what == "round_trip" else 3)
    sizes = {12: 20, 20: 15, 60: 5} if place == "zones" else {6: 25, 8: 20, 12: 20, 20: 15, 60: 5}
    faulty = (mesh for count, runs in sizes.items() for mesh in meshes(count, repeats, runs, 0.02, zones))
    assert_found(faulty, place, direction, what, once if repeats == 1 else thrice)


def assert_found(faulty: Iterable[Mesh], place: str, direction: str, what: What, size: float) -> None:
    """A fault that is put into each mesh is found in at least 95 %, and nothing wrong beside it in as many."""
    right = wrong = runs = 0
    for mesh in faulty:
        fault = FAULTS[place](mesh, what, direction)
        put(mesh, fault, what, size)
        found = said(mesh)
        runs += 1
        right += any(fault.said_by(one) for one in found)
        wrong += any(not belongs(fault, one) for one in found)
    assert right >= 0.95 * runs, (right, runs)
    assert wrong <= 0.05 * runs, (wrong, runs)


def belongs(fault: Fault, finding: Finding) -> bool:
    """A pair that is slow one way is asymmetric too."""
    if finding.kind == "asymmetric_pair" and fault.kind == "slow_pair":
        return all(finding.where[end] == fault.where[end] for end in ("source", "target"))
    return fault.said_by(finding)
