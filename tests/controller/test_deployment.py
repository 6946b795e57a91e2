"""The manifests that `install` puts together; tests/kube holds them against kubectl's own."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import yaml

from netmesh_controller import deployment
from netmesh_controller.deployment import COMPONENTS, DeploymentError, manifests

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.mark.parametrize("components", [pair for count in range(3) for pair in combinations(COMPONENTS, count)])
def test_every_component_is_understood(components: tuple[str, ...]) -> None:
    kinds = [thing["kind"] for thing in manifests(components, host_network=True)]
    assert kinds.count("DaemonSet") == 3
    assert ("PersistentVolumeClaim" in kinds) == ("storage" in components)
    assert ("PodDisruptionBudget" in kinds) == ("postgresql" in components)
    assert ("PrometheusRule" in kinds) == ("prometheus" in components)


def test_the_dashboard_comes_with_prometheus() -> None:
    (dashboard,) = [thing for thing in manifests(["prometheus"]) if thing["kind"] == "ConfigMap"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["data"] == {"netmesh.json": (DEPLOY / "components/prometheus/dashboard.json").read_text()}


def test_what_would_be_left_out_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    component = tmp_path / "components" / "prometheus"
    component.mkdir(parents=True)
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"kind": "Kustomization"}))
    (component / "kustomization.yaml").write_text(yaml.safe_dump({"kind": "Component", "secretGenerator": []}))
    monkeypatch.setattr(deployment, "_root", lambda: tmp_path)
    with pytest.raises(DeploymentError, match="secretGenerator"):
        manifests(["prometheus"])
