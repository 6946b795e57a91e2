"""The agent at rest: resident memory (goal 80 MB at most) and CPU (goal 0.2 % of a core at most)."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import psutil
from tests.support.agents import new_identity, running_agent

WATCHED_SECONDS = 30
AGENTS = 3


def main() -> None:
    """Starts agents, lets them rest, and prints what they use."""
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        identity = new_identity(Path(folder) / "identity")
        memory, cpu = [], []
        for number in range(AGENTS):
            with running_agent(identity, Path(folder), port=19510 + number) as agent:
                process = psutil.Process(agent.process.pid)
                time.sleep(2)
                before = process.cpu_times()
                time.sleep(WATCHED_SECONDS / AGENTS)
                after = process.cpu_times()
                used = after.user + after.system - before.user - before.system
                cpu.append(used / (WATCHED_SECONDS / AGENTS))
                memory.append(process.memory_info().rss)
    print(f"  resident memory   {statistics.median(memory) / 1e6:6.1f} MB        goal 80 MB")
    print(f"  CPU               {statistics.median(cpu):8.2%} of a core  goal 0.20 %")
