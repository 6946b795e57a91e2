"""Who gets what: the base's objects, strangers in the cluster, callers without the token."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import NAMESPACE, NODES, Netmesh

pytestmark = pytest.mark.timeout(900)

STRANGERS = "strangers"
# In the agent's image: what comes of a call of an agent, with the certificates of a folder or with none.
_CALL = """
import sys, grpc
from netmesh.v1 import agent_pb2, agent_pb2_grpc
target, ca, crt, key = sys.argv[1:]
read = lambda path: open(path, "rb").read() if path != "-" else None
if ca == "-":
    channel = grpc.insecure_channel(target)
else:
    credentials = grpc.ssl_channel_credentials(read(ca), read(key), read(crt))
    channel = grpc.secure_channel(target, credentials, [("grpc.ssl_target_name_override", "agent.netmesh")])
try:
    agent_pb2_grpc.AgentStub(channel).Describe(agent_pb2.DescribeRequest(), timeout=8)
    print("answered")
except grpc.RpcError as error:
    print(error.code().name)
"""
_GET = """
import sys, urllib.request, urllib.error
for path in sys.argv[2:]:
    try:
        print(path, urllib.request.urlopen(sys.argv[1] + path, timeout=8).status)
    except urllib.error.HTTPError as error:
        print(path, error.code)
"""


@pytest.fixture(scope="module")
def stranger(deployed: Netmesh) -> Iterator[str]:
    """A pod of another namespace, with the agent's image; its folder /ca has the authority's certificate alone, and
    /agent what a pod would have that took an agent's certificate.
    """
    cluster = deployed.cluster
    cluster.kubectl("create", "namespace", STRANGERS)
    secret = cluster.get("secret", "netmesh-agent", "-n", NAMESPACE)["data"]
    files = {name: base64.b64decode(secret[name]).decode() for name in ("ca.crt", "tls.crt", "tls.key")}
    _make(deployed, {"kind": "ConfigMap", "metadata": {"name": "agent"}, "data": files})
    pod = {
        "kind": "Pod",
        "metadata": {"name": "stranger"},
        "spec": {
            "containers": [
                {
                    "name": "stranger",
                    "image": "netmesh-agent:0.1.0",
                    "command": ["tini", "--", "sleep", "infinity"],
                    "volumeMounts": [{"name": "agent", "mountPath": "/agent"}],
                }
            ],
            "volumes": [{"name": "agent", "configMap": {"name": "agent"}}],
        },
    }
    _make(deployed, pod)
    cluster.kubectl("wait", "pod/stranger", "-n", STRANGERS, "--for=condition=Ready", "--timeout=60s")
    yield "stranger"
    cluster.kubectl("delete", "namespace", STRANGERS)


def _make(netmesh: Netmesh, thing: dict[str, Any]) -> None:
    netmesh.cluster.kubectl("apply", "-n", STRANGERS, "-f", "-", stdin=json.dumps({"apiVersion": "v1", **thing}))


def _in(netmesh: Netmesh, pod: str, program: str, *arguments: str) -> str:
    return netmesh.cluster.kubectl("exec", "-n", STRANGERS, pod, "--", "python3", "-c", program, *arguments)


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("no TLS", ("-", "-", "-")),
        ("no certificate", ("/agent/ca.crt", "-", "-")),
        ("an agent's certificate", ("/agent/ca.crt", "/agent/tls.crt", "/agent/tls.key")),
    ],
)
def test_an_agent_answers_nobody_but_the_controller(
    netmesh: Netmesh, stranger: str, what: str, files: tuple[str, str, str]
) -> None:
    for pod in netmesh.pods("agent").values():
        said = _in(netmesh, stranger, _CALL, f"{pod['status']['podIP']}:9410", *files)
        assert said.strip() in ("UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED"), what


def test_the_controller_tells_a_stranger_its_health_and_pages_alone(netmesh: Netmesh, stranger: str) -> None:
    address = netmesh.cluster.get("service", "netmesh-controller", "-n", NAMESPACE)["spec"]["clusterIP"]
    closed = ("/api/v1/nodes", "/api/v1/runs", "/metrics")
    # The pages' own files are the same for everybody, and hold nothing of what was measured.
    told = ("/healthz", "/readyz", "/", "/pages/style.css")
    said = _in(netmesh, stranger, _GET, f"http://{address}:9412", *told, *closed)
    answers = dict(line.rsplit(" ", 1) for line in said.splitlines())
    assert answers == {**dict.fromkeys(told, "200"), **dict.fromkeys(closed, "401")}


def test_without_the_token_the_proxy_leads_to_health_alone(netmesh: Netmesh) -> None:
    assert netmesh.proxied("healthz")[0] == 200
    assert netmesh.proxied("api/v1/nodes")[0] == 401
    assert netmesh.proxied("api/v1/nodes", token="another")[0] == 401  # noqa: S106  # none
    assert netmesh.proxied("api/v1/nodes", token=netmesh.token())[0] == 200


def test_progress_comes_through_the_proxy_while_it_is_made(netmesh: Netmesh) -> None:
    def run() -> dict[str, Any]:
        listed: dict[str, Any] = netmesh.api("runs")["runs"][0]["run"]
        return listed

    running = netmesh.start("sweep", "--tests", "tcp-connect", "--duration", "2s", "--name", "streamed")
    try:
        wait_until("The sweep runs", lambda: netmesh.api("runs")["runs"] and run()["name"] == "streamed", 60)
        assert "progress" in netmesh.events(run()["id"])  # read up to the first
        assert run()["state"] == "running"
        _, errors = running.communicate(timeout=120)
        assert running.returncode == 0, errors
    finally:
        running.kill()


def test_inside_the_cluster_the_command_reaches_the_controller_directly(netmesh: Netmesh) -> None:
    inside = ("exec", "-n", NAMESPACE, "deployment/netmesh-controller", "--", "netmesh-controller", "nodes")
    said = netmesh.cluster.kubectl(*inside)
    assert all(f"{node} " in said for node in NODES)


def test_a_user_without_rights_is_told_which_one_is_missing(netmesh: Netmesh) -> None:
    stranger = str(netmesh.cluster.user("stranger"))
    answer = netmesh("sweep", "--dry-run", KUBECONFIG=stranger)
    assert answer.code == 1
    assert "netmesh-token" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_policies_close_the_namespace_but_for_what_is_measured(netmesh: Netmesh) -> None:
    """As objects: the cluster's network plugin enforces none."""
    policies = {
        one["metadata"]["name"]: one["spec"] for one in netmesh.cluster.get("networkpolicies", "-n", NAMESPACE)["items"]
    }
    closed = policies["netmesh-default-deny"]
    assert closed["podSelector"] == {}
    assert "Ingress" in closed["policyTypes"]
    assert not closed.get("ingress")
    ports = {
        (port["protocol"], port["port"], port.get("endPort"))
        for rule in policies["netmesh-agents"]["ingress"]
        for port in rule["ports"]
    }
    assert ports == {("TCP", 9410, None), ("TCP", 9411, None), ("TCP", 61863, 61870), ("UDP", 61862, 61870)}


def test_pods_have_the_least_that_they_need(netmesh: Netmesh) -> None:
    for component in ("agent", "peer", "controller"):
        for pod in netmesh.pods(component).values():
            (container,) = pod["spec"]["containers"]
            secure = container["securityContext"]
            assert secure["readOnlyRootFilesystem"]
            assert secure["capabilities"] == {"drop": ["ALL"]}
            assert "cpu" not in container["resources"]["limits"]
            if component != "controller":
                assert pod["spec"]["automountServiceAccountToken"] is False


def test_agents_run_on_every_tainted_node(netmesh: Netmesh) -> None:
    netmesh.cluster.kubectl("taint", "node", "node-3", "netmesh.test/only=mine:NoExecute")
    try:
        netmesh.wait_ready()
        assert {"node-3"} <= set(netmesh.pods("agent")) & set(netmesh.pods("peer"))
    finally:
        netmesh.cluster.kubectl("taint", "node", "node-3", "netmesh.test/only-")
