"""Renders kustomizations as `kubectl apply -k` does, and reads what comes out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY
HOST = DEPLOY / "overlays" / "host-network"

Object = dict[str, Any]
# The first whose kustomize knows components.
_OLDEST_MINOR = 21


def _kubectl() -> str:
    """kubectl of PATH, or the one that was built for the test cluster: older ones know no components."""
    built = sorted((Path.home() / ".cache" / "netmesh" / "kube").glob("v*/kubectl"))
    for program in (shutil.which("kubectl"), *map(str, built)):
        if program is None:
            continue
        said = subprocess.run([program, "version", "--client"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"v1\.(\d+)\.", said)
        if found and int(found[1]) >= _OLDEST_MINOR:
            return program
    raise AssertionError(f"kubectl 1.{_OLDEST_MINOR} or newer is needed to render the manifests")


def render(folder: Path) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run([_kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def render_with(tmp_path: Path, *components: str) -> list[Object]:
    """The base with components, by a kustomization outside of deploy/, as a user would write it."""
    # kustomize wants relative paths, and refuses those that lead through a symbolic link.
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    mine = tmp_path / "mine"
    mine.mkdir()
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../deploy"],
        "components": [f"../deploy/components/{name}" for name in components],
    }
    (mine / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return render(mine)


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} {kind} {name}"
    return found[0]


def workloads(objects: list[Object]) -> Iterator[Object]:
    """What makes pods."""
    return (one for one in objects if one["kind"] in ("DaemonSet", "Deployment"))


def pod_of(workload: Object) -> Object:
    """The pod template of a workload."""
    return workload["spec"]["template"]  # type: ignore[no-any-return]  # YAML


def environment(workload: Object) -> dict[str, Mapping[str, Any]]:
    """The environment of the workload's one container, by name."""
    (container,) = pod_of(workload)["spec"]["containers"]
    return {entry["name"]: entry for entry in container["env"]}
