"""Delay: every packet of a way is held for its time, and of no other way."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.controller.lab.support import LabMaker, Pod, count_lost, tcp_goodput

from netmesh_controller.lab import Lab, load_spec, set_lab, spec_of, state, up
from netmesh_controller.lab.addressing import Role
from netmesh_controller.lab.namespaces import inside
from netmesh_controller.lab.processes import Process
from netmesh_controller.lab.relay import quantile

pytestmark = pytest.mark.measures

DELAYED = """
nodes: 3
links: {node-1: {delay: 2ms, direction: out}}
pairs: [{from: node-2, to: node-3, delay: 5ms}]
"""
FAMILIES = [socket.AF_INET, socket.AF_INET6]
# What a relay may add: it is woken, reads and writes.
ERROR = 0.0003


@pytest.fixture(scope="module")
def lab(make_lab: LabMaker) -> Lab:
    return make_lab(DELAYED)


def one_way(source: Pod, target: Pod, family: int = socket.AF_INET) -> float:
    """The median time in seconds that a packet is on its way: all of a lab has one clock.

    The lowest of fifteen medians, since what else the machine does only adds.
    """
    medians = []
    with source.udp(family) as sender, target.udp(family) as receiver:
        receiver.settimeout(4)
        for _ in range(15):
            times = []
            for _ in range(20):
                sent = time.monotonic()
                sender.sendto(bytes(64), receiver.getsockname()[:2])
                receiver.recv(100)
                times.append(time.monotonic() - sent)
            medians.append(statistics.median(times))
    return min(medians)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("role", ["pod", "host"])
@pytest.mark.parametrize(
    ("source", "target", "delay"),
    [(1, 2, 0.002), (1, 3, 0.002), (2, 3, 0.005), (2, 1, 0), (3, 2, 0), (3, 1, 0)],
)
def test_each_way_has_its_own_delay(lab: Lab, family: int, role: Role, source: int, target: int, delay: float) -> None:
    here, there = Pod(lab, source, role), Pod(lab, target, role)
    assert one_way(here, there, family) == pytest.approx(delay, abs=ERROR)


def test_between_host_and_pod(lab: Lab) -> None:
    assert one_way(Pod(lab, 2, "host"), Pod(lab, 3, "peer")) == pytest.approx(0.005, abs=ERROR)
    assert one_way(Pod(lab, 2, "peer"), Pod(lab, 3, "host")) == pytest.approx(0.005, abs=ERROR)


def test_pods_of_one_node_are_as_near_as_ever(lab: Lab) -> None:
    assert one_way(Pod(lab, 1), Pod(lab, 1, "peer")) == pytest.approx(0, abs=ERROR)


def test_nothing_is_lost(lab: Lab) -> None:
    for family in FAMILIES:
        assert count_lost(Pod(lab, 1), Pod(lab, 2), packets=2000, data=1400, family=family) == 0


def test_udp_at_50_mbit(lab: Lab) -> None:
    with Pod(lab, 2).start("iperf3", "-s", "-1", "-p", "5202") as server:
        try:
            for _ in range(50):
                with Pod(lab, 1).start(
                    "iperf3", "-c", Pod(lab, 2).v4, "-p", "5202", "-u", "-b", "50M", "-t", "2", "-J"
                ) as client:
                    result = json.loads(client.communicate()[0])
                if "refused" not in result.get("error", ""):
                    break
                time.sleep(0.1)
        finally:
            server.kill()
    assert result["end"]["sum"]["lost_packets"] == 0
    assert result["end"]["sum"]["bits_per_second"] == pytest.approx(50e6, rel=0.02)


@pytest.mark.parametrize("v6", [False, True])
def test_tcp_fills_the_link_in_super_packets(lab: Lab, v6: bool) -> None:
    goodput, mss = tcp_goodput(Pod(lab, 1), Pod(lab, 2), seconds=1, v6=v6)
    assert mss == (1428 if v6 else 1448)
    assert goodput > 300e6


def test_the_lab_says_how_well_it_delayed(lab: Lab) -> None:
    one_way(Pod(lab, 1), Pod(lab, 2))
    time.sleep(1.2)  # it reports every second
    said = lab.facts()["delays"]
    assert said["by"] == "relay"
    first, second = (said["devices"][name] for name in ("delay-1", "delay-2"))
    assert (first["delay_seconds"], second["delay_seconds"]) == (0.002, 0.005)
    assert first["packets"] >= 60
    assert first["dropped"] == 0
    assert first["late_seconds"]["p50"] <= first["late_seconds"]["p99"] <= first["late_seconds"]["max"]


def test_set_changes_and_ends_delays(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 2")
    one, two = Pod(lab, 1), Pod(lab, 2)
    assert lab.facts()["delays"] is None
    set_lab(lab.name, load_spec("nodes: 2\nlinks: {node-2: {delay: 3ms, direction: in}}"))
    assert one_way(one, two) == pytest.approx(0.003, abs=ERROR)
    assert one_way(two, one) == pytest.approx(0, abs=ERROR)
    relay = recorded_relay(lab.name)
    assert relay is not None
    set_lab(lab.name, load_spec("nodes: 2\nlinks: {node-2: {delay: 3ms, direction: in, rate: 50M}}"))
    assert recorded_relay(lab.name) == relay
    set_lab(
        lab.name, load_spec("nodes: 2\nlinks: {node-2: {delay: 1ms}}\npairs: [{from: node-1, to: node-2, delay: 7ms}]")
    )
    assert not relay.alive()
    assert one_way(one, two) == pytest.approx(0.008, abs=ERROR)
    assert one_way(two, one) == pytest.approx(0.001, abs=ERROR)
    set_lab(lab.name, spec_of(2))
    assert recorded_relay(lab.name) is None
    assert one_way(one, two) == pytest.approx(0, abs=ERROR)


def recorded_relay(name: str) -> Process | None:
    known = state.load(name)
    assert known is not None
    return known.relay


def test_the_controllers_own_packets_are_delayed_too(make_lab: LabMaker) -> None:
    lab = make_lab("nodes: 2\nlinks: {node-1: {delay: 4ms}}")
    target = Pod(lab, 1)

    def listen() -> socket.socket:
        return socket.create_server((target.v4, 7000))

    def connect() -> float:
        started = time.monotonic()
        with socket.create_connection((target.v4, 7000), timeout=2):
            return time.monotonic() - started

    with inside(target.namespace, listen):
        times = [inside(f"nm-{lab.name}-fabric", connect) for _ in range(20)]
    assert statistics.median(times) == pytest.approx(0.008, abs=2 * ERROR)


def test_nothing_is_left(make_lab: LabMaker) -> None:
    with up(load_spec(DELAYED), agents=False) as lab:
        relay = recorded_relay(lab.name)
        assert relay is not None
        assert relay.alive()
    assert not relay.alive()
    assert not [path for path in Path("/run/netns").iterdir() if path.name.startswith(f"nm-{lab.name}-")]
    assert not (state.FOLDER / lab.name).exists()


def test_a_dead_relay_is_started_again() -> None:
    name = f"test-{os.getpid()}-relay"
    text = load_spec("nodes: 2\nlinks: {node-1: {delay: 2ms, direction: out}}")
    first = up(text, name, agents=False)
    try:
        dead = recorded_relay(name)
        assert dead is not None
        os.kill(dead.pid, signal.SIGKILL)
        while dead.alive():
            time.sleep(0.01)
        second = up(text, name, agents=False)
        assert recorded_relay(name) != dead
        assert one_way(Pod(second, 1), Pod(second, 2)) == pytest.approx(0.002, abs=ERROR)
        second.release()
    finally:
        first.release()
        up(spec_of(1), agents=False).close()  # any start cleans up
    assert name not in state.recorded()


@pytest.mark.parametrize(
    ("late", "share", "value"),
    [({}, 0.5, None), ({7: 1}, 0.99, 7e-6), ({10: 98, 50: 1, 900: 1}, 0.99, 50e-6), ({10: 1, 20: 1}, 0.5, 10e-6)],
)
def test_quantiles_of_lateness(late: dict[int, int], share: float, value: float | None) -> None:
    assert quantile(Counter(late), share) == (None if value is None else pytest.approx(value))
