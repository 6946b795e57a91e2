"""Two controllers with one database: the second takes over within 15 s of the first's death, and resumes its sweep."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kube.cluster.database import Database
from tests.kube.cluster.processes import wait_until
from tests.kube.installed import DEPLOY, NAMESPACE, Netmesh, every_pair, pairs

pytestmark = pytest.mark.timeout(1200)

TAKE_OVER_SECONDS = 15


@pytest.fixture(scope="module")
def pair(deployed: Netmesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netmesh]:
    """netmesh with component `postgresql`: two controllers, both Ready."""
    database = Database(deployed.cluster.folder)
    database.start()
    try:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "netmesh-database", "namespace": NAMESPACE},
            "stringData": {"url": Database.url},
        }
        deployed.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(secret))
        folder = tmp_path_factory.mktemp("with-postgresql")
        _write(folder)
        deployed.apply(folder)
        _wait_pair(deployed)
        yield deployed
        deployed.apply()
        deployed.cluster.kubectl("delete", "poddisruptionbudget", "netmesh-controller", "-n", NAMESPACE)
        deployed.wait_ready()
    finally:
        database.stop()


def _wait_pair(netmesh: Netmesh) -> None:
    """Two controllers run with the database, and one is Ready: the one that leads, so that a Service leads to it. A
    rollout's status would wait for ever for the other.
    """

    def there() -> bool:
        selector = "-lapp.kubernetes.io/component=controller"
        pods = netmesh.cluster.get("pods", "-n", NAMESPACE, selector)["items"]
        states = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
        stores = [variable["name"] for pod in pods for variable in pod["spec"]["containers"][0]["env"]]
        running = [state for state in states if "running" in state["state"] and state.get("started")]
        ready = [state for state in running if state["ready"]]
        return (len(pods), len(running), len(ready), stores.count("NETMESH_STORE")) == (2, 2, 1, 2)

    wait_until("Two controllers run, and one of them leads", there, 120, 1)


def _write(folder: Path) -> None:
    """A kustomization that adds the component to the base, as a user's own would; it stands outside of deploy/."""
    deploy = os.path.relpath(DEPLOY, folder.resolve())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [deploy],
        "components": [f"{deploy}/components/postgresql"],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))


def _holder(netmesh: Netmesh) -> tuple[str, int]:
    """Who leads, and the term."""
    spec = netmesh.cluster.get("lease", "netmesh-controller", "-n", NAMESPACE)["spec"]
    return spec.get("holderIdentity") or "", int(spec["leaseTransitions"])


def _controllers(netmesh: Netmesh) -> list[str]:
    selector = "-lapp.kubernetes.io/component=controller"
    return [pod["metadata"]["name"] for pod in netmesh.cluster.get("pods", "-n", NAMESPACE, selector)["items"]]


def test_the_second_takes_over_and_resumes_the_sweep(pair: Netmesh) -> None:
    assert len(_controllers(pair)) == 2
    paths = ("pod-to-pod", "pod-to-service")  # the Services of the one that dies are not to outlive it
    options = ("--tests", "tcp-bandwidth", "--duration", "2s", "--omit", "0s", "--name", "moved")
    running = pair.start("sweep", "--paths", ",".join(paths), *options)
    wait_until("A tool runs", lambda: any(left.startswith("process") for left in pair.left_behind()), 90)
    first, term = _holder(pair)
    (leader,) = [name for name in _controllers(pair) if first.startswith(name)]
    pair.kill_controller(leader)  # at once, so that it cannot give the Lease back as a pod that is deleted does
    died = time.monotonic()
    pair.cluster.kubectl("delete", "pod", leader, "-n", NAMESPACE, "--grace-period=0", "--force")
    wait_until("Another leads", lambda: _holder(pair)[1] > term and _holder(pair)[0], 60, 0.1)
    took = time.monotonic() - died
    print(f"another controller led {took:.1f} s after the first was killed")
    assert took < TAKE_OVER_SECONDS
    assert not _holder(pair)[0].startswith(leader)
    said, errors = running.communicate(timeout=300)
    assert running.returncode == 0, said + errors
    document = pair.run("moved")
    for path in paths:
        assert pairs(document, path, "tcp-bandwidth") == every_pair(local=True)
    _wait_pair(pair)
    pair.wait_clean()
