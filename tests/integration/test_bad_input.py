"""Bad input: one clear sentence that names the field, exit code 2, no traceback.

The calls are forks of one process; a few are made with the program itself, whose start is the user's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.support.agents import Identity
from tests.support.cli import Controller, one_sentence
from tests.support.warm import Warm, WarmController, warm_process

from netmesh_controller.surfaces.cli import COMMANDS, app

LAB = ("sweep", "--lab", "2")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with warm_process() as running:
        yield running


@pytest.fixture
def controller(warm: Warm, tmp_path: Path) -> Controller:
    return WarmController(tmp_path / "data", warm)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*LAB, "--tests", "tcp-bandwith"), ("tests", "did you mean tcp-bandwidth")),
        (("sweep", "--resume", "nonesuch"), ("no run 'nonesuch'",)),
        (("lab", "down", "nonesuch"), ("nonesuch",)),
        (("report", "latest"), ("no run yet",)),
    ],
)
def test_the_program_itself_ends_so(tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    started = Controller(tmp_path / "data")(*arguments)
    assert (started.code, started.stdout) == (2, "")
    sentence = one_sentence(started)
    for word in words:
        assert word in sentence


def test_a_fork_answers_as_the_program_does(controller: Controller, tmp_path: Path) -> None:
    itself = Controller(tmp_path / "data")
    for arguments in ((*LAB, "--tests", "tcp-bandwith"), ("runs",), ("runs", "list", "--format", "json")):
        assert controller(*arguments) == itself(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*LAB, "--tests", "tcp-bandwith"), ("tests", "did you mean tcp-bandwidth")),
        (("runs", "list", "--since", "yesterday"), ("--since: 'yesterday'", "2026-11-23")),
        (("runs", "list", "--before", "2026-11-23T06:30:00+01:00"), ("--before", "in UTC")),
        (("--store", "sqlite:////proc", "runs"), ("--store: /proc is a folder", "/proc/netmesh.sqlite")),
        (("certificates", "/proc/version/pki"), ("DIR: /proc/version is a file", "name a folder")),
        (("serve", "--background-bandwidth", "much"), ("--background-bandwidth", "a size in bytes")),
        (("serve", "--background-bandwidth", "500k"), ("--background-bandwidth", "less than one test takes")),
        (("serve", "--background-rate", "20M"), ("--background-rate", "--background-bandwidth SIZE")),
        (("serve", "--background-bandwidth", "9G", "--background-share", "0%"), ("--background-share", "above 0%")),
        (("serve", "--background-bandwidth", "9G", "--background-rate", "9k"), ("--background-rate", "least is 1M")),
        (("serve", "--background-bandwidth", "9G", "--background-rest", "0s"), ("--background-rest", "from 1s")),
        (
            ("serve", "--background-bandwidth", "9G", "--background-pause-if", "memory>1%"),
            ("--background-pause-if", "of the cpu"),
        ),
        (("serve", "--background-bandwidth", "9G", "--no-monitor"), ("--background-bandwidth", "--no-monitor")),
        ((*LAB, "--paths", "pod-to-moon"), ("paths", "pod-to-pod")),
        ((*LAB, "--duration", "0"), ("duration", "whole number of seconds")),
        ((*LAB, "--duration", "0.5s"), ("duration", "whole number of seconds")),
        ((*LAB, "--duration", "soon"), ("duration", "5s")),
        ((*LAB, "--duration", "-3s"), ("duration",)),
        ((*LAB, "--omit", "1.5s"), ("omit",)),
        ((*LAB, "--interval", "1ms"), ("interval", "0.1")),
        ((*LAB, "--rate", "fast"), ("rate", "100M")),
        ((*LAB, "--rate", "0"), ("rate",)),
        ((*LAB, "--rate", "99999999999999999999G"), ("rate", "10 Tbit/s")),
        ((*LAB, "--repeat", "100000000"), ("repeat", "1000")),
        ((*LAB, "--omit", "61s"), ("omit", "60")),
        ((*LAB, "--output", "/nonexistent/run.json"), ("--output", "/nonexistent")),
        ((*LAB, "--streams", "0"), ("streams",)),
        ((*LAB, "--repeat", "0"), ("repeat",)),
        ((*LAB, "--until", "2 %"), ("until", "'ci < 2 %'")),
        ((*LAB, "--max-repeat", "5"), ("max-repeat", "--until")),
        ((*LAB, "--budget", "soon"), ("budget", "5s")),
        ((*LAB, "--history", "a,b"), ("--history", "at least 3")),
        ((*LAB, "--max-concurrent", "0"), ("max-concurrent",)),
        ((*LAB, "--tool", "netperf"), ("tool", "iperf3")),
        ((*LAB, "--pairs", "some"), ("pairs",)),
        ((*LAB, "--pairs", "sample:0"), ("pairs",)),
        ((*LAB, "--output", "run.doc"), ("--output", ".json")),
        (("sweep",), ("--lab", "--agents")),
        ((*LAB, "--agents", "127.0.0.1:9410"), ("--lab", "--agents")),
        (("sweep", "--agents", "127.0.0.1:9410"), ("--certificates",)),
        (("sweep", "--resume", "nonesuch"), ("no run 'nonesuch'",)),
        (("sweep", "--lab", "nonesuch"), ("nonesuch",)),
        (("sweep", "--lab", "0"), ("nodes",)),
        (("sweep", "--lab", "nonesuch.yaml"), ("nonesuch.yaml",)),
        (("lab", "down", "nonesuch"), ("nonesuch",)),
        (("lab", "up", "2", "--name", "no/slash"), ("name",)),
    ],
)
def test_a_wrong_option_is_named(controller: Controller, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    answer = controller(*arguments)
    sentence = one_sentence(answer)
    assert answer.code == 2, sentence
    assert answer.stdout == ""
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("duration: 5s\nduratoin: 6s\n", ("duratoin",)),
        ("tests: [tcp-gossip]\n", ("tests", "tcp-gossip")),
        ("streams: many\n", ("streams",)),
        ("- a list\n", ("--plan", "mapping")),
        ("{unclosed\n", ("--plan", "not YAML")),
    ],
)
def test_a_wrong_plan_file_is_named(controller: Controller, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    answer = controller(*LAB, "--plan", path)
    sentence = one_sentence(answer)
    assert answer.code == 2, sentence
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: 2\nlinks: {node-9: {rate: 1G}}\n", ("links.node-9", "node-1")),
        ("nodes: 2\nlinks: {node-1: {rat: 1G}}\n", ("links.node-1.rat",)),
        ("nodes: two\n", ("nodes",)),
        ("nodes: 2\nlinks: {node-1: {loss: 2}}\n", ("links.node-1.loss",)),
        ("nodes: 2\npairs: [{from: node-1}]\n", ("pairs", "to")),
    ],
)
def test_a_wrong_lab_file_is_named(controller: Controller, tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    answer = controller("sweep", "--lab", path)
    sentence = one_sentence(answer)
    assert answer.code == 2, sentence
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ("no-such-host.invalid:9410", ("no-such-host.invalid", "resolve")),
        ("127.0.0.1", ("HOST:PORT",)),
        ("127.0.0.1:99999", ("HOST:PORT",)),
        ("missing.yaml", ("missing.yaml",)),
    ],
)
def test_a_wrong_agent_address_is_named(
    controller: Controller, identity: Identity, agents: str, words: tuple[str, ...]
) -> None:
    answer = controller("sweep", "--agents", agents, "--certificates", identity.directory / "controller")
    sentence = one_sentence(answer)
    assert answer.code == 2, sentence
    for word in words:
        assert word in sentence


def test_a_folder_without_certificates_is_named(controller: Controller, tmp_path: Path) -> None:
    answer = controller("sweep", "--agents", "127.0.0.1:9410", "--certificates", tmp_path)
    assert answer.code == 2
    assert "ca.crt" in one_sentence(answer)


def test_nobody_there_is_said_in_one_sentence(controller: Controller, identity: Identity) -> None:
    answer = controller("sweep", "--agents", "127.0.0.9:1", "--certificates", identity.directory / "controller")
    assert answer.code == 1
    assert "no agent answered" in one_sentence(answer)


def test_a_dry_run_measures_nothing(controller: Controller) -> None:
    answer = controller(*LAB, "--dry-run", "--rate", "100M")
    assert answer.code == 0, answer.stderr
    assert "8 measurements" in answer.stdout
    assert "at the asked rate" in answer.stdout
    assert not (controller.data / "netmesh.sqlite").exists()


def test_the_environment_gives_options(controller: Controller) -> None:
    answer = controller("sweep", "--dry-run", NETMESH_LAB="2", NETMESH_TESTS="udp-latency")
    assert answer.code == 0, answer.stderr
    assert "udp-latency by qperf" in answer.stdout
    assert "--for: 'soon'" in one_sentence(controller("monitor", "--lab", "2", NETMESH_FOR="soon"))


def test_an_option_s_variable_is_named_as_the_option() -> None:
    def options(command: Any) -> Iterator[Any]:
        yield from (one for one in command.params if one.param_type_name == "option")
        for part in getattr(command, "commands", {}).values():
            yield from options(part)

    root: Any = typer.main.get_command(app)
    seen = [one for name in COMMANDS for one in options(root.get_command(None, name)) if one.opts != ["--help"]]
    assert len(seen) > 100
    for option in seen:
        long = next(name for name in option.opts if name.startswith("--"))
        assert option.envvar == "NETMESH_" + long[2:].replace("-", "_").upper()
