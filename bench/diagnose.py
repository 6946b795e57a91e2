"""Faults put into a lab, and what `diagnose` says first: each 5 times (NETMESH_BENCH_RUNS), and healthy controls.

NETMESH_BENCH_QUICK=1 asks with --quick. NETMESH_BENCH_CASES="a pair shaped;delay" names those that are wanted.
NETMESH_BENCH_FILE keeps each answer as a line as it comes; what stands there is not asked again, and the table at the
end is of all of the file.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.serving import diagnosed, serving_inside

from bench.faults import CONTROLS, FAULTS, HEALTHY, NODES, Fault, present
from netmesh_controller import lab as labs

RUNS = int(os.environ.get("NETMESH_BENCH_RUNS", "5"))
QUICK = os.environ.get("NETMESH_BENCH_QUICK") == "1"
CASES = CONTROLS + FAULTS


def main() -> None:
    """Prints a line an answer as it comes, then the table of verdicts by fault."""
    kept = os.environ.get("NETMESH_BENCH_FILE")
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder:
        file = Path(kept) if kept else Path(folder) / "answers.jsonl"
        before = _read(file)
        asked = Counter(one["case"] for one in before if one["quick"] == QUICK)
        left = [(case, RUNS - asked[case.name]) for case in _wanted() if asked[case.name] < RUNS]
        if left:
            _ask(left, Path(folder), file)
        _table([one for one in _read(file) if one["quick"] == QUICK])


def _wanted() -> list[Fault]:
    names = [name.strip() for name in os.environ.get("NETMESH_BENCH_CASES", "").split(";") if name.strip()]
    known = {case.name: case for case in CASES}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"NETMESH_BENCH_CASES: there is no {unknown[0]!r}; there are {'; '.join(known)}")
    return [case for case in [known[name] for name in names] or CASES if not (QUICK and case.whole_only)]


def _ask(left: Iterable[tuple[Fault, int]], folder: Path, file: Path) -> None:
    """All in one lab that a controller serves; the lab is changed while it runs."""
    name = f"nm-bench-{secrets.token_hex(2)}"
    with (
        labs.up(labs.load_spec(f"nodes: {NODES}"), name, ephemeral=True) as lab,
        serving_inside(folder, lab, "--no-monitor") as url,
    ):
        for case, times in left:
            with present(case, lab):
                for _ in range(times):
                    began = time.monotonic()
                    answer = diagnosed(lab, url, "node-1", "node-2", quick=QUICK)
                    _keep(file, case, answer, time.monotonic() - began)


def _keep(file: Path, case: Fault, answer: dict[str, Any], seconds: float) -> None:
    found = answer["diagnosis"]
    verdicts = [] if found is None else [(one["code"], one["confidence"], one["sentence"]) for one in found["verdicts"]]
    line = {
        "case": case.name,
        "quick": QUICK,
        "right": case.right,
        "first": verdicts[0][0] if verdicts else answer["state"],
        "seconds": seconds,
        "load": os.getloadavg()[0],
        "verdicts": verdicts,
        "steps": [] if found is None else [(one["name"], round(one["seconds"], 1)) for one in found["steps"]],
    }
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")
    mark = "" if line["first"] in case.right else "  WRONG"
    print(f"  {case.name:32} {seconds:5.1f} s  {line['first']}{mark}", flush=True)


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _table(answers: list[dict[str, Any]]) -> None:
    by_case: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in answers:
        by_case[one["case"]].append(one)
    rates = {True: [0, 0], False: [0, 0]}
    print("\n| fault | named by | right | first verdicts | median |\n| --- | --- | --- | --- | --- |")
    for name, those in by_case.items():
        right = those[0]["right"]
        hits = sum(1 for one in those if one["first"] in right)
        rates[tuple(right) == HEALTHY][0] += hits
        rates[tuple(right) == HEALTHY][1] += len(those)
        said = ", ".join(f"`{code}` {count}" for code, count in Counter(one["first"] for one in those).most_common())
        middle = statistics.median(one["seconds"] for one in those)
        codes = " or ".join(f"`{code}`" for code in right)
        print(f"| {name} | {codes} | {hits}/{len(those)} | {said} | {middle:.1f} s |")
    (right, faults), (calm, controls) = rates[False], rates[True]
    seconds = [one["seconds"] for one in answers]
    print(f"\nRight first verdict: {right} of {faults} faults (goal 95 %). ", end="")
    print(f"False alarms: {controls - calm} of {controls} healthy controls (goal 5 %).")
    print(f"Median {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s. ", end="")
    print(f"{os.cpu_count()} cores, load {statistics.median(one['load'] for one in answers):.1f} in the middle.")
