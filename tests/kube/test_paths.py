"""What a mesh of pods, Services and hosts shows, in both of kube-proxy's modes."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator

import pytest
from tests.kube.installed import HOST_NAMESPACE, HOST_NETWORK, NAMESPACE, Netmesh, every_pair, figures, gaps, pairs

from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.share import shares
from netmesh_controller.mesh.table import from_document

pytestmark = pytest.mark.timeout(1800)

TESTS = ("tcp-bandwidth", "udp-bandwidth", "tcp-latency", "udp-latency")
QUICK = ("--duration", "1s", "--omit", "0s")
# Not qperf: it waits for ever for a datagram that is lost, which happens on a machine that others use too.
TOOLS = ("--tool", "iperf3,sockperf")


def _sweep(netmesh: Netmesh, mode: str) -> RunDocument:
    paths = "pod-to-pod,pod-to-service,hairpin"
    document = netmesh.sweep("--paths", paths, "--tests", ",".join(TESTS), "--name", mode, *QUICK, *TOOLS)
    netmesh.wait_clean()
    return document


@pytest.fixture(scope="module")
def by_mode(deployed: Netmesh) -> dict[str, RunDocument]:
    """A sweep of all pod paths under each mode of kube-proxy."""
    deployed.cluster.set_proxy_mode("nftables")
    nftables = _sweep(deployed, "nftables")
    deployed.cluster.set_proxy_mode("iptables")
    return {"nftables": nftables, "iptables": _sweep(deployed, "iptables")}


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_every_pair_has_a_value_on_every_path(by_mode: dict[str, RunDocument], mode: str) -> None:
    document = by_mode[mode]
    assert gaps(document) == []
    for test in TESTS:
        assert pairs(document, "pod-to-pod", test) == every_pair(local=True)
        assert pairs(document, "pod-to-service", test) == every_pair(local=True)
        assert pairs(document, "hairpin", test) == every_pair(local=True, remote=False)
    assert document.run.facts["kubernetes"]["kube_proxy_mode"] == mode
    assert document.run.facts["kubernetes"]["version"] == "v1.36.4"
    known = {"kernel": platform.release(), "mtu_bytes": 1500, "kubelet_version": "v1.36.4"}
    for node in document.nodes:
        assert {name: node.facts[name] for name in known} == known


def test_two_runs_under_different_modes_compare(netmesh: Netmesh, by_mode: dict[str, RunDocument]) -> None:
    answer = netmesh("compare", "iptables", "nftables", "--format", "json")
    assert answer.code == 0, answer.stderr
    comparison = json.loads(answer.stdout)
    differ = {fact["name"]: fact["answers"] for fact in comparison["facts"]}
    assert differ["kubernetes.kube_proxy_mode"] == [["iptables"], ["nftables"]]
    assert {group["path"] for group in comparison["groups"]} == {"pod-to-pod", "pod-to-service", "hairpin"}


def test_services_are_reached_over_ipv6(netmesh: Netmesh) -> None:
    tests = ("tcp-bandwidth", "udp-bandwidth")
    options = ("--tests", ",".join(tests), "--rate", "8M", "--tool", "iperf3", *QUICK)  # sockperf has no IPv6
    document = netmesh.sweep("--paths", "pod-to-service", "--family", "6", *options)
    assert gaps(document) == []
    for test in tests:
        assert pairs(document, "pod-to-service", test) == every_pair(local=True)


@pytest.fixture(scope="module")
def hosts(deployed: Netmesh) -> Iterator[Netmesh]:
    """netmesh with agents in the hosts' network beside those in pods."""
    deployed.apply(HOST_NETWORK)
    deployed.wait_ready(HOST_NAMESPACE)
    yield deployed
    deployed.delete(HOST_NETWORK)


def test_hosts_are_the_baseline_of_pods(hosts: Netmesh) -> None:
    paths = "host-to-host,pod-to-pod,pod-to-host,host-to-pod"
    document = hosts.sweep("--paths", paths, "--tests", "tcp-bandwidth", *QUICK, "--tool", "iperf3")
    assert gaps(document) == []
    assert pairs(document, "host-to-host", "tcp-bandwidth") == every_pair(local=False)
    assert pairs(document, "host-to-pod", "tcp-bandwidth") == every_pair(local=True)
    assert shares([from_document(matrix) for matrix in document.matrices], document.cells)


def test_a_node_port_is_measured_as_a_target_outside(netmesh: Netmesh) -> None:
    cluster = netmesh.cluster
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "node-port", "namespace": NAMESPACE},
        "spec": {
            "type": "NodePort",
            "selector": {"app.kubernetes.io/component": "agent"},
            "ports": [{"port": 9411, "nodePort": 30090}],
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(service))
    try:
        target = "pod-to-nodeport:port=198.18.79.13:30090"
        document = netmesh.sweep("--target", target, "--tests", "tcp-connect", "--paths", "pod-to-nodeport", *QUICK)
    finally:
        cluster.kubectl("delete", "service", "node-port", "-n", NAMESPACE)
    assert gaps(document) == []
    assert len(figures(document, "tcp-connect", "connect_seconds", lambda cell: cell.path == "pod-to-nodeport")) == 3


def test_a_control_plane_node_is_left_out_of_bandwidth_tests_unless_it_is_asked_for(netmesh: Netmesh) -> None:
    role = "node-role.kubernetes.io/control-plane"
    netmesh.cluster.kubectl("label", "node", "node-3", f"{role}=")
    try:
        without = netmesh.sweep("--tests", "tcp-bandwidth,udp-latency", *QUICK, *TOOLS)
        one = ("--nodes", "node-1,node-3", "--tests", "tcp-bandwidth", *QUICK, "--tool", "iperf3")
        with_it = netmesh.sweep("--include-control-plane", *one)
    finally:
        netmesh.cluster.kubectl("label", "node", "node-3", f"{role}-")
    ours = {pair for pair in every_pair(local=True) if "node-3" not in pair}
    assert pairs(without, "pod-to-pod", "tcp-bandwidth") == ours
    assert pairs(without, "pod-to-pod", "udp-latency") == every_pair(local=True)
    asked = {pair for pair in every_pair(local=True) if "node-2" not in pair}
    assert pairs(with_it, "pod-to-pod", "tcp-bandwidth") == asked


def test_the_estimate_splits_the_traffic_by_zone_pair(netmesh: Netmesh) -> None:
    answer = netmesh("sweep", "--tests", "udp-bandwidth", "--rate", "8M", "--dry-run", *QUICK)
    assert answer.code == 0, answer.stderr
    for zones in ("a -> b", "b -> a", "a -> a"):
        assert zones in answer.stdout


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--nodes", "node-1,node-2"), {"node-1", "node-2"}),
        (("--exclude", "node-1"), {"node-2", "node-3"}),
        (("--zones", "a"), {"node-1", "node-2"}),
        (("--selector", "kubernetes.io/hostname in (node-1,node-3)"), {"node-1", "node-3"}),
    ],
)
def test_nodes_are_selected(netmesh: Netmesh, options: tuple[str, str], left: set[str]) -> None:
    answer = netmesh("sweep", "--tests", "tcp-connect", "--dry-run", *options)
    assert answer.code == 0, answer.stderr
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("nodes ")]
    assert set(line.partition(": ")[2].split(", ")) == left
