"""`make sim N=1000`: a sampled sweep of the real controller over simulated agents; prints what it cost."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections import Counter
from pathlib import Path

from tests.sim import api
from tests.sim.goals import held
from tests.sim.restart import Resumed, killed_and_resumed
from tests.sim.run import Report, sweep
from tests.sim.world import World


def main() -> None:
    """Sweeps once and prints."""
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=4, help="perfect matchings, both ways each; 0: all pairs")
    parser.add_argument("--duration", default="5s")
    parser.add_argument("--factor", type=float, default=1.0, help="tests take so many times less than they say")
    parser.add_argument("--oversubscribed", type=float, default=1.0, help="of the zones' uplinks")
    parser.add_argument("--failures", type=float, default=0.002, help="the part of the tests that fail")
    parser.add_argument("--lost", type=int, default=0, help="agents that stop for a while after their start")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", type=Path, help="a file for what cProfile sees of the controller")
    parser.add_argument("--per-zone-pair", type=int)
    parser.add_argument("--api", action="store_true", help="sweep by a controller that stays, and time its API")
    parser.add_argument("--killed", action="store_true", help="kill the controller half-way, and resume its run")
    asked = parser.parse_args()
    world = World(
        asked.nodes,
        factor=asked.factor,
        oversubscribed=asked.oversubscribed,
        lost=asked.lost,
        failures=asked.failures,
        seed=asked.seed,
    )
    pairs = f"sample:{asked.rounds}" if asked.rounds else "all"
    options: tuple[str, ...] = ("--pairs", pairs, "--tests", "tcp-bandwidth", "--duration", asked.duration)
    if asked.per_zone_pair is not None:
        options += ("--per-zone-pair", str(asked.per_zone_pair))
    if asked.api:
        print(f"  {world.nodes} agents; 1-minute load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        wanted = {"pairs": pairs, "tests": "tcp-bandwidth", "duration": asked.duration}
        api.show(asyncio.run(api.serve_and_sweep(world, wanted)))
        return
    if asked.killed:
        with tempfile.TemporaryDirectory(prefix="netmesh-sim-") as folder:
            half = world.nodes * asked.rounds // 2
            show_resumed(asyncio.run(killed_and_resumed(world, Path(folder), options, half)))
        return
    show(asyncio.run(sweep(world, *options, profile=asked.profile)))


def show(report: Report) -> None:
    """Prints a sweep's figures against their bounds."""
    world, cells, bound = report.world, report.document.cells, report.bound_seconds
    measured = sum(cell.outcome == "measured" for cell in cells)
    state, load = report.document.run.state, os.getloadavg()[0]
    print(f"  {world.nodes} agents, {len(cells)} cells, {measured} measured, {state}; seed {world.seed}")
    print(f"  time compressed {world.factor:g}-fold; 1-minute load {load:.1f} on {os.cpu_count()} cores")
    goal = held(report.over_bound, 1.03)
    print(f"  makespan {report.makespan_seconds:.1f} s, {report.over_bound:.3f} x the lower bound ({goal})")
    print(f"  the same tests in barrier rounds: {report.barrier_seconds / bound:.3f} x")
    print(f"  the same tests one by one: {report.sequential_seconds / bound:.1f} x")
    spent, peak = report.cpu_per_measurement * 1e3, report.peak_rss_bytes / 1e6
    print(f"  controller: {spent:.2f} ms CPU a measurement ({held(spent, 3)})")
    print(f"  controller: {report.cpu_seconds:.1f} s CPU in all, peak RSS {peak:.0f} MB ({held(peak, 400)})")
    print(f"  measured again alone after that: {report.alone}, in none of the figures of time above")
    print(f"  at once {report.most_at_once}, tests that met at a node {report.overlaps}")
    print(f"  at once between two zones, either way, by the model network's own record: {report.most_between_zones}")
    print(f"  numbers that differ from the pair alone: {len(report.wrong)}")


def show_resumed(done: Resumed) -> None:
    """Prints what became of a run whose controller was killed."""
    print(f"  killed with {len(done.kept)} cells stored; {done.state} with {len(done.cells)}, exit code {done.code}")
    gaps = Counter(cell.reason.message for cell in done.cells.values() if cell.reason is not None)
    print(f"  gaps {gaps.total()}" + "".join(f"\n    {count} {said}" for said, count in gaps.most_common(5)))
    lost = sum(done.cells.get(pair) != cell for pair, cell in done.kept.items())
    print(f"  stored cells that were lost or changed {lost}, measured again {len(done.twice)}")
    print(f"  tests that met at a node, of either controller {done.overlaps}")
    first, whole = done.first_seconds, done.whole_seconds
    print(f"  from the next one's start to its first test {first:.1f} s, to its end {whole:.1f} s")


if __name__ == "__main__":
    main()
