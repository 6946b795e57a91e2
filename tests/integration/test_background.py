"""Bandwidth in the background of a watched lab: true, in turn, within its bytes, and in nobody's way."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tests.support.browser import chromium, chromium_within
from tests.support.browser import watched as a_page
from tests.support.cli import Controller
from tests.support.lab import run_in
from tests.support.serving import TOKEN, fetched, serving_inside

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab, namespaces
from netmesh_controller.lab.addressing import fabric_namespace
from netmesh_controller.mesh.background.turns import cost_of

pytestmark = pytest.mark.measures

MBIT = 1e6
OFFERED, SLOW = 100 * MBIT, 50 * MBIT
# tbf counts Ethernet frames: 1448 bytes of data in 1514.
TCP_SHARE = 1448 / 1514
NODES = ("node-1", "node-2", "node-3")
PAIRS = sorted(permutations(NODES, 2))
OPTIONS = (
    *("--background-bandwidth", "9000G", "--background-rate", "100M", "--background-share", "50%"),
    # The lab's nodes share this machine's cores, on which others may be at work.
    *("--background-rest", "1s", "--background-pause-if", "cpu > 100 %"),
)
# The figures of the page's heatmap, row by row; null is a gap.
PLOTTED = """() => document.getElementById("mesh-heatmap").data[1].z.flatMap(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""
# Sends 48 Mbit/s of datagrams to where nobody listens.
BLAST = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic()
while True:
    s.sendto(bytes(30_000), (sys.argv[1], 9))
    due += 0.005
    time.sleep(max(0.0, due - time.monotonic()))
"""


class Watched:
    """A controller in a lab, asked over HTTP."""

    def __init__(self, lab: Lab, url: str) -> None:
        self.lab, self.url = lab, url

    def get(self, path: str) -> Any:
        return json.loads(fetched(self.lab, f"{self.url}/api/v1/{path}"))

    def post(self, path: str, body: Any) -> Any:
        headers = {"X-Netmesh-Token": TOKEN, "Content-Type": "application/json"}
        request = Request(f"{self.url}/api/v1/{path}", data=json.dumps(body).encode(), headers=headers)  # noqa: S310

        def ask() -> Any:
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                return json.loads(answer.read())

        return namespaces.inside(fabric_namespace(self.lab.name), ask)

    def metric(self, name: str) -> float:
        page = fetched(self.lab, f"{self.url}/metrics").decode()
        found = re.search(rf"^{re.escape(name)} (.+)$", page, re.MULTILINE)
        return 0.0 if found is None else float(found[1])

    def tests(self) -> int:
        outcomes = ("measured", "failed", "discarded", "skipped")
        return round(sum(self.metric(f'netmesh_background_tests_total{{outcome="{one}"}}') for one in outcomes))

    def cells(self) -> dict[tuple[str, str], Any]:
        """The cells of the run that keeps them, by pair."""
        runs = [one["run"] for one in self.get("runs")["runs"] if one["run"]["name"] == "background bandwidth"]
        if not runs:
            return {}
        found = self.get(f"runs/{runs[0]['id']}/cells?limit=100")["cells"]
        assert len(found) == len({(one["source"], one["target"]) for one in found}), "a pair has two cells"
        return {(one["source"], one["target"]): one for one in found}


def wait(until: Callable[[], bool], what: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, what()
        time.sleep(0.3)


def begun(one: dict[str, Any]) -> float:
    return datetime.fromisoformat(one["started_at"]).timestamp()


def sent_bytes(lab: Lab) -> int:
    """What the agents' pods have sent, by the kernel's count at their devices."""
    rows = [line.split() for node in NODES for line in run_in(lab, node, "agent", "cat", "/proc/net/dev").splitlines()]
    return sum(int(row[9]) for row in rows if row[0].endswith(":") and row[0] != "lo:")


@contextmanager
def busy(lab: Lab, node: str, towards: str) -> Iterator[None]:
    """A node whose pod's device carries traffic that is not netmesh's."""
    address = next(one.address for one in lab.targets() if (one.node, one.role) == (towards, "pod"))
    argv = labs.exec_argv(lab.name, node, "agent", [sys.executable, "-c", BLAST, address])
    idle = sent_bytes(lab)
    process = subprocess.Popen(argv)
    try:
        wait(lambda: sent_bytes(lab) > idle + 1_000_000, lambda: "it does not send")
        yield
        assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def test_pairs_are_refreshed_in_turn_truly_and_in_nobodys_way(tmp_path: Path) -> None:
    """One lab for all of it: a lab and thirty seconds of tests are what each would need."""
    spec = labs.load_spec(f"nodes: 3\nlinks: {{node-3: {{rate: {SLOW / MBIT:.0f}M, direction: out}}}}")
    with labs.up(spec, f"nmtest-{secrets.token_hex(2)}", ephemeral=True) as lab:
        with ExitStack() as stack:
            with busy(lab, "node-2", "node-1"):
                # Node 1 receives what node 2 sends: both are busy, and there is no pair of calm nodes.
                watched = Watched(lab, stack.enter_context(serving_inside(tmp_path, lab, *OPTIONS)))
                wait(lambda: watched.metric("netmesh_background_tests_put_off_total") >= 2, watched.cells)
                assert (watched.tests(), watched.cells()) == (0, {})
                assert watched.metric("netmesh_background_day_bytes") == 0
            before = sent_bytes(lab)
            wait(lambda: watched.tests() >= 1, watched.cells)
            swept_while_nothing_ran(watched)
            wait(lambda: len(watched.cells()) == len(PAIRS), watched.cells)
            told = watched.cells()
            figures_are_true(watched, told)
            in_turn(watched, told)
            shown_on_the_terminal(watched, tmp_path)
            assert watched.get("events")["events"] == []
            assert [one["own_traffic"] for one in watched.get("mesh?window=1m")["nodes"]] == [True] * 3
        sent = sent_bytes(lab) - before
        with serving_inside(tmp_path, lab, *OPTIONS) as url:
            again = Watched(lab, url)
            wait(lambda: bool(again.metric('netmesh_background_pairs{state="measured"}')), again.cells)
            kept_within_its_bytes(again, sent)
            assert again.cells().keys() == told.keys()
            drawn_in_a_browser(again, tmp_path)


def swept_while_nothing_ran(watched: Watched) -> None:
    asked = {"tests": "tcp-bandwidth", "nodes": "node-1,node-3", "rate": "5M", "duration": "1s", "omit": "0s"}
    run = watched.post("sweeps", {"options": asked})["run"]
    begun_with = watched.tests()
    wait(lambda: watched.get(f"runs/{run}")["run"]["state"] != "running", lambda: watched.get(f"runs/{run}"))
    found = watched.get(f"runs/{run}/cells?limit=100")["cells"]
    # At the first attempt: nobody else's test was in the way. A starved one is discarded.
    assert [one["attempt"] for one in found] == [1] * 4
    assert {one["outcome"] for one in found} <= {"measured", "discarded"}
    first = min(map(begun, found))
    last = max(begun(one) + one["duration_seconds"] for one in found)
    for one in watched.cells().values():
        assert begun(one) >= last or begun(one) + one["duration_seconds"] <= first, "a test beside a sweep"
    assert watched.tests() - begun_with <= 1


def figures_are_true(watched: Watched, told: dict[tuple[str, str], Any]) -> None:
    mesh = watched.get("mesh?test=tcp-bandwidth")
    assert (mesh["value"], mesh["unit"]) == ("bits_per_second", "bit/s")
    assert mesh["parameters"]["offered_bits_per_second"] == OFFERED
    for row, source in enumerate(mesh["sources"]):
        for column, target in enumerate(mesh["targets"]):
            value, reason, age = (mesh[name][row][column] for name in ("values", "reasons", "ages"))
            if source == target:
                assert (value, reason, age) == (None, "not_applicable", None)
                continue
            assert 0 <= age < 120
            cell = told[source, target]
            if cell["outcome"] == "discarded":
                # The machine was too busy for a figure: then none is told.
                assert value is None
                continue
            assert (cell["outcome"], reason) == ("measured", None), cell
            host = cell["hosts"]["target"]
            # TCP may take less of a link in 2 s than there is, and never more. A rate is offered on the mean of 3 s:
            # what was held up in the first, which does not count, is made up for in the other two. And what waited in
            # the receiver's socket as they began counts: on a busy machine, where the receiver itself waits for a core.
            waited = (host.get("tool_wait_seconds") or 0.0) / host["window_seconds"]
            most = (1.03 + waited) * SLOW * TCP_SHARE if source == "node-3" else 1.03 * OFFERED * 3 / 2
            assert 0 < value <= most, (source, target, value, waited)
            # What the target's device received in the test's window, by its kernel: samples are 0.1 s apart.
            carried = 8 * host["device"]["received_bytes"] / host["window_seconds"]
            assert value == pytest.approx(carried, rel=0.1), (source, target)
    told_in_metrics(watched)
    if all(one["outcome"] == "measured" for one in told.values()):
        assert max(max(filter(None, row)) for row in mesh["values"]) > SLOW, "all are as slow as one's link"


def told_in_metrics(watched: Watched) -> None:
    """The series of a pair has what its cell has, and a pair without a figure has none."""
    name = r'netmesh_worst_pair_bandwidth_bytes_per_second\{source="(.+)",target="(.+)"\}'

    def series() -> dict[tuple[str, str], float]:
        page = fetched(watched.lab, f"{watched.url}/metrics").decode()
        return {(source, target): float(text) for source, target, text in re.findall(rf"{name} (.+)", page)}

    def cells() -> dict[tuple[str, str], float]:
        measured = {pair: one for pair, one in watched.cells().items() if one["outcome"] == "measured"}
        return {pair: one["values"]["bits_per_second"]["mean"] / 8 for pair, one in measured.items()}

    # A test may end between the two.
    wait(lambda: series() == cells(), lambda: (series(), cells()))


def shown_on_the_terminal(watched: Watched, folder: Path) -> None:
    command = Controller(folder)
    argv = ["nsenter", f"--net={namespaces.FOLDER / fabric_namespace(watched.lab.name)}", "--"]
    argv += command.argv("monitor", "--controller", watched.url, "--format", "json", "--every", "1s")
    lines = subprocess.Popen(argv, env=command.environment(NETMESH_TOKEN=TOKEN), stdout=subprocess.PIPE, text=True)
    assert lines.stdout is not None
    try:
        told = next(one for one in map(json.loads, lines.stdout) if one["what"] == "window")["bandwidth"]
    finally:
        lines.terminate()
        lines.wait(30)
        lines.stdout.close()
    assert told["measured_pairs"] + sum(told["gaps"].values()) + told["untested_pairs"] == len(PAIRS)
    assert (told["untested_pairs"], told["offered_bits_per_second"]) == (0, OFFERED)
    assert len(told["slowest"]) == min(5, told["measured_pairs"])
    assert all(0 < one["bits_per_second"] <= 1.5 * OFFERED for one in told["slowest"])


def drawn_in_a_browser(again: Watched, folder: Path) -> None:
    """The page's heatmap of bandwidth is what the API says, of cells that were stored before it started."""
    executable = chromium_within(folder, namespaces.FOLDER / fabric_namespace(again.lab.name))
    with chromium(executable) as browser, a_page(browser) as seen:
        seen.page.goto(f"{again.url}/#mesh?test=tcp-bandwidth")
        seen.page.fill("#token-text", TOKEN)
        seen.page.click("#token button")
        seen.page.wait_for_selector("#mesh-heatmap[data-drawn]")

        def same() -> bool:
            told = again.get("mesh?test=tcp-bandwidth")["values"]
            return bool(seen(PLOTTED) == pytest.approx([one and one / MBIT for row in told for one in row]))

        # A pair may be tested between the two, and it is drawn again every 5 s.
        wait(same, lambda: seen(PLOTTED))
        title = seen.page.inner_text("#mesh-title")
        assert title.startswith("pod-to-pod: TCP bandwidth, the last test of each pair"), title
        assert "Each test is offered 100 Mbit/s" in seen.page.inner_text("main")


def in_turn(watched: Watched, told: dict[tuple[str, str], Any]) -> None:
    """The pair that is tested next is the one that was tested the longest ago."""
    stalest = min(told, key=lambda pair: begun(told[pair]))
    wait(lambda: begun(watched.cells()[stalest]) > begun(told[stalest]), watched.cells)
    now = watched.cells()
    renewed = {pair for pair in told if begun(now[pair]) > begun(told[pair])}
    in_order = sorted(told, key=lambda pair: begun(told[pair]))
    assert renewed == set(in_order[: len(renewed)])
    times = sorted((begun(one), one["duration_seconds"]) for one in now.values())
    for (at, seconds), (following, _) in pairwise(times):
        assert at + seconds <= following, "two at once"


def kept_within_its_bytes(again: Watched, sent: int) -> None:
    """What a restarted controller says was spent is what the devices counted, less what was no test."""
    spent = again.metric("netmesh_background_day_bytes") - again.metric("netmesh_background_bytes_total")
    # The sweep's four cells, and what agents told the controller.
    others = 4 * 5e6 / 8 * 1.5 + 4e6
    # A test that the end cut off counts as all that it might have sent, and one may have begun since.
    unsettled = 2 * cost_of(OFFERED)
    assert sent - others <= spent <= sent + unsettled
    assert spent <= again.metric("netmesh_background_day_limit_bytes")
