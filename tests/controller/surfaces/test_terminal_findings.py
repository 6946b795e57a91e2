"""Findings in the terminal: a line each, one fault once."""

from io import StringIO
from itertools import permutations

import numpy as np
from rich.console import Console
from tests.controller.mesh.findings.faults import gathered, name, nodes_of, pair_fault, put
from tests.controller.mesh.findings.healthy import healthy

from netmesh_controller.mesh.document import Cell, Finding, Node, Parameters, Summary
from netmesh_controller.mesh.findings import find
from netmesh_controller.mesh.matrix import tables
from netmesh_controller.surfaces.terminal.findings import show_findings, without_twins


def shown(findings: list[Finding], count: int = 6) -> str:
    cells = [
        Cell(
            path="pod-to-pod",
            test="tcp-bandwidth",
            source=source,
            target=target,
            repeat=1,
            attempt=1,
            parameters=Parameters(instrument="iperf3"),
            outcome="measured",
            values={"bits_per_second": Summary(mean=1e9)},
        )
        for source, target in permutations([name(place) for place in range(count)], 2)
    ]
    nodes = [Node(name=name(place)) for place in range(count)]
    out = StringIO()
    show_findings(Console(file=out, width=100, no_color=True), findings, tables(nodes, cells))
    return out.getvalue()


def slow_pair() -> list[Finding]:
    bad = healthy(np.random.default_rng(4), 8, 3, zones=1)
    put(bad, pair_fault(bad, "bandwidth", "forward"), "bandwidth", 0.3)
    return find(nodes_of(bad), gathered(bad))


def test_a_pair_that_is_slow_one_way_is_one_line() -> None:
    findings = slow_pair()
    assert {finding.kind for finding in findings} == {"slow_pair", "asymmetric_pair"}
    assert [finding.kind for finding in without_twins(findings)] == ["slow_pair"]
    lines = shown(findings).splitlines()
    assert lines[0] == "findings"
    assert lines[1].startswith("  slow pair: node-")
    assert "the way back" in " ".join(lines)
    assert "Confidence 99.99 %." in " ".join(line.strip() for line in lines)
    assert "asymmetric" not in shown(findings)
    assert max(map(len, lines)) <= 100


def test_none_is_said_and_so_is_a_mesh_that_is_too_small() -> None:
    assert shown([]) == "findings: none\n\n"
    assert "from 4 nodes on" in shown([], 3)
    assert shown([], 1) == "", "there is no pair that anything could be found of"


def test_many_are_counted() -> None:
    assert "and 5 further findings, in the run document" in shown([slow_pair()[0]] * 25)
