"""Files and options that people write, changed by chance: each is understood, or refused in one sentence."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from tests.support.fuzzing import changed, fuzzed

from netmesh.v1 import agent_pb2
from netmesh_common.errors import BadUsageError
from netmesh_controller.clients.agents import Spec
from netmesh_controller.inventory.static import _from_file as agents_from
from netmesh_controller.lab.spec import load_spec
from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.expectations import parse
from netmesh_controller.surfaces.cli.sweep import _asked

PLANS = (
    "paths: pod-to-pod,pod-to-service\ntests: tcp-bandwidth,udp-latency\nduration: 5s\nomit: 1s\nrepeat: 3\n",
    "tests: all\nstreams: [1, 4]\nmessage-sizes: 64,1k\nrate: 100M\nmax-rate: 1G\npause-if: cpu > 80 %\n",
    "pairs: sample:3\nbudget: 20m\nuntil: ci < 2 %\nmax-repeat: 5\nfamily: 6\nmax-concurrent: 2\n",
    "pairs: node-1:node-2\ntarget: pod-to-external:name=192.0.2.1:80\ntool: stamp\nmessage-rate: 100\nmss: 1000\n",
)
LABS = (
    "nodes: 4\nzones: {a: [node-1, node-2], b: [node-3, node-4]}\n",
    "nodes: 2\nlinks: {node-1: {rate: 100M, mtu: 1400, loss: 0.02, delay: 2ms, direction: out}}\n",
    "nodes: 3\npairs: [{from: node-1, to: node-2, rate: 50M, loss: 0.01, delay: 2ms, drop_larger_than: 1400}]\n",
    "nodes: 2\npods:  {node-2: {cpu: 0.5}}\nservices: {unrelated_rules: 2000}\n",
)
AGENTS = (
    "- 127.0.0.1:9410\n- {address: '[fd00::1]:9410', zone: a, labels: {rack: '7'}}\n",
    "agents:\n- address: node.example:9410\n  zone: b\n",
)
EXPECTATIONS = (
    "udp-latency.p99@pod-to-pod/remote < 150 us",
    "tcp-bandwidth.bits_per_second.mean >= 900 Mbit/s",
    "udp-bandwidth.loss_ratio.mean <= 0.1 %",
    "path-mtu.mtu_bytes.min@pod-to-service = 1500",
)


def one_sentence(error: Exception) -> None:
    said = str(error)
    assert said
    assert "Traceback" not in said
    assert len(said.strip().split("\n")) == 1, said


@fuzzed(100)
@given(changed(PLANS))
def test_plan_files(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            ask = ask_from(_asked({}, plan, None))
        except BadUsageError as error:
            one_sentence(error)
            return
    assert ask.duration >= 1
    assert ask.omit >= 0
    assert ask.repeat >= 1
    assert ask.rate in (None, "unlimited") or int(ask.rate) > 0
    assert math.isfinite(ask.interval)
    # What is understood can be told to an agent.
    most = Spec(
        "tcp-bandwidth",
        "iperf3",
        4,
        ask.duration,
        ask.omit,
        ask.interval,
        max(ask.streams),
        None if ask.rate in (None, "unlimited") else int(ask.rate),
        max(ask.message_sizes or (1,)),
        max(ask.mss or (1,)),
        ask.congestion,
        ask.message_rate,
    )
    assert agent_pb2.Spec.FromString(most.message().SerializeToString()) == most.message()


@fuzzed(100)
@given(changed(LABS))
def test_lab_files(text: str) -> None:
    try:
        spec = load_spec(text)
    except BadUsageError as error:
        one_sentence(error)
        return
    assert spec.nodes >= 1
    for link in spec.links.values():
        assert link.loss is None or 0 <= link.loss <= 1
        assert link.rate is None or link.rate > 0
        assert link.delay is None or math.isfinite(link.delay)


@fuzzed(60)
@given(changed(AGENTS))
def test_agents_files(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        agents = Path(folder) / "agents.yaml"
        agents.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            found = agents_from(agents)
        except BadUsageError as error:
            one_sentence(error)
            return
    assert all(isinstance(one.address, str) for one in found)


@fuzzed(150)
@given(changed(EXPECTATIONS))
def test_expectations(text: str) -> None:
    try:
        expectation = parse(text)
    except BadUsageError as error:
        one_sentence(error)
        return
    assert math.isfinite(expectation.bound)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"nodes: 2026-13-45", b"a: " + b"9" * 5000, b"[" * 400])
def test_bytes_that_yaml_itself_trips_over(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_bytes(content)
    for read in (lambda: ask_from(_asked({}, path, None)), lambda: agents_from(path)):
        with pytest.raises(BadUsageError) as refused:
            read()
        one_sentence(refused.value)
