"""Findings of sweeps of real labs: healthy ones and such with one fault (goals: 5 % and 95 %).

A case is swept NETMESH_BENCH_RUNS times (10), each time with the fault at another place. NETMESH_BENCH_CASES="a;b"
names those that are wanted. NETMESH_BENCH_FILE keeps each sweep as a line as it comes: what stands there is not swept
again, and the table at the end is of all of the file. NETMESH_BENCH_MINUTES ends it after the sweep that reaches that
time.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.cli import Controller

from bench.findings import interval
from bench.mesh_faults import CASES, Case, Right, of
from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import Finding, RunDocument

RUNS = int(os.environ.get("NETMESH_BENCH_RUNS", "10"))
MINUTES = float(os.environ.get("NETMESH_BENCH_MINUTES", "inf"))
SWEEP = ("--tests", "tcp-bandwidth,udp-latency", "--tool", "iperf3,stamp", "--duration", "1s", "--omit", "0s")
PLACES = ("node", "source", "target", "source_zone", "target_zone")


def main() -> None:
    """Prints a line a sweep as it comes, then the table of all."""
    kept = os.environ.get("NETMESH_BENCH_FILE")
    until = time.monotonic() + 60 * MINUTES
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        file = Path(kept) if kept else Path(folder) / "sweeps.jsonl"
        with ExitStack() as running:
            up: Lab | None = None
            nodes = 0
            for case, run in _left(_read(file)):
                if time.monotonic() > until:
                    break
                if up is None or nodes != case.nodes:
                    running.close()
                    name = f"nm-bench-{secrets.token_hex(2)}"
                    up = running.enter_context(labs.up(labs.load_spec(of(case, run)), name, ephemeral=True))
                    nodes = case.nodes
                labs.set_lab(up.name, labs.load_spec(of(case, run)))
                _keep(file, case, run, _swept(up, Path(folder)))
        _table(_read(file))


def _left(before: list[dict[str, Any]]) -> Iterator[tuple[Case, int]]:
    """What is not in the file yet, a round of all cases after the other: what is stopped early has some of each."""
    done = {(one["case"], one["run"]) for one in before}
    for run in range(RUNS):
        yield from ((case, run) for case in _wanted() if (case.name, run) not in done)


def _wanted() -> list[Case]:
    names = [name.strip() for name in os.environ.get("NETMESH_BENCH_CASES", "").split(";") if name.strip()]
    known = {case.name: case for case in CASES}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"NETMESH_BENCH_CASES: there is no {unknown[0]!r}; there are {'; '.join(known)}")
    return [known[name] for name in names] or list(CASES)


def _swept(lab: Lab, folder: Path) -> RunDocument:
    answer = Controller(folder / "data")("sweep", "--lab", lab.name, "--format", "json", *SWEEP)
    if answer.code not in (0, 3):  # 3: with gaps, which a lossy link may make
        sys.exit(f"the sweep ended with {answer.code}: {answer.stderr}")
    return answer.document()


def _keep(file: Path, case: Case, run: int, swept: RunDocument) -> None:
    right = case.right(run)
    found = swept.findings
    beside = [one.sentence for one in found if not _belongs(right, one)]
    line = {
        "case": case.name,
        "run": run,
        "healthy": right is None,
        "found": any(_said(right, one) for one in found),
        "beside": beside,
        "sentences": [one.sentence for one in found],
        # What was measured again, Mbit/s.
        "again": [
            [one["source"], one["target"], round(one["bits_per_second"] / 1e6, 1)]
            for one in swept.run.facts.get("alone", ())
        ],
        "gaps": sum(one.outcome != "measured" for one in swept.cells),
        "load": os.getloadavg()[0],
    }
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")
    said = "no fault" if right is None else "found" if line["found"] else "NOT FOUND"
    print(f"  {case.name:36} {run:3}  {said}{'; wrong: ' if beside else ''}{' | '.join(beside)}", flush=True)


def _said(right: Right, finding: Finding) -> bool:
    return right is not None and finding.kind == right[0] and right[1].items() <= finding.where.items()


def _belongs(right: Right, finding: Finding) -> bool:
    """Whether it is of the place that is bad: a node that loses packets is slow by TCP, too, and a pair asymmetric."""
    if right is None:
        return False
    place = {name: finding.where[name] for name in PLACES if name in finding.where}
    return sorted(place.values()) == sorted(what for name, what in right[1].items() if name in PLACES)


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _table(sweeps: list[dict[str, Any]]) -> None:
    by_case: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in sweeps:
        by_case[one["case"]].append(one)
    print("\n| lab | sweeps | found | with something wrong |\n| --- | --- | --- | --- |")
    for case in CASES:
        if those := by_case[case.name]:
            found = "-" if those[0]["healthy"] else str(sum(one["found"] for one in those))
            print(f"| {case.name} | {len(those)} | {found} | {sum(bool(one['beside']) for one in those)} |")
    faulty = [one for one in sweeps if not one["healthy"]]
    healthy = [one for one in sweeps if one["healthy"]]
    for what, those, name in (
        ("Healthy sweeps with any finding (goal 5 %)", healthy, "beside"),
        ("Faults found, right kind and place (goal 95 %)", faulty, "found"),
        ("Faults with something wrong said beside them (goal 5 %)", faulty, "beside"),
    ):
        if those:
            number = sum(bool(one[name]) for one in those)
            print(f"{what}: {number} of {len(those)}, {interval(number, len(those))}")
    for sentence, number in Counter(sentence for one in sweeps for sentence in one["beside"]).most_common():
        print(f"  wrong, {number} x: {sentence}")
    loads = sorted(one["load"] for one in sweeps)
    print(f"{os.cpu_count()} cores, load {loads[len(loads) // 2]:.1f} in the middle, at most {loads[-1]:.1f}.")
