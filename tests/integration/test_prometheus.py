"""A real Prometheus scrapes real agents and a real controller of a lab; rules and dashboard have what they ask for."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.support.prometheus import Prometheus, prometheus
from tests.support.serving import TOKEN, fetched, serving_inside

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.lab.addressing import fabric_namespace

# A node rests long, so that most windows of the probe are beside no test.
BACKGROUND = (
    *("--background-bandwidth", "9000G", "--background-rate", "10M", "--background-share", "50%"),
    *("--background-rest", "10s", "--background-pause-if", "cpu > 100 %"),
)
COMPONENT = Path(__file__).parents[2] / "deploy" / "components" / "prometheus"
AGENTS = "netmesh/netmesh-agents"
# What is there only while something happens, with what that is. A metric in a query stands for the query.
ONLY_AT_TIMES = {
    "netmesh_sweep_cells": "a sweep is under way",
    "netmesh_agent_tests_total": "a test has ended",
    "netmesh_worst_pair_loss_ratio": "a pair loses",
    "netmesh_agent_check_failed_total": "a check fails",
    "netmesh_agent_check_total": "checks are configured",
    # See `test_bandwidth_in_the_background_has_its_series`.
    "netmesh_worst_pair_bandwidth_bytes_per_second": "a test in the background left a figure",
    "netmesh_background_median_bytes_per_second": "a test in the background left a figure",
    # The kernel or its control groups may not have them: then the agents do not tell them.
    "netmesh_agent_throttled_seconds_total": "the agent has a limit",
    "netmesh_agent_cpu_pressure_seconds_total": "the kernel has PSI",
}


@dataclass
class Watched:
    """The lab, its controller and who scrapes them."""

    lab: Lab
    controller: str
    prometheus: Prometheus


def agents_of(lab: Lab) -> list[str]:
    """Where the agents in pods serve their metrics."""
    return [f"{node.pods[role].pod.v4.ip}:9411" for node in lab.addresses.nodes.values() for role in ("pod", "peer")]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load((COMPONENT / "rules.yaml").read_text())["spec"]
    with labs.up(labs.load_spec("nodes: 2"), f"nmtest-{secrets.token_hex(2)}", ephemeral=True) as lab:
        # As the operator names them: of a PodMonitor `namespace/name`, of a ServiceMonitor the Service.
        agents = {"job_name": AGENTS, "static_configs": [{"targets": agents_of(lab)}]}
        controller = {
            "job_name": "netmesh-controller",
            "authorization": {"type": "Bearer", "credentials": TOKEN},
            "static_configs": [{"targets": ["127.0.0.1:9412"]}],
        }
        with (
            serving_inside(folder / "controller", lab, "--pair-metrics", *BACKGROUND) as url,
            prometheus(folder, fabric_namespace(lab.name), [agents, controller], rules) as running,
        ):
            yield Watched(lab, url, running)


def test_targets_are_up_without_an_error(watched: Watched) -> None:
    def all_up() -> bool:
        return len(watched.prometheus.query("up == 1")) == 5

    watched.prometheus.wait(all_up, "targets that are not up", lambda: watched.prometheus.api("targets"))
    targets = watched.prometheus.api("targets")["activeTargets"]
    assert [(one["health"], one["lastError"]) for one in targets] == [("up", "")] * 5
    infos = watched.prometheus.query("netmesh_agent_info")
    assert {(one["metric"]["node"], one["metric"]["role"]) for one in infos} == {
        (node, role) for node in ("node-1", "node-2") for role in ("pod", "peer")
    }
    assert {one["value"][1] for one in watched.prometheus.query("netmesh_agent_ready")} == {"1"}


def test_names_and_help_are_as_promtool_wants_them(watched: Watched) -> None:
    for url in (f"{watched.controller}/metrics", f"http://{agents_of(watched.lab)[0]}/metrics"):
        page = fetched(watched.lab, url)
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), url


def queries() -> list[str]:
    dashboard = json.loads((COMPONENT / "dashboard.json").read_text())
    return [
        target["expr"].replace("$__rate_interval", "5s")
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]


def test_every_query_of_the_dashboard_returns_data(watched: Watched) -> None:
    wanted = [query for query in queries() if not any(name in query for name in ONLY_AT_TIMES)]
    assert len(wanted) > 15

    def missing() -> list[str]:
        return [query for query in wanted if not watched.prometheus.query(query)]

    watched.prometheus.wait(lambda: not missing(), "queries without data", missing)
    for query in queries():
        watched.prometheus.query(query)  # none of the others is wrong


def test_rules_are_evaluated_and_ask_for_metrics_that_are_there(watched: Watched) -> None:
    groups = watched.prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    watched.prometheus.wait(
        lambda: all(
            rule["health"] == "ok" for group in watched.prometheus.api("rules")["groups"] for rule in group["rules"]
        ),
        "a rule fails",
    )
    # Labels of one query join to exactly one series of another, and names are of metrics that exist.
    texts = [*(rule["query"] for rule in rules), *queries()]
    asked = {name for text in texts for name in re.findall(r"(?<![:\w])(?:netmesh|process)_[a-z_]+", text)}

    def missing() -> set[str]:
        return asked - set(watched.prometheus.api("label/__name__/values")) - set(ONLY_AT_TIMES)

    # Rules are evaluated before anything has been scraped, too.
    watched.prometheus.wait(lambda: not missing(), "metrics that are not there", missing)


def test_bandwidth_in_the_background_has_its_series(watched: Watched) -> None:
    """As many as docs/monitoring.md says, and none for a pair without a figure: a busy machine may have left none."""

    def tested() -> bool:
        return bool(watched.prometheus.query('netmesh_background_pairs{state="untested"} < 2'))

    watched.prometheus.wait(tested, "no test has ended", lambda: watched.prometheus.query("netmesh_background_pairs"))
    # All of one expression are of one scrape.
    measured = 'sum(netmesh_background_pairs{state="measured"})'
    for name in ("netmesh_worst_pair_bandwidth_bytes_per_second", "netmesh_pair_bandwidth_bytes_per_second"):
        assert watched.prometheus.query(f"({measured} == (count({name}) or vector(0)))"), name
    median = "(count(netmesh_background_median_bytes_per_second) or vector(0))"
    assert watched.prometheus.query(f"clamp_max({measured}, 1) == {median}")
    for pair in watched.prometheus.query("netmesh_worst_pair_bandwidth_bytes_per_second"):
        assert {pair["metric"]["source"], pair["metric"]["target"]} == {"node-1", "node-2"}
        # What was offered, half as much again where it was held up.
        assert 0 < 8 * float(pair["value"][1]) <= 15e6
