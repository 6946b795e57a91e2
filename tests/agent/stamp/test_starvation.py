"""Starvation at an end of the link: STAMP's network time stays true, the process's does not, and the witness tells."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.agent.stamp.network import MICROSECOND, Truth, network, p99, truth
from tests.agent.stamp.starve import UNHINDERED, Limit, busy_loops

from netmesh.v1 import agent_pb2
from netmesh_controller.clients.samples import sample_from
from netmesh_controller.mesh.document import CellKey, Hosts, Parameters, Summary, Witness
from netmesh_controller.mesh.hostsamples import Samples
from netmesh_controller.mesh.hostwindow import host_cost
from netmesh_controller.mesh.witness import witness

pytestmark = [pytest.mark.measures, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

# What an agent samples, from inside of the control group that it shares with its tool; a line names the tool.
SAMPLER = """
import sys
from netmesh_agent.host import HostSampler
sampler = HostSampler(None)
sampler.sample()
print("ready", flush=True)
for line in sys.stdin:
    print(sampler.sample(int(line)).SerializeToString().hex(), flush=True)
"""


class Watcher:
    """Samples of a measuring process, as its agent takes them."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SAMPLER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def sample(self, root: int) -> agent_pb2.HostSample:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{root}\n")
        self.process.stdin.flush()
        return agent_pb2.HostSample.FromString(bytes.fromhex(self.process.stdout.readline()))


@contextmanager
def watching() -> Iterator[Watcher]:
    watcher = Watcher()
    try:
        yield watcher
    finally:
        watcher.process.kill()
        watcher.process.communicate()


def witnessed(first: agent_pb2.HostSample, last: agent_pb2.HostSample, answer: Any, instrument: str) -> Witness:
    """The witness of a cell with this answer, whose source was sampled at the beginning and at the end."""
    parameters = Parameters(instrument=instrument, offered_per_second=1000)
    key = CellKey(path="pod-to-pod", test="udp-latency", source="a", target="b", repeat=1, parameters=parameters)
    samples = Samples.of((sample_from(first), sample_from(last)))
    host = host_cost(samples, idle_busy_cores=None, bits_per_second=None, shared=False)
    values = {"round_trip_seconds": Summary(mean=answer["values"]["round_trip_seconds"]["mean"])}
    seen, _ = witness(key, dict(values), Hosts(source=host))
    assert seen is not None
    return seen


# Both ways together.
RELAY_SECONDS = 4e-3


def assert_the_networks_time_is_true(answer: Any, real: Truth) -> None:
    found = answer["values"]["network_round_trip_seconds"]
    assert found["count"] >= 50
    assert abs(found["p50"] - statistics.median(real.network)) <= 5 * MICROSECOND
    assert found["p99"] == pytest.approx(p99(real.network), rel=0.2)


def assert_the_processes_time_is_far_off(answer: Any) -> None:
    """What a process sees is its own waiting: a multiple of what the way takes beyond the relay's set time."""
    found, whole = answer["values"]["network_round_trip_seconds"], answer["values"]["round_trip_seconds"]
    beyond = {name: (found[name] - RELAY_SECONDS, whole[name] - RELAY_SECONDS) for name in ("p50", "p99")}
    assert beyond["p50"][1] > 2 * beyond["p50"][0] or beyond["p99"][1] > 4 * beyond["p99"][0]


@pytest.mark.parametrize("starved", ["sender", "reflector"])
def test_a_process_with_5_percent_of_a_core(starved: str) -> None:
    limit = Limit(f"nmst{os.getpid()}")
    try:
        with watching() as watcher, network(relay=True, first=UNHINDERED) as made:
            reflector = made.reflector()
            captures = made.capture()
            # The warm-up is the time in which the process starts, and is then held.
            options = ("--rate", "2000", "--omit", "2", "--duration", "4", "--timeout", "2")
            client = made.stamp(made.near, "client", *options)
            held = client if starved == "sender" else reflector
            time.sleep(1.5)
            for process in (held, watcher.process):
                limit.hold(process)
            first = watcher.sample(held.pid)
            limit.set(5_000)
            time.sleep(4.5)
            last = watcher.sample(held.pid)
            limit.set(None)
            answer = json.loads(client.communicate(timeout=60)[0])
            real = truth(captures, answer)
    finally:
        limit.remove()
    assert_the_networks_time_is_true(answer, real)
    assert_the_processes_time_is_far_off(answer)
    assert answer["values"]["round_trip_seconds"]["p99"] > 0.02
    seen = witnessed(first, last, answer, "stamp")
    assert seen.verdict == "marked"
    assert "throttled" in seen.signs
    if starved == "sender":
        # It wants a third of a core, also where others leave it little: what a process timed there would be discarded.
        assert witnessed(first, last, answer, "sockperf").verdict == "starved"


def test_beside_four_busy_loops() -> None:
    """On two cores."""
    with watching() as watcher, busy_loops(), network(relay=True, first=UNHINDERED) as made:
        made.reflector()
        captures = made.capture()
        client = made.stamp(made.near, "client", "--rate", "1000", "--omit", "2", "--duration", "4", "--timeout", "2")
        time.sleep(2.5)
        first = watcher.sample(client.pid)
        time.sleep(3)
        last = watcher.sample(client.pid)
        answer = json.loads(client.communicate(timeout=60)[0])
        real = truth(captures, answer)
    assert_the_networks_time_is_true(answer, real)
    assert_the_processes_time_is_far_off(answer)
    seen = witnessed(first, last, answer, "stamp")
    assert seen.verdict == "marked"
    assert {"run_queue_wait", "pressure", "busy_core"} <= set(seen.signs)
