"""The test cluster itself: nodes, pods of the agent's image, Services in both of kube-proxy's modes, faults."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest
from tests.kube.cluster import Cluster, ClusterError
from tests.kube.cluster.processes import wait_until

pytestmark = pytest.mark.timeout(1800)  # the first test may build Kubernetes

NAMESPACE = "harness"
_ANSWER = """
import http.server, os, socket
class Node(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["NODE"].encode())
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
print("serves", flush=True)
Server(("::", 8080), Node).serve_forever()
"""
_ASK = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


def _pods(image: str) -> dict[str, object]:
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {
        "name": "answer",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["tini", "--", "python3", "-c", _ANSWER],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "securityContext": secure,
    }
    spec = {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    labels = {"app": "answer"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "answer"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "answer"},
    "spec": {
        "selector": {"app": "answer"},
        "ipFamilyPolicy": "RequireDualStack",
        "type": "NodePort",
        "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}],
    },
}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace under the restricted profile: a DaemonSet of the agent's image, all Ready, and its Service."""
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": restricted}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    for thing in (_pods("netmesh-agent:0.1.0"), _SERVICE):
        cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(thing))
    cluster.kubectl("rollout", "status", "daemonset/answer", "-n", NAMESPACE, "--timeout=90s")
    yield NAMESPACE
    cluster.kubectl("delete", "namespace", NAMESPACE)


def _asked(cluster: Cluster, address: str, times: int = 60) -> set[str]:
    """Which nodes answered a pod that asked this address so often, each time anew."""
    pod = cluster.get("pods", "-n", NAMESPACE)["items"][0]["metadata"]["name"]
    ask = ("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", _ASK, f"http://{address}", str(times))
    return set(cluster.kubectl(*ask).split())


def test_three_nodes_are_ready_in_two_zones_with_addresses_of_both_families(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    zones = {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"node-1": "a", "node-2": "a", "node-3": "b"}
    assert cluster.ready_nodes() == set(zones)
    for node in nodes:
        addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert [":" in address for address in addresses] == [False, True]


def test_pods_of_the_agents_image_run_on_all_nodes_and_answer_exec_and_logs(cluster: Cluster, namespace: str) -> None:
    pods = cluster.get("pods", "-n", namespace)["items"]
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-1", "node-2", "node-3"}
    name = pods[0]["metadata"]["name"]
    assert cluster.kubectl("logs", "-n", namespace, name) == "serves\n"
    assert "uid=65532" in cluster.kubectl("exec", "-n", namespace, name, "--", "id")
    tools = cluster.kubectl("exec", "-n", namespace, name, "--", "sh", "-c", "iperf3 --version; which qperf sockperf")
    assert "iperf 3." in tools


@pytest.mark.parametrize("mode", ["nftables", "iptables"])
def test_a_service_leads_to_every_node_in_both_families_and_modes(cluster: Cluster, namespace: str, mode: str) -> None:
    cluster.set_proxy_mode(mode)
    v4, v6 = cluster.get("service", "answer", "-n", namespace)["spec"]["clusterIPs"]
    everyone = {"node-1", "node-2", "node-3"}
    wait_until("The Service leads to all nodes", lambda: _asked(cluster, v4) == everyone, 60)
    wait_until("It does so over IPv6", lambda: _asked(cluster, f"[{v6}]") == everyone, 60)
    said = subprocess.run(["curl", "-s", "-m", "5", "http://198.18.79.13:30080"], capture_output=True, check=True)
    assert said.stdout.decode() in everyone


def test_the_restricted_profile_is_enforced(cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        cluster.kubectl("run", "root", "-n", namespace, "--image=netmesh-agent:0.1.0", "--privileged")


def test_the_audit_log_tells_who_did_what(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("get", "pods", "-n", namespace, "--as=someone", "--as-group=system:masters")

    def asked() -> set[str]:
        entries = [json.loads(line) for line in cluster.control_plane.audit_log.read_text().splitlines()]
        as_someone = [entry for entry in entries if entry.get("impersonatedUser", {}).get("username") == "someone"]
        # kubectl may also look what there is, which names no object.
        return {entry["objectRef"]["resource"] for entry in as_someone if "objectRef" in entry}

    wait_until("The log tells of it", asked, 10)
    assert asked() == {"pods"}


def test_a_node_that_is_cut_off_is_not_ready_until_it_is_mended(cluster: Cluster) -> None:
    cluster.plug(3, up=False)
    wait_until("node-3 is NotReady", lambda: "node-3" not in cluster.ready_nodes(), 60)
    cluster.plug(3, up=True)
    cluster.wait_ready()


def test_a_node_is_added_and_removed(cluster: Cluster) -> None:
    cluster.add_node(4)
    cluster.wait_ready()
    cluster.remove_node(4)
    assert cluster.ready_nodes() == {"node-1", "node-2", "node-3"}


def test_the_api_server_is_restarted_and_etcd_compacted(cluster: Cluster) -> None:
    old = json.loads(cluster.kubectl("get", "--raw", "/api/v1/nodes?limit=1"))["metadata"]["resourceVersion"]
    cluster.kubectl("annotate", "node", "node-1", "netmesh.test/touched=yes", "--overwrite")
    cluster.control_plane.compact()
    cluster.control_plane.apiserver.restart(signal.SIGKILL)  # it would wait a minute for the watches to end
    cluster.control_plane.wait_ready()
    # A watch answers 200 and tells the rest as an event.
    said = cluster.kubectl("get", "--raw", f"/api/v1/nodes?watch=1&resourceVersion={old}&timeoutSeconds=5")
    assert json.loads(said.splitlines()[0])["object"]["code"] == 410
