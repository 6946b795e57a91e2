"""Labs with their agents: what starts, what stays, and that nothing is left, whatever dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from netmesh_controller.lab import (
    LabError,
    LabInputError,
    down,
    exec_argv,
    list_labs,
    load_spec,
    open_lab,
    set_lab,
    spec_of,
    state,
    up,
)
from netmesh_controller.lab import agents as lab_agents
from netmesh_controller.lab.addressing import belongs, fabric_namespace
from netmesh_controller.lab.namespaces import FOLDER, inside
from netmesh_controller.lab.processes import Process
from netmesh_controller.lab.processes import inside as processes_inside

HOLDER = """
import sys, time
from netmesh_controller.lab import spec_of, up
lab = up(spec_of(2), sys.argv[1], ephemeral=True)
lab.enter()
print("up", flush=True)
time.sleep(600)
"""
CLI = "from netmesh_controller.surfaces.cli.lab import lab; lab()"


def namespaces_of(name: str) -> list[Path]:
    return [path for path in FOLDER.iterdir() if belongs(path.name, name)]


def processes_of(name: str) -> set[Process]:
    return processes_inside(namespaces_of(name))


def agents_of(name: str) -> dict[lab_agents.AgentKey, Process]:
    recorded = state.load(name)
    assert recorded is not None
    return recorded.agents


def left_of(name: str, processes: set[Process]) -> list[object]:
    return [
        *namespaces_of(name),
        *(process for process in processes if process.alive()),
        *(path for path in (state.FOLDER / name,) if path.exists()),
    ]


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def assert_agents_answer(name: str) -> None:
    with open_lab(name) as lab:

        def connect() -> None:
            for target in lab.targets():
                socket.create_connection((target.address, target.port), timeout=5).close()

        inside(fabric_namespace(name), connect)


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a lab, which is gone after the test."""
    chosen = f"test-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    yield chosen
    if chosen in state.recorded():
        down(chosen)


def lab_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CLI, *arguments], capture_output=True, text=True, check=False)


def holder(name: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", HOLDER, name], stdout=subprocess.PIPE, text=True)


def test_an_ephemeral_lab_is_gone_when_closed() -> None:
    with up(spec_of(2)) as lab:
        assert_agents_answer(lab.name)
        assert [(each.node, each.role) for each in lab.targets()] == [
            ("node-1", "pod"),
            ("node-1", "peer"),
            ("node-1", "host"),
            ("node-2", "pod"),
            ("node-2", "peer"),
            ("node-2", "host"),
        ]
        assert lab.nodes() == [("node-1", None), ("node-2", None)]
        processes = processes_of(lab.name)
        # setpriv became nsenter became unshare, then tini, then the agent.
        assert len(processes) >= 6 * 3
    assert left_of(lab.name, processes) == []


def test_two_labs_at_once_and_one_holder_killed(name: str) -> None:
    names = (f"{name}-a", f"{name}-b")
    with holder(names[0]) as first, holder(names[1]) as second:
        try:
            for each in (first, second):
                assert each.stdout is not None
                assert each.stdout.readline() == "up\n"
            for each_name in names:
                assert_agents_answer(each_name)
            agents = {each_name: set(agents_of(each_name).values()) for each_name in names}
            processes = processes_of(names[0])
            first.kill()
            first.wait()
            assert eventually(lambda: not any(process.alive() for process in processes))
            up(spec_of(1), agents=False).close()  # any start cleans up
            assert left_of(names[0], processes) == []
            assert all(process.alive() for process in agents[names[1]])
            assert_agents_answer(names[1])
        finally:
            first.kill()
            second.kill()
    up(spec_of(1), agents=False).close()
    assert left_of(names[1], agents[names[1]]) == []


def test_a_named_lab_by_command(name: str, tmp_path: Path) -> None:
    shape = tmp_path / "lab.yaml"
    shape.write_text("nodes: 2\nlinks: {node-1: {rate: 100M}}\n")
    made = lab_command("up", str(shape), "--name", name)
    assert (made.returncode, made.stderr) == (0, "")
    assert f"sweep --lab {name}" in made.stdout
    up(spec_of(1), agents=False).close()  # cleaning up leaves it alone
    assert_agents_answer(name)
    before = agents_of(name)

    listed = lab_command("list").stdout
    assert f"{name}  2 nodes, 6 of 6 agents alive, stays" in listed

    said = lab_command("exec", name, "node-2", "host", "--", "ip", "-o", "address", "show", "eth0")
    assert str(open_lab(name).addresses.nodes["node-2"].uplink.v4) in said.stdout
    assert lab_command("exec", name, "node-2", "--", "sh", "-c", "exit 7").returncode == 7

    victim = before["node-1", "peer"]
    os.kill(victim.pid, signal.SIGKILL)
    assert eventually(lambda: not victim.alive())
    assert lab_command("up", str(shape), "--name", name).returncode == 0
    after = agents_of(name)
    assert {key for key in after if after[key] != before[key]} == {("node-1", "peer")}
    assert_agents_answer(name)

    other = lab_command("up", "3", "--name", name)
    assert other.returncode == 2
    assert f"lab {name} is up with another shape; `lab set {name} FILE`" in other.stderr
    shape.write_text("nodes: 2\nlinks: {node-1: {rate: 200M}}\n")
    assert lab_command("set", name, str(shape)).returncode == 0
    assert open_lab(name).spec.uplink_rate("node-1", "out") == 200_000_000

    processes = processes_of(name)
    assert lab_command("down", name).returncode == 0
    assert left_of(name, processes) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("up", "0"), "nodes: 0 is not a whole number from 1 to 200."),
        (("up", "/nonexistent.yaml"), "Cannot read the lab's file /nonexistent.yaml: No such file or directory."),
        (("up", "1", "--name", "A B"), "name: 'A B' cannot be a lab's name;"),
        (("down", "nothing-like-it"), "name: there is no lab nothing-like-it;"),
        (("set", "nothing-like-it", "/nonexistent.yaml"), "Cannot read the lab's file"),
        (("exec", "nothing-like-it", "node-1", "--", "true"), "name: there is no lab nothing-like-it;"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    ended = lab_command(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_exec_names_what_is_wrong(name: str) -> None:
    with up(spec_of(1), name, ephemeral=True, agents=False):
        with pytest.raises(LabInputError, match=rf"^node: lab {name} has no node-2; its nodes are node-1\."):
            exec_argv(name, "node-2", "host", ["true"])
        with pytest.raises(LabInputError, match=r"^command: there is none"):
            exec_argv(name, "node-1", "host", [])


def test_a_name_in_use_by_a_process_is_refused(name: str) -> None:
    with (
        up(spec_of(1), name, ephemeral=True, agents=False),
        pytest.raises(LabInputError, match="belongs to a process that still runs"),
    ):
        up(spec_of(1), name)


def test_a_named_lab_whose_agents_are_all_dead_is_removed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    up(spec_of(1), name).close()
    processes = processes_of(name)
    # No lab of another worker starts, and so tidies up, in here.
    with state.changing(), monkeypatch.context() as locked:
        for agent in agents_of(name).values():
            os.kill(agent.pid, signal.SIGKILL)
        assert eventually(lambda: not any(process.alive() for process in processes))
        locked.setattr(state, "changing", nullcontext)
        assert [(each.agents_alive, each.abandoned) for each in list_labs() if each.name == name] == [(0, True)]
    with pytest.raises(LabInputError, match="there is no lab"):
        open_lab(name)
    up(spec_of(1), agents=False).close()
    assert left_of(name, processes) == []


def test_what_runs_in_a_pod_ends_with_the_lab(name: str) -> None:
    with up(spec_of(1), name, ephemeral=True, agents=False):
        stranger = subprocess.Popen(exec_argv(name, "node-1", "peer", ["sleep", "600"]))
        assert eventually(lambda: len(processes_of(name)) == 1)
    assert stranger.wait(5) == -signal.SIGKILL


def test_an_agent_that_ends_at_its_start(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "agent"
    broken.write_text("#!/bin/sh\necho 'tls.crt: no such file' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(lab_agents, "program", lambda: str(broken))
    with pytest.raises(
        LabError, match=r"The agent of node-1 \((pod|peer|host)\) ended at its start: tls\.crt: no such"
    ):
        up(spec_of(1), name)
    assert left_of(name, set()) == []


def test_an_agent_that_never_listens(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent = tmp_path / "agent"
    silent.write_text("#!/bin/sh\nsleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setattr(lab_agents, "program", lambda: str(silent))
    monkeypatch.setattr(lab_agents, "READY_SECONDS", 0.2)
    monkeypatch.setattr(lab_agents, "READY_SECONDS_EACH", 0.1)
    with pytest.raises(LabError, match=r"does not listen after 0 s: it wrote nothing to /run/netmesh/labs/"):
        up(spec_of(1), name)
    assert left_of(name, set()) == []


def cpu_quota(name: str, pod: str) -> tuple[str, set[int]]:
    """The pod's limit, as the kernel says it, and the processes that it holds for."""
    for root, file in ((Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us"), (Path("/sys/fs/cgroup"), "cpu.max")):
        folder = root / f"netmesh-lab-{name}" / pod
        if folder.exists():
            members = {int(line) for line in (folder / "cgroup.procs").read_text().split()}
            return (folder / file).read_text().split()[0], members
    return "none", set()


def test_cpu_limits_of_pods(name: str) -> None:
    up(load_spec("nodes: 2\npods: {node-1: {cpu: 0.4}}"), name).close()
    in_pod = processes_inside([FOLDER / f"nm-{name}-node-1-agent"])
    quota, members = cpu_quota(name, "node-1-agent")
    assert quota == "40000"
    assert members == {process.pid for process in in_pod}
    assert cpu_quota(name, "node-2-agent") == ("none", set())
    set_lab(name, load_spec("nodes: 2\npods: {node-2: {cpu: 0.2}}"))
    assert cpu_quota(name, "node-1-agent")[0] in ("-1", "max")
    assert cpu_quota(name, "node-2-peer")[0] == "20000"
    down(name)
    assert cpu_quota(name, "node-1-agent") == ("none", set())


def test_without_root_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(
        LabError, match=r"^A lab is made of network namespaces, which takes root: run this with sudo\.$"
    ):
        up(spec_of(1))


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match=r"tini, .*install the Debian packages iproute2 iptables tini util-linux\.$"):
        up(spec_of(1))
