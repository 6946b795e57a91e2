"""A sweep's time over its lower bound, in labs of 4 and 8 nodes with 5 s tests (goal 1.10 at most)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from netmesh_controller.mesh.ask import ask_from
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.plan import make_plan

OPTIONS = ("--duration", "5s", "--omit", "1s")


def main() -> None:
    """Sweeps each lab once and prints how long it took against the bound, with and without the plan's overhead."""
    for nodes in (4, 8):
        document = _sweep(nodes)
        run = document.run
        assert run.finished_at is not None
        began, ended = (datetime.fromisoformat(moment) for moment in (run.started_at, run.finished_at))
        took = (ended - began).total_seconds()
        plan = make_plan(ask_from(run.plan.asked), document.nodes)
        bound = plan.estimate.lower_bound_seconds
        print(
            f"  {nodes} nodes: {len(document.cells)} cells, {took:6.1f} s, bound {bound:6.1f} s, "
            f"ratio {took / bound:.3f} (goal 1.10), {run.state}"
        )


def _sweep(nodes: int) -> RunDocument:
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        command = [sys.executable, "-m", "netmesh_controller", "sweep", "--lab", str(nodes), *OPTIONS]
        environment = {**os.environ, "NETMESH_DATA_DIR": str(Path(folder) / "data")}
        done = subprocess.run(
            [*command, "--format", "json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return RunDocument.model_validate(json.loads(done.stdout))
