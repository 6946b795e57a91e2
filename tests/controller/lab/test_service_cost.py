"""What a Service costs each new connection, against the direct path in the same lab at the same time."""

from __future__ import annotations

import os
import random
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from scipy.stats import wilcoxon
from tests.controller.lab.support import LabMaker, Pod

from netmesh_controller.lab.namespaces import inside

PORT = 61868
BATCHES, CONNECTS = 400, 20
# The test calls an equal cost a higher one with this probability, and so does its counter-check.
FALSE_ALARM = 1e-4
# Close by a reset: nothing is left in TIME_WAIT.
RESET = struct.pack("ii", 1, 0)


def undisturbed() -> None:
    """This thread is not held up for others' sake (sched(7)): 1 µs is to be seen."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


@contextmanager
def accepting(pod: Pod) -> Iterator[None]:
    """A process that accepts in the pod; a thread here would share this process's interpreter lock."""
    listener = inside(pod.namespace, lambda: socket.create_server((pod.v4, PORT), backlog=4000))
    child = os.fork()
    if child == 0:
        try:
            undisturbed()
            while True:
                listener.accept()[0].close()
        finally:
            os._exit(0)
    listener.close()
    try:
        yield
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def batch(address: str) -> float:
    """The median time of so many connects, one after the other."""
    times = []
    for _ in range(CONNECTS):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            started = time.perf_counter_ns()
            sock.connect((address, PORT))
            times.append(time.perf_counter_ns() - started)
    return statistics.median(times) * 1e-9


def batches(ways: dict[str, str]) -> Callable[[], dict[str, list[float]]]:
    """Batches of each way in turn, rounds in random order: what the machine does meanwhile hits all alike."""

    def connect() -> dict[str, list[float]]:
        undisturbed()
        found: dict[str, list[float]] = {way: [] for way in ways}
        draw = random.Random(61868)
        for _ in range(BATCHES):
            for way in draw.sample(sorted(ways), len(ways)):
                found[way].append(batch(ways[way]))
        return found

    return connect


def higher(first: list[float], second: list[float]) -> float:
    """The probability of a difference like this if both cost the same: Wilcoxon's signed-rank test of the rounds."""
    return float(wilcoxon(first, second, alternative="greater").pvalue)


@pytest.mark.measures
def test_a_service_costs_each_new_connection_more_than_the_direct_path(make_lab: LabMaker) -> None:
    """Behind 2,000 rules of other Services. Both ways walk through those; the Service's adds its own chains and NAT."""
    lab = make_lab("nodes: 2\nservices: {unrelated_rules: 2000}")
    source, target = Pod(lab, 1), Pod(lab, 2)
    service = lab.service_address("node-2", "pod", 4)
    ways = {"service": service, "direct": target.v4, "direct again": target.v4}
    with accepting(target):
        found = inside(source.namespace, batches(ways))
    more = {way: statistics.median(found[way]) * 1e6 for way in ways}
    print(f"median of the batches' medians, us: {more}; p = {higher(found['service'], found['direct']):.1e}")
    assert higher(found["service"], found["direct"]) < FALSE_ALARM, more
    # The same way twice is not told apart, in neither direction: the order of a round favours none.
    assert higher(found["direct"], found["direct again"]) > FALSE_ALARM, more
    assert higher(found["direct again"], found["direct"]) > FALSE_ALARM, more
    # It is the smaller part by far: the rules' own walk is on both ways.
    assert more["service"] < 1.2 * more["direct"], more
