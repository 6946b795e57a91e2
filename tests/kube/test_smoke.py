"""The way of a first user: apply, one sweep, an agent that dies meanwhile, clean-up."""

from __future__ import annotations

import json

import pytest
from tests.kube.cluster import Cluster
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import DEPLOY, NAMESPACE, NODES, Netmesh, every_pair, figures, gaps, pairs

pytestmark = pytest.mark.timeout(2400)  # the first test may build Kubernetes

# Not qperf: it waits for ever for a datagram that is lost, which happens on a machine that others use too.
QUICK = ("--duration", "1s", "--omit", "0s", "--tool", "iperf3,sockperf")


@pytest.fixture(scope="module")
def first(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Netmesh:
    """netmesh before anybody applied it."""
    netmesh = Netmesh(cluster, tmp_path_factory.mktemp("operator"))
    netmesh.delete()
    return netmesh


def test_apply_is_all_that_is_needed(first: Netmesh) -> None:
    said = first.apply()
    assert "Warning" not in said
    first.wait_ready()
    namespace = first.cluster.get("namespace", NAMESPACE)["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"
    assert set(first.pods("agent")) == set(first.pods("peer")) == set(NODES)
    secrets = {secret["metadata"]["name"] for secret in first.cluster.get("secrets", "-n", NAMESPACE)["items"]}
    assert {"netmesh-ca", "netmesh-agent", "netmesh-controller", "netmesh-token"} <= secrets
    pods = json.dumps(first.cluster.get("pods", "-n", NAMESPACE))
    assert "netmesh-ca" not in pods  # the authority's key is mounted nowhere


def test_a_sweep_from_outside_fills_every_matrix(first: Netmesh) -> None:
    first.grant()
    paths = "pod-to-pod,pod-to-service,hairpin"
    document = first.sweep("--paths", paths, "--tests", "tcp-bandwidth,udp-latency", *QUICK)
    assert gaps(document) == []
    assert document.run.state == "complete"
    for test in ("tcp-bandwidth", "udp-latency"):
        assert pairs(document, "pod-to-pod", test) == every_pair(local=True)
        assert pairs(document, "pod-to-service", test) == every_pair(local=True)
        assert pairs(document, "hairpin", test) == every_pair(local=True, remote=False)
    assert min(figures(document, "tcp-bandwidth", "bits_per_second")) > 1e6
    assert min(figures(document, "udp-latency", "round_trip_seconds")) > 1e-6
    assert {node.name: node.zone for node in document.nodes} == {"node-1": "a", "node-2": "a", "node-3": "b"}
    assert document.run.facts["kubernetes"]["kube_proxy_mode"] == "iptables"
    first.wait_clean()


def test_an_agent_that_is_killed_costs_no_false_number(first: Netmesh) -> None:
    """Its cells wait for its successor, or say why they have no value; no other cell is worse for it."""
    options = ("--tests", "tcp-bandwidth", "--duration", "3s", "--omit", "0s", "--name", "killed")
    running = first.start("sweep", *options)
    wait_until("A tool runs", lambda: any(left.startswith("process") for left in first.left_behind()), 60)
    victim = first.pods("agent")["node-2"]["metadata"]["name"]
    first.cluster.kubectl("delete", "pod", victim, "-n", NAMESPACE, "--grace-period=0", "--force")
    said, errors = running.communicate(timeout=300)
    assert running.returncode in (0, 3), said + errors
    document = first.run("killed")
    assert len(document.cells) == len(NODES) ** 2
    for cell in document.cells:
        if "node-2" not in (cell.source, cell.target):
            assert cell.outcome == "measured", cell
        elif cell.reason:
            assert cell.reason.code in ("agent_lost", "unreachable", "agent_away"), cell
    assert min(figures(document, "tcp-bandwidth", "bits_per_second")) > 1e6
    first.wait_ready()
    first.wait_clean()


def test_delete_leaves_nothing(first: Netmesh) -> None:
    first.delete()
    assert first.cluster.kubectl("get", "-k", str(DEPLOY), "--ignore-not-found", "--output=name") == ""
    names = {one["metadata"]["name"] for one in first.cluster.get("namespaces")["items"]}
    assert NAMESPACE not in names
    assert first.left_behind() == []
