"""A mesh of 1,000 nodes as an HTML report in a headless Chromium (goal: usable within 3 s).

Usable: the heatmap is drawn and answers. The main thread's own CPU time stands beside it: on a busy machine the time
by the clock is longer, and that part is the machine's. A report on 4 nodes shows what plotly's script alone takes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, sync_playwright

from netmesh_controller.mesh.document import Node, Parameters, PlanRecord, Run
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series, Table
from netmesh_controller.surfaces.reports.content import Source
from netmesh_controller.surfaces.reports.formats import Wanted, write_report

CHROMIUM = "/usr/bin/chromium"
OPTIONS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
GOAL_SECONDS = 3.0


def main() -> None:
    """Writes both reports, opens each three times, and prints the best."""
    with tempfile.TemporaryDirectory(prefix="netmesh-bench-") as folder, _chromium() as browser:
        for count in (4, 1000):
            file = Path(folder) / f"{count}.html"
            started = time.perf_counter()
            write_report(_wanted(count), file)
            wrote = time.perf_counter() - started
            opened = [_open(browser, file) for _ in range(3)]
            seconds, cpu = min(one[0] for one in opened), min(one[1] for one in opened)
            print(
                f"  {count:4} nodes: {file.stat().st_size / 1e6:5.1f} MB written in {wrote:.1f} s; usable after "
                f"{seconds:.2f} s (goal {GOAL_SECONDS:.0f}), {cpu:.2f} s of CPU on the page's main thread; "
                f"answers in {min(one[2] for one in opened) * 1e3:.0f} ms"
            )


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS.split())
        try:
            yield browser
        finally:
            browser.close()


def _open(browser: Browser, file: Path) -> tuple[float, float, float]:
    """Seconds until usable, seconds of the main thread, seconds of an answer to an arrow key."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    before = _main_threads()
    started = time.perf_counter()
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_selector("#heatmap[data-drawn]")
    page.focus("#heatmap")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#heatmap + .tip")
    seconds = time.perf_counter() - started
    cpu = max(used - before.get(pid, 0.0) for pid, used in _main_threads().items())
    started = time.perf_counter()
    page.keyboard.press("ArrowDown")
    answer = time.perf_counter() - started
    page.close()
    return seconds, cpu, answer


def _main_threads() -> dict[int, float]:
    """CPU seconds of the main thread of every renderer."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        if "--type=renderer" in process.cmdline():
            thread = next(one for one in process.threads() if one.id == process.pid)
            found[process.pid] = thread.user_time + thread.system_time
    return found


def _wanted(count: int) -> Wanted:
    nodes = [Node(name=f"worker-{place + 1}", zone=f"zone-{place * 10 // count}") for place in range(count)]
    run = Run(
        id="bench",
        state="complete",
        started_at="2026-01-01T00:00:00Z",
        netmesh_version="0",
        plan=PlanRecord(),
    )
    tables = [
        table for kind in ("tcp-bandwidth", "udp-latency") for table in _tables(kind, [one.name for one in nodes])
    ]
    source = Source(run, nodes, (), tables, (), {"measured": 2 * count * count})
    return Wanted(source, _no_document)


def _no_document() -> Source:
    raise NotImplementedError("what is measured here has no document")


def _tables(test: str, names: list[str]) -> list[Table]:
    random = np.random.default_rng(1)
    count = len(names)
    rows, columns = np.divmod(np.arange(count * count), count)
    reasons: list[str | None] = [None] * (count * count)
    for place in random.integers(0, count * count, count * count // 100):
        reasons[place] = "timeout"
    noise = 1 + 0.02 * random.standard_normal((2, count * count))
    values = (
        {"bits_per_second": 9.4e9 * noise[0], "retransmits": np.round(30 * noise[1])}
        if test == "tcp-bandwidth"
        else {"round_trip_seconds": 1e-4 * noise[0], "loss_ratio": 1e-3 * noise[1]}
    )
    gathered = Gathered(Series("pod-to-pod", test, Parameters(instrument="iperf3")), names)
    gathered.fill(rows, columns, 1, values, reasons)
    return [table for table in gathered.tables() if table.known.any()]


if __name__ == "__main__":
    main()
