"""`make soak`: monitoring and sweeps in a lab under churn; what the processes hold stays flat, or it ends with 1."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.soak.mesh import PORT, Mesh, running
from tests.soak.rounds import ROUNDS
from tests.soak.watch import Held, held, trends

from netmesh_controller.lab.addressing import Role

# Agents that nothing is done to. Node 3's pod is killed and started again.
WATCHED: tuple[tuple[str, Role], ...] = (("node-1", "pod"), ("node-2", "pod"), ("node-2", "peer"), ("node-1", "host"))
SETTLE_SECONDS = 2.0


def look(mesh: Mesh) -> dict[str, Held]:
    """What each watched process holds."""
    seen = {"controller": held(mesh.controller, partial(mesh.metrics, "127.0.0.1", PORT), mesh.stacks())}
    targets = {(one.node, one.role): one.address for one in mesh.lab.targets()}
    for key in WATCHED:
        seen[" ".join(key)] = held(mesh.agent(*key).pid, partial(mesh.metrics, targets[key], 9411))
    return seen


def soak(mesh: Mesh, minutes: float) -> dict[str, list[Held]]:
    """Rounds until the time is over, whole turns of all kinds; a look after each turn."""
    looks: dict[str, list[Held]] = {}
    until = time.monotonic() + minutes * 60
    number = 0
    while time.monotonic() < until or number < 4:
        for each in ROUNDS:
            each(mesh)
        time.sleep(SETTLE_SECONDS)
        for name, seen in look(mesh).items():
            looks.setdefault(name, []).append(seen)
            print(json.dumps({"turn": number, "process": name, **asdict(seen)}), flush=True)
        number += 1
    return looks


def main() -> None:
    """Soaks, prints, judges."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    asked = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nmsoak-") as folder, running(Path(folder)) as mesh:
        looks = soak(mesh, asked.minutes)
    minutes, load = (time.monotonic() - begun) / 60, os.getloadavg()[0]
    print(f"{minutes:.1f} minutes, {len(looks['controller'])} turns of {len(ROUNDS)} kinds; 1-minute load {load:.1f}")
    grown = []
    for name, seen in looks.items():
        for trend in trends(seen):
            went = f"{trend.before:8.1f} -> {trend.after:8.1f} (most {trend.most:.1f})"
            print(f"  {name:12} {trend.name:12} {went} {'flat' if trend.flat else 'GROWN'}")
            if not trend.flat:
                grown.append((name, trend.name))
    sys.exit(1 if grown else 0)


if __name__ == "__main__":
    main()
