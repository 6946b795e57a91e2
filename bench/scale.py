"""A thousand nodes: planning 999,000 pairs, deciding what starts, and sampled sweeps over simulated agents.

Goals: planning 5 s and 300 MB; the sweep 1.03 x its lower bound, 3 ms CPU a measurement, 400 MB; the API 100 ms at p99.
Sweeps are in honest time, 2 % of the tests take three times as long and 2 % fail: about 8 minutes in all.
"""

from __future__ import annotations

import heapq
import subprocess
import sys
import time
from collections import deque
from random import Random

import psutil
from tests.sim.goals import held

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import Agent, Node
from netmesh_controller.mesh.plan import make_plan
from netmesh_controller.mesh.schedule import Schedule

NODES = 1000
DECISIONS = 3000
SWEEPS = (
    ("24", "--rounds", "8", "--failures", "0.02"),
    ("100", "--rounds", "8", "--failures", "0.02"),
    ("1000", "--rounds", "2"),
    ("1000", "--rounds", "1", "--api"),
)


def main() -> None:
    """Prints the figures; times of planning are CPU times. The sweeps are `make sim`."""
    _planning()
    _whole_sweep()
    for nodes, *options in SWEEPS:
        print(f"\n  make sim N={nodes} ARGS='{' '.join(options)}'")
        sys.stdout.flush()
        # In a network of its own, as `make sim`.
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sim"]
        subprocess.run([*command, sys.executable, "-m", "tests.sim", "--nodes", nodes, *options], check=True)


def _planning() -> None:
    agent = [Agent(role="pod", address="10.0.0.1")]
    nodes = [Node(name=f"node-{number}", agents=agent) for number in range(NODES)]
    process = psutil.Process()
    before, began = process.memory_info().rss, time.process_time()
    plan = make_plan(ask_from({"tests": "tcp-bandwidth", "pairs": "all"}), nodes)
    bound = plan.estimate.lower_bound_seconds
    planned = time.process_time()
    grown = process.memory_info().rss - before
    schedule = Schedule(plan.measurements)
    scheduled = time.process_time()
    took, size = planned - began, grown / 1e6
    print(f"  planning {len(plan.measurements)} measurements, {bound:.0f} s of sweep: {took:.1f} s ({held(took, 5)})")
    print(f"  it takes {size:.0f} MB ({held(size, 300)}), with the schedule {_grown(process, before):.0f} MB")
    print(f"  making the schedule: {scheduled - planned:.1f} s")
    began = time.process_time()
    running = deque(schedule.start())
    for _ in range(DECISIONS):
        schedule.finish(running.popleft().index)
        for one in schedule.start():
            schedule.ahead(one.index)
            running.append(one)
    spent = time.process_time() - began
    print(f"  deciding what starts, and what is opened ahead: {spent / DECISIONS * 1e3:.2f} ms a measurement")


def _whole_sweep() -> None:
    """All decisions of a sampled sweep, its end included, where the rest is played through before each."""
    nodes = [Node(name=f"node-{number}", agents=[Agent(role="pod", address="10.0.0.1")]) for number in range(NODES)]
    plan = make_plan(ask_from({"tests": "tcp-bandwidth", "pairs": "sample:2"}), nodes)
    schedule, dice = Schedule(plan.measurements), Random(1)  # noqa: S311  # no secret
    ends: list[tuple[float, int]] = []
    spent: list[float] = []
    now = 0.0
    while not schedule.done:
        began = time.process_time()
        for one in schedule.start():
            schedule.ahead(one.index)
            # As they are in the simulator: 2 % of jitter, and 2 % of the tests take three times as long.
            longer = dice.choices((1.0, 3.0), (98, 2))[0]
            heapq.heappush(ends, (now + one.seconds * longer * dice.uniform(0.98, 1.02), one.index))
        spent.append(time.process_time() - began)
        now, index = heapq.heappop(ends)
        schedule.finish(index)
    # The first one starts half of the mesh at once.
    most, mean = max(spent[1:]) * 1e3, sum(spent) / len(plan.measurements) * 1e3
    print(f"  the same over a whole sweep of sample:2: {mean:.2f} ms a measurement, {most:.0f} ms for the longest")


def _grown(process: psutil.Process, before: int) -> float:
    return (process.memory_info().rss - before) / 1e6
