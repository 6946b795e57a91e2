"""What the pages show of a lab of six nodes while a link loses, a node gets slow, and an agent goes away.

For each: how long until the heatmap, the page of events, the metrics and, of an agent, the page of nodes have it, in a
real Chromium, and until all of them are quiet again after it was mended. Held: each names the right place, and no other
event opens.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
from playwright.sync_api import Page
from tests.support.browser import chromium, watched
from tests.support.cli import Controller

TOKEN = "of-this-watch-alone"  # noqa: S105  # a controller on the loopback
URL = "http://127.0.0.1:19414/"
NODES = 6
SHAPE = "nodes: 6\nzones: {a: [node-1, node-2, node-3], b: [node-4, node-5, node-6]}\n"
WAIT_SECONDS = 180
# The figures of the heatmap, row by row; null is a gap.
PLOTTED = """() => document.getElementById("mesh-heatmap").data[1].z.flatMap(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""


@dataclass(frozen=True)
class Fault:
    """`links` is the lab's shape while it lasts; `shows` whether the heatmap's figures tell of it."""

    what: str
    node: str
    kind: str
    statistic: str
    shows: Callable[[list[float | None]], bool]
    links: str = ""


def cells_of(node: str, figures: list[float | None]) -> tuple[list[float | None], list[float | None]]:
    """The figures between a node and others, and those of all other pairs."""
    place = int(node.removeprefix("node-")) - 1
    cells = [(at // NODES, at % NODES, figure) for at, figure in enumerate(figures)]
    between = [(row, column, figure) for row, column, figure in cells if row != column]
    own = [figure for row, column, figure in between if place in (row, column)]
    return own, [figure for row, column, figure in between if place not in (row, column)]


def loses(figures: list[float | None]) -> bool:
    """More than one in a hundred at the node, in the mean of its pairs, and nothing elsewhere."""
    own, others = ([one for one in some if one is not None] for some in cells_of("node-2", figures))
    return bool(own) and sum(own) / len(own) > 1 and max(others, default=0) == 0


def is_slow(figures: list[float | None]) -> bool:
    """Each pair of the node takes longer than each pair of the others."""
    own, others = ([one for one in some if one is not None] for some in cells_of("node-4", figures))
    return bool(own) and min(own) > max(others, default=0)


def is_gone(figures: list[float | None]) -> bool:
    """No pair of the node has a figure, and all others have."""
    own, others = cells_of("node-6", figures)
    return own == [None] * len(own) and None not in others


FAULTS = (
    Fault("5 % loss on the link of node-2", "node-2", "lossy_node", "loss", loses, "links: {node-2: {loss: 0.05}}\n"),
    Fault("2 ms on the link of node-4", "node-4", "slow_node", "p50", is_slow, "links: {node-4: {delay: 2ms}}\n"),
    Fault("the agent of node-6 is gone", "node-6", "agent_lost", "p50", is_gone),
)


class Lab:
    """A lab that stays until it is taken down, and what can be done to it."""

    def __init__(self, folder: Path) -> None:
        self._command = Controller(folder / "data")
        self._shape = folder / "lab.yaml"
        self._shape.write_text(SHAPE)
        self.name = f"nmwatched-{os.getpid()}"

    def call(self, *arguments: object) -> None:
        answer = self._command("lab", *arguments)
        assert answer.code == 0, answer.stderr

    def up(self) -> None:
        """Also starts again what has died."""
        self.call("up", self._shape, "--name", self.name)

    def shape(self, links: str) -> None:
        changed = self._shape.with_name("changed.yaml")
        changed.write_text(SHAPE + links)
        self.call("set", self.name, changed)

    def kill_agent(self, node: str) -> None:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            named = any(f"/{self.name}/" in word for word in words) and {"--node", node, "pod"} <= set(words)
            if named and any(word.endswith("netmesh-agent") for word in words):
                process.kill()


@contextmanager
def served(folder: Path, lab: Lab) -> Iterator[None]:
    """A controller that watches the lab."""
    command = Controller(folder / "data")
    process = subprocess.Popen(
        command.argv("serve", "--lab", lab.name, "--listen", URL.removeprefix("http://").rstrip("/")),
        env=command.environment(NETMESH_TOKEN=TOKEN),
        stdout=subprocess.PIPE,
        stderr=(folder / "serve.log").open("wb"),
    )
    assert process.stdout is not None
    try:
        assert URL.rstrip("/").encode() in process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def open_events() -> dict[str, int]:
    """How many are open of each kind, by the metrics."""
    request = Request(f"{URL}metrics", headers={"X-Netmesh-Token": TOKEN})  # noqa: S310  # its own address
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        text = answer.read().decode()
    found = re.findall(r'^netmesh_events_open\{kind="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return {kind: int(float(count)) for kind, count in found if float(count)}


def rows_open(page: Page) -> list[str]:
    """The open ones on the page of events, each as its text."""
    rows = page.locator("#events-list tbody tr").all_inner_texts()
    return [row for row in rows if "open" in row.split("\t")[0] and row.count("\t") >= 2]


class Watch:
    """A browser's windows on the mesh, looked at until they tell what is waited for."""

    def __init__(self, mesh: Page, events: Page, nodes: Page) -> None:
        self._mesh = mesh
        self._events = events
        self._nodes = nodes
        self.seen: set[tuple[str, str]] = set()

    def statistic(self, name: str) -> None:
        self._mesh.goto(f"{URL}#mesh?statistic={name}&window=10s")
        # A loss is a mean, whatever it is asked by.
        drawn = "mean" if name == "loss" else name
        self._mesh.wait_for_selector(f"#mesh-heatmap[data-drawn^='{drawn}/10/']", timeout=60_000)

    def times(self, fault: Fault, *, there: bool) -> dict[str, float]:
        """Seconds until each place tells that it is there, or is there no more."""
        began, found = time.monotonic(), dict[str, float]()
        looks: dict[str, Callable[[], bool]] = {
            "heatmap": lambda: fault.shows(self._mesh.evaluate(PLOTTED)) == there,
            "event": lambda: self._is_open(fault) == there,
            "above it": lambda: (fault.kind in self._mesh.inner_text("#mesh-events")) == there,
            "metric": lambda: open_events() == ({fault.kind: 1} if there else {}),
        }
        if fault.kind == "agent_lost":
            looks["nodes"] = lambda: self._answers(fault.node) != there
        while len(found) < len(looks):
            passed = time.monotonic() - began
            assert passed < WAIT_SECONDS, f"{fault.what}: only {sorted(found)} told after {WAIT_SECONDS} s"
            for name, look in looks.items():
                if name not in found and look():
                    found[name] = time.monotonic() - began
            time.sleep(0.25)
        return found

    def _answers(self, node: str) -> bool:
        rows = self._nodes.locator("#list tbody tr").all_inner_texts()
        return [node, "answers"] in [row.split("\t")[:: max(1, row.count("\t"))] for row in rows]

    def _is_open(self, fault: Fault) -> bool:
        rows = rows_open(self._events)
        for kind, where, *words in (row.split("\t")[1:] for row in rows):
            if (kind, where) not in self.seen:
                print(f"  open: {kind} {where}: {words}", flush=True)
            self.seen.add((kind, where))
        return any(fault.kind in row and fault.node in row for row in rows)


def told(times: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in sorted(times.items()))


def main() -> None:
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="nmwatched-") as made, chromium() as browser:
        folder = Path(made)
        lab = Lab(folder)
        lab.up()
        try:
            with served(folder, lab), watched(browser) as mesh, watched(browser) as events, watched(browser) as nodes:
                for one, place in ((mesh, "mesh"), (events, "events?state=open"), (nodes, "nodes")):
                    one.page.goto(f"{URL}#{place}")
                    one.page.fill("#token-text", TOKEN)
                    one.page.click("#token button")
                    one.page.wait_for_selector("#token", state="hidden")
                watch = Watch(mesh.page, events.page, nodes.page)
                # Nodes that are new raise nothing in their first 30 s.
                watch.statistic("p50")
                time.sleep(45)
                for fault in FAULTS:
                    watch.statistic(fault.statistic)
                    lab.shape(fault.links) if fault.links else lab.kill_agent(fault.node)
                    print(f"{fault.what}: {told(watch.times(fault, there=True))}", flush=True)
                    if pictures is not None:
                        mesh.page.screenshot(path=pictures / f"{fault.kind}-mesh.png", full_page=True)
                        events.page.screenshot(path=pictures / f"{fault.kind}-events.png", full_page=True)
                    lab.shape("") if fault.links else lab.up()
                    print(f"  mended: {told(watch.times(fault, there=False))}", flush=True)
                named = {(fault.kind, fault.node) for fault in FAULTS}
                # Of a node that loses one way, a pair may be seen first.
                pairs = {one for one in watch.seen if one[0] == "lossy_pair" and FAULTS[0].node in one[1].split(" → ")}
                assert named <= watch.seen <= named | pairs, watch.seen
                print(f"each named its place, and nothing opened elsewhere; pairs of the node that loses: {len(pairs)}")
        finally:
            lab.call("down", lab.name)


if __name__ == "__main__":
    main()
