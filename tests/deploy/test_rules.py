"""The alert rules, held by promtool against series with faults in them: what fires, where, in what words."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.render import DEPLOY, named, render_with

CASES = Path(__file__).with_name("rules.test.yaml")


def promtool(*arguments: object) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_rules_fire_for_their_fault_and_for_nothing_else(tmp_path: Path) -> None:
    rules = named(render_with(tmp_path, "prometheus"), "PrometheusRule", "netmesh")["spec"]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rules))
    assert "SUCCESS" in promtool("check", "rules", file)
    cases: dict[str, Any] = {**yaml.safe_load(CASES.read_text()), "rule_files": [str(file)]}
    given = tmp_path / "cases.yaml"
    given.write_text(yaml.safe_dump(cases))
    assert "SUCCESS" in promtool("test", "rules", given)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    rules = yaml.safe_load((DEPLOY / "components" / "prometheus" / "rules.yaml").read_text())
    alerts = {rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule}
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts
