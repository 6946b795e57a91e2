"""A pair of nodes is diagnosed from outside: one that is healthy, and one between which packets are lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kube.cluster.network import enter
from tests.kube.cluster.processes import run
from tests.kube.cluster.settings import NodeAddresses
from tests.kube.installed import Netmesh

pytestmark = pytest.mark.timeout(900)

DIAGNOSIS_SECONDS = 600

_EVERY_TENTH = ("-m", "statistic", "--mode", "nth", "--every", "10", "--packet", "0", "-j", "DROP")


def _diagnosed(netmesh: Netmesh, source: str, target: str) -> dict[str, Any]:
    running = netmesh.start("diagnose", source, target, "--format", "json")
    try:
        said, errors = running.communicate(timeout=DIAGNOSIS_SECONDS)
    finally:
        running.kill()
    assert running.returncode in (0, 3, 5), errors
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture
def lossy(netmesh: Netmesh) -> Iterator[Netmesh]:
    """Every tenth packet that node-1 forwards to the pods of node-3 is dropped."""
    rule = ("FORWARD", "-d", NodeAddresses(3).pods_v4, *_EVERY_TENTH)
    inside = enter(NodeAddresses(1).namespace)
    run(*inside, "iptables", "-I", *rule)
    yield netmesh
    run(*inside, "iptables", "-D", *rule)


def test_a_diagnosis_from_outside_goes_through_a_service_and_leaves_none(netmesh: Netmesh) -> None:
    found = _diagnosed(netmesh, "node-1", "node-2")
    codes = {verdict["code"] for verdict in found["verdicts"]}
    # What the machine's load makes of bandwidths is not asserted; what cuts a path is.
    assert not codes & {"unreachable", "blocked", "mtu_black_hole", "mtu_mismatch"}
    steps = {step["name"]: step for step in found["steps"]}
    assert steps["service"]["reason"] is None
    cells = [cell for cell in netmesh.run(found["run"]).cells if cell.path == "pod-to-service"]
    assert [(cell.source, cell.target, cell.outcome) for cell in cells] == [("node-1", "node-2", "measured")]
    netmesh.wait_clean()


def test_packets_that_a_node_drops_are_the_verdict(lossy: Netmesh) -> None:
    found = _diagnosed(lossy, "node-1", "node-3")
    lost = [verdict for verdict in found["verdicts"] if verdict["code"] == "loss_on_path"]
    assert [verdict["where"] for verdict in lost] == [{"source": "node-1", "target": "node-3"}], found["verdicts"]
    lossy.wait_clean()
