"""Faults of a lab, found by name and place; each diagnosis is a command of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.cli import Controller, one_sentence

from netmesh_controller.lab import Lab, exec_argv

pytestmark = pytest.mark.measures


def diagnosed(controller: Controller, lab: Lab, *options: str, code: int = 5) -> dict[str, Any]:
    answer = controller("diagnose", "node-1", "node-2", "--lab", lab.name, "--quick", "--format", "json", *options)
    assert answer.code == code, answer.stdout + answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    assert found["schema"] == "netmesh.diagnosis/1"
    return found


FAULTS = {
    "loss one way": ("pairs: [{from: node-1, to: node-2, loss: 0.05}]", "loss_on_path", {"source": "node-1"}),
    "a black hole": (
        "pairs: [{from: node-1, to: node-2, drop_larger_than: 1300, icmp: false}]",
        "mtu_black_hole",
        {"source": "node-1", "target": "node-2"},
    ),
    "a narrow link": ("links: {node-2: {mtu: 1400}}", "mtu_mismatch", {"source": "node-1"}),
    "nothing gets through": ("pairs: [{from: node-1, to: node-2, loss: 1.0}]", "unreachable", {"source": "node-1"}),
    "a CPU limit": ("pods: {node-2: {cpu: 0.05}}", "throttled", {"node": "node-2"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(controller: Controller, lab: Callable[[str], Lab], fault: str) -> None:
    text, code, where = FAULTS[fault]
    found = diagnosed(controller, lab(f"nodes: 3\n{text}"))
    first = found["verdicts"][0]
    assert first["code"] == code, found["verdicts"]
    assert where.items() <= first["where"].items()
    assert found["traffic_bytes"] >= 0
    assert found["duration_seconds"] < 60


def test_a_port_is_blocked(controller: Controller, lab: Callable[[str], Lab]) -> None:
    running = lab("nodes: 3")
    rule = ("iptables", "-I", "INPUT", "-p", "tcp", "--dport", "61863:61870", "-j", "DROP")
    subprocess.run(exec_argv(running.name, "node-2", "agent", rule), check=True)
    first = diagnosed(controller, running)["verdicts"][0]
    assert (first["code"], first["where"]["protocol"]) == ("blocked", "TCP")


def test_people_are_told_what_and_why(controller: Controller, lab: Callable[[str], Lab]) -> None:
    running = lab("nodes: 3\npairs: [{from: node-2, to: node-1, loss: 0.1}]")
    answer = controller("diagnose", "node-1", "node-2", "--lab", running.name, "--quick", "--protocol")
    assert answer.code == 5
    assert answer.stdout.startswith("loss on path (")
    for word in ("node-2 to node-1", "measured", "expected", "What to do:", "probe", "of traffic"):
        assert word in answer.stdout
    # It is a run like any other.
    latest = controller("runs", "list", "--format", "json")
    assert latest.code == 0
    assert "diagnose" in latest.stdout


def test_wrong_nodes_end_in_one_sentence(controller: Controller, lab: Callable[[str], Lab]) -> None:
    running = lab("nodes: 2")
    answer = controller("diagnose", "node-1", "node-9", "--lab", running.name, "--quick")
    assert answer.code == 2
    assert "there is no node node-9" in one_sentence(answer)
