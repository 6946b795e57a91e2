"""The manifests as `install` puts them together against kubectl's own kustomize, and into a real cluster and out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.kube.cluster import Cluster
from tests.kube.cluster.binaries import programs
from tests.kube.cluster.processes import run
from tests.kube.installed import DEPLOY, HOST_NAMESPACE, HOST_NETWORK, NAMESPACE, NODES, Netmesh

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(1800)  # the first test may build Kubernetes


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """netmesh-controller without a cluster."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("NETMESH_", "KUBE"))}
    return subprocess.run(
        [sys.executable, "-m", "netmesh_controller", *arguments],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )


def by_name(text: str) -> dict[tuple[str, str, str], Any]:
    objects = [one for one in yaml.safe_load_all(text) if one is not None]
    found = {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects)
    return found


@pytest.mark.parametrize(
    "extras", [(), ("storage",), ("postgresql",), ("prometheus",), ("storage", "prometheus")], ids="+".join
)
def test_the_manifests_are_those_of_kustomize(tmp_path: Path, extras: tuple[str, ...]) -> None:
    # Outside of deploy/, as docs/kubernetes.md says; paths to it are relative.
    deploy = os.path.relpath(ROOT / "deploy", tmp_path)
    asked = {"resources": [deploy], "components": [f"{deploy}/components/{name}" for name in extras]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(asked))
    theirs = run(programs() / "kubectl", "kustomize", tmp_path)
    ours = command("install", "--print", *(("--with", ",".join(extras)) if extras else ()))
    assert ours.returncode == 0, ours.stderr
    assert by_name(ours.stdout) == by_name(theirs)


def test_host_agents_stand_beside_the_base() -> None:
    theirs = by_name(run(programs() / "kubectl", "kustomize", ROOT / "deploy"))
    theirs |= by_name(run(programs() / "kubectl", "kustomize", ROOT / "deploy" / "overlays" / "host-network"))
    assert by_name(command("install", "--print", "--with", "host-network").stdout) == theirs


def test_images_come_from_a_registry_under_a_tag() -> None:
    said = command("install", "--print", "--registry", "registry.example/team/", "--tag", "1.2.3").stdout
    images = {
        container["image"]
        for one in by_name(said).values()
        if one["kind"] in ("DaemonSet", "Deployment")
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"registry.example/team/netmesh-agent:1.2.3", "registry.example/team/netmesh-controller:1.2.3"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--with", "databases"), "--with"),
        (("--with", "storage,postgresql"), "two places"),
        (("--wait", "long"), "--wait"),
    ],
)
def test_what_cannot_be_installed_is_told_in_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    answer = command("install", *arguments)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_into_a_cluster_and_out_of_it(cluster: Cluster, tmp_path: Path) -> None:
    netmesh = Netmesh(cluster, tmp_path)
    for folder in (HOST_NETWORK, DEPLOY):
        netmesh.delete(folder)
    netmesh.periods.begin()
    administrator = {"KUBECONFIG": str(cluster.kubeconfig)}
    installed = netmesh("install", "--with", "host-network", **administrator)
    assert installed.code == 0, installed.stderr
    for namespace in (NAMESPACE, HOST_NAMESPACE):
        netmesh.wait_ready(namespace)
    assert all(set(netmesh.pods(component)) == set(NODES) for component in ("agent", "peer"))
    assert set(netmesh.pods("host", HOST_NAMESPACE)) == set(NODES)
    before = {pod["metadata"]["uid"] for pod in netmesh.pods("agent").values()}
    again = netmesh("install", "--with", "host-network", **administrator)
    assert again.code == 0, again.stderr
    assert {pod["metadata"]["uid"] for pod in netmesh.pods("agent").values()} == before
    options = ("--paths", "host-to-host", "--tests", "tcp-connect", "--duration", "1s", "--format", "json")
    measured = netmesh("sweep", *options, **administrator)
    assert measured.code == 0, measured.stderr
    assert {cell["outcome"] for cell in json.loads(measured.stdout)["cells"]} == {"measured"}
    netmesh.periods.end()
    removed = netmesh("uninstall", "--yes", **administrator)
    assert removed.code == 0, removed.stderr
    for folder in (DEPLOY, HOST_NETWORK):
        assert cluster.kubectl("get", "-k", str(folder), "--ignore-not-found", "--output=name") == ""
    names = {one["metadata"]["name"] for one in cluster.get("namespaces")["items"]}
    assert not names & {NAMESPACE, HOST_NAMESPACE}
    once_more = netmesh("uninstall", "--yes", **administrator)
    assert once_more.code == 0
    assert "not in the cluster" in once_more.stderr
