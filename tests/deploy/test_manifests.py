"""What `kubectl apply -k` would apply: the base, the overlay and each component."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.render import BASE, HOST, Object, environment, named, pod_of, render, render_with, workloads
from tests.deploy.restricted import violations

from netmesh_agent.settings import HTTP_PORT, TOOL_PORTS

AGENTS = {"netmesh-agent": ("agent", "pod"), "netmesh-peer": ("peer", "peer"), "netmesh-host": ("host", "host")}


@pytest.fixture(scope="module")
def base() -> list[Object]:
    return render(BASE)


@pytest.fixture(scope="module")
def host() -> list[Object]:
    return render(HOST)


def agents(*sources: list[Object]) -> list[Object]:
    return [one for objects in sources for one in workloads(objects) if one["kind"] == "DaemonSet"]


def test_every_pod_is_admitted_under_the_restricted_profile_but_for_the_host_network(
    base: list[Object], host: list[Object]
) -> None:
    for workload in workloads(base):
        assert violations(pod_of(workload)["spec"]) == [], workload["metadata"]["name"]
    assert violations(pod_of(named(host, "DaemonSet", "netmesh-host"))["spec"]) == ["hostNetwork"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (("hostNetwork",), True, "hostNetwork"),
        (("volumes", 0), {"name": "x", "hostPath": {"path": "/"}}, "volume x: hostPath"),
        (("securityContext", "runAsNonRoot"), False, "agent: runAsNonRoot"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "agent: seccompProfile"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": []}, "agent: capabilities.drop"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True, "agent: allowPrivilegeEscalation"),
    ],
)
def test_the_check_of_the_profile_sees_what_is_wrong(
    base: list[Object], field: tuple[str | int, ...], value: Any, says: str
) -> None:
    spec = copy.deepcopy(pod_of(named(base, "DaemonSet", "netmesh-agent"))["spec"])
    place = spec
    for step in field[:-1]:
        place = place[step]
    place[field[-1]] = value
    assert violations(spec) == [says]


def test_namespaces_enforce_their_profile(base: list[Object], host: list[Object]) -> None:
    prefix = "pod-security.kubernetes.io/enforce"
    labels = named(base, "Namespace", "netmesh")["metadata"]["labels"]
    assert (labels[prefix], labels[f"{prefix}-version"]) == ("restricted", "latest")
    assert named(host, "Namespace", "netmesh-host")["metadata"]["labels"][prefix] == "privileged"


def test_the_host_overlay_does_not_contain_the_base(host: list[Object]) -> None:
    assert {one["metadata"].get("namespace", "netmesh-host") for one in host} == {"netmesh-host"}


def test_agents_are_on_every_node_and_nothing_distorts_what_they_measure(
    base: list[Object], host: list[Object]
) -> None:
    found = agents(base, host)
    assert {one["metadata"]["name"] for one in found} == set(AGENTS)
    for workload in found:
        component, role = AGENTS[workload["metadata"]["name"]]
        pod = pod_of(workload)
        spec = pod["spec"]
        (container,) = spec["containers"]
        wanted = {"app.kubernetes.io/name": "netmesh", "app.kubernetes.io/component": component}
        assert wanted.items() <= pod["metadata"]["labels"].items()
        assert workload["spec"]["selector"]["matchLabels"] == wanted
        assert spec["tolerations"] == [{"operator": "Exists"}]
        assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert spec["priorityClassName"] == named(base, "PriorityClass", "netmesh-agent")["metadata"]["name"]
        assert spec["automountServiceAccountToken"] is False
        assert "cpu" not in container["resources"]["limits"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        variables = environment(workload)
        assert variables["NETMESH_ROLE"]["value"] == role
        assert variables["NETMESH_NODE"]["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"
        assert variables["NETMESH_ADDRESSES"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIPs"
        (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
        assert (secret["secretName"], secret["optional"]) == ("netmesh-agent", True)
        # Others than the owner read the key by the group alone.
        assert secret["defaultMode"] == 0o440
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"]
        assert (container["readinessProbe"]["httpGet"]["path"], container["livenessProbe"]["httpGet"]["path"]) == (
            "/readyz",
            "/healthz",
        )


def test_every_pod_is_read_only_and_left_alone_by_service_meshes(base: list[Object], host: list[Object]) -> None:
    for workload in (*workloads(base), *workloads(host)):
        pod = pod_of(workload)
        assert pod["metadata"]["annotations"] == {
            "sidecar.istio.io/inject": "false",
            "linkerd.io/inject": "disabled",
        }
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["spec"]["terminationGracePeriodSeconds"] >= 10
        assert container["image"].partition(":")[0] in ("netmesh-agent", "netmesh-controller")


def test_network_policies_name_the_ports_of_the_contract(base: list[Object], host: list[Object]) -> None:
    assert not [one for one in host if one["kind"] == "NetworkPolicy"]  # they do not bind the host's network
    deny = named(base, "NetworkPolicy", "netmesh-default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress"]}
    rules = named(base, "NetworkPolicy", "netmesh-agents")["spec"]["ingress"]
    open_to_all = [port for rule in rules if "from" not in rule for port in rule["ports"]]
    assert {(one["protocol"], one["port"], one.get("endPort", one["port"])) for one in open_to_all} == {
        ("TCP", TOOL_PORTS[0], TOOL_PORTS[-1]),
        ("UDP", 61862, TOOL_PORTS[-1]),
        ("TCP", HTTP_PORT, HTTP_PORT),
    }
    (to_grpc,) = [rule for rule in rules if "from" in rule]
    assert [port["port"] for port in to_grpc["ports"]] == [9410]
    assert to_grpc["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "controller"
    assert list(to_grpc["from"][0]) == ["podSelector"]  # of this namespace only


def test_the_controllers_rights_are_these_and_no_more(base: list[Object], host: list[Object]) -> None:
    granted = {
        (one["metadata"].get("namespace", "*"), resource, verb, name)
        for one in (*base, *host)
        if one["kind"] in ("Role", "ClusterRole")
        for rule in one["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", ["*"])
    }
    assert {grant for grant in granted if grant[0] == "*"} == {
        ("*", "nodes", "list", "*"),
        ("*", "nodes", "watch", "*"),
    }
    assert {grant for grant in granted if grant[0] == "kube-system"} == {
        ("kube-system", "configmaps", "get", "kube-proxy")
    }
    assert not [grant for grant in granted if "*" in (grant[1], grant[2])]
    # Secrets are read by name only, so that no other Secret of these namespaces can be.
    assert {grant[2] for grant in granted if grant[1] == "secrets" and grant[3] == "*"} == {"create"}
    for binding in (one for one in (*base, *host) if one["kind"] in ("RoleBinding", "ClusterRoleBinding")):
        assert [(one["name"], one["namespace"]) for one in binding["subjects"]] == [("netmesh-controller", "netmesh")]


def test_the_base_keeps_results_as_long_as_the_pod(base: list[Object]) -> None:
    controller = named(base, "Deployment", "netmesh-controller")
    assert controller["spec"]["replicas"] == 1
    assert {"name": "data", "emptyDir": {}} in pod_of(controller)["spec"]["volumes"]
    assert environment(controller)["NETMESH_DATA_KEPT"]["value"] == "pod"


def test_storage_puts_the_data_on_a_claim(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "storage")
    controller = named(objects, "Deployment", "netmesh-controller")
    claim = named(objects, "PersistentVolumeClaim", "netmesh-data")["metadata"]["name"]
    volume = next(one for one in pod_of(controller)["spec"]["volumes"] if one["name"] == "data")
    assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    assert environment(controller)["NETMESH_DATA_KEPT"]["value"] == "volume"
    assert violations(pod_of(controller)["spec"]) == []


def test_postgresql_has_a_second_controller_and_a_url(tmp_path: Path) -> None:
    controller = named(render_with(tmp_path, "postgresql"), "Deployment", "netmesh-controller")
    assert controller["spec"]["replicas"] == 2
    variables = environment(controller)
    assert variables["NETMESH_STORE"]["valueFrom"]["secretKeyRef"] == {"name": "netmesh-database", "key": "url"}
    assert variables["NETMESH_DATA_KEPT"]["value"] == "database"
    assert violations(pod_of(controller)["spec"]) == []


def test_all_components_go_together(tmp_path: Path) -> None:
    objects = render_with(tmp_path, "storage", "prometheus")
    monitor = named(objects, "ServiceMonitor", "netmesh-controller")
    service = named(objects, "Service", "netmesh-controller")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert named(objects, "PrometheusRule", "netmesh")["spec"]["groups"]
    dashboard = named(objects, "ConfigMap", "netmesh-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["netmesh.json"])["uid"] == "netmesh"
