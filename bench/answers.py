"""A run of 1,000 x 1,000 (values only) from its file to matrices and findings (its goal with compare: 30 s, 1 GB).

Seconds by the clock, and of CPU beside them: on a busy machine the rest is the machine's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import zstandard
from tests.support.peak import own_peak

from netmesh_controller.mesh import arrays
from netmesh_controller.mesh.derived import asymmetry, by_group, by_node, groups_of
from netmesh_controller.mesh.findings import find
from netmesh_controller.mesh.table import Table

NODES, ZONES = 1000, 10
_Made = TypeVar("_Made")


def main() -> None:
    """Prints how long each part takes, and the most memory that the whole took: of a process of its own."""
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", __name__], check=True)


def _all() -> None:
    packing = zstandard.ZstdCompressor().compressobj()
    file = b"".join([*(packing.compress(chunk) for chunk in lines()), packing.flush()])
    run = _timed(f"read {len(file) / 1e6:.0f} MB of lines into arrays, and matrices of them", lambda: arrays(file))
    table = run.table("tcp-bandwidth")
    assert np.count_nonzero(table.known) == NODES * (NODES - 1)

    def derive() -> Table:
        by_node(table)
        by_group(table, groups_of(run.nodes))
        return asymmetry(table)

    _timed("by node, by zone, asymmetry", derive)
    found = _timed("findings", lambda: find(run.nodes, run.gathered, duration_seconds=5.0))
    _timed("the matrices as the document has them", lambda: [one.document() for one in run.tables])
    print(f"  found: {', '.join(one.sentence for one in found)}")
    print(f"  memory at most: {own_peak() / 1024:,.0f} MB, with the file")


def _timed(what: str, work: Callable[[], _Made]) -> _Made:
    clock, cpu = time.perf_counter(), time.process_time()
    made = work()
    print(f"  {what}: {time.perf_counter() - clock:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    return made


def lines(name: str = "million", seed: int = 1) -> Iterator[bytes]:
    """A mesh with one slow node, as a run file has it."""
    names = [f"node-{number}" for number in range(1, NODES + 1)]
    nodes = [{"name": name, "zone": f"zone-{number % ZONES}"} for number, name in enumerate(names)]
    head = {
        "schema": "netmesh.run/1",
        "run": {
            "id": name,
            "state": "complete",
            "started_at": "2026-01-01T00:00:00.000Z",
            "netmesh_version": "0",
            "plan": {"asked": {}, "resolved": {"duration": 5}},
        },
        "nodes": nodes,
        "matrices": [],
        "findings": [],
    }
    yield json.dumps(head).encode() + b"\n"
    dice = np.random.default_rng(seed)
    parameters = '{"instrument":"iperf3","family":4,"streams":1,"direction":"forward"}'
    for row, source in enumerate(names):
        figures = 9.4e9 * np.exp(-np.abs(dice.normal(0, 0.03, NODES))) * (0.5 if row == 7 else 1.0)
        yield b"".join(
            f'{{"path":"pod-to-pod","test":"tcp-bandwidth","source":"{source}","target":"{target}","repeat":1,'
            f'"attempt":1,"parameters":{parameters},"outcome":"measured","values":{{"bits_per_second":{{"mean":{figure:.1f}}}}}}}\n'.encode()
            for target, figure in zip(names, figures.tolist(), strict=True)
            if target != source
        )


if __name__ == "__main__":
    _all()
