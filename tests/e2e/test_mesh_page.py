"""The page of the watched mesh in a real Chromium: what it shows is what the API says, of a lab that is watched."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser
from tests.support.browser import Watched, watched
from tests.support.cli import Controller

TOKEN = "a-token-of-the-tests"  # noqa: S105  # it opens nothing else
PORT = 19413
URL = f"http://127.0.0.1:{PORT}/"
# What a page says where there is nothing yet.
SAYS = {
    "runs": "No run yet",
    "compare": "Start another",
    "sweep": "Measures every ordered pair",
    "nodes": "node-3",
    "mesh?test=tcp-bandwidth": "serve --background-bandwidth SIZE",
}
LAB = "nodes: 3\nzones: {a: [node-1, node-2], b: [node-3]}\n"
PLOTTED = """() => document.getElementById("mesh-heatmap").data[1].z.map(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""


KNOWN = f"({PLOTTED})().flat().filter((number) => number !== null).length"


def ask(path: str) -> Any:
    with urlopen(Request(f"{URL}api/v1/{path}", headers={"X-Netmesh-Token": TOKEN}), timeout=10) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("mesh")
    file = folder / f"{secrets.token_hex(2)}.yaml"
    file.write_text(LAB)
    with served(folder, file):
        yield


@contextmanager
def served(folder: Path, lab: Path) -> Iterator[None]:
    command = Controller(folder / "data")
    process = subprocess.Popen(
        # Nobody listens where this check asks.
        command.argv("serve", "--lab", lab, "--listen", f"127.0.0.1:{PORT}", "--check", "shut=tcp://127.0.0.1:1"),
        env=command.environment(NETMESH_TOKEN=TOKEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert URL.rstrip("/") in process.stdout.readline()
        yield
    finally:
        os.kill(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said


@contextmanager
def opened(browser: Browser, page: str, **how: Any) -> Iterator[Watched]:
    """A page of the controller, after its token was given; it must not complain, and ask nobody else."""
    with watched(browser, **how) as seen:
        seen.page.goto(f"{URL}#{page}")
        seen.page.fill("#token-text", TOKEN)
        seen.page.click("#token button")
        seen.page.wait_for_selector("#token", state="hidden")
        # What the browser says of the first answers, which had no token.
        seen.complaints[:] = []
        yield seen
        # The browser says every 503 by itself: no window has ended yet, which the page tells in words.
        assert [one for one in seen.complaints if "status of 503" not in one] == []
        assert [url for url in seen.requests if not url.startswith((URL, "data:", "blob:"))] == []


def test_the_mesh_is_what_the_api_says_and_a_pair_opens(browser: Browser, controller: None) -> None:
    with opened(browser, "mesh?statistic=sent&window=1h") as seen:
        # The first windows have no probe whose fate is known.
        seen.page.wait_for_function(
            f"() => document.querySelector('#mesh-heatmap[data-drawn]') && {KNOWN} === 6", timeout=60_000
        )
        # A window may end between the two: then both are asked again.
        for _ in range(5):
            drawn = seen.page.get_attribute("#mesh-heatmap", "data-drawn")
            plotted = seen(PLOTTED)
            mesh = ask("mesh?statistic=sent&window=1h")
            if plotted == mesh["values"]:
                break
            seen.page.wait_for_timeout(3000)
        assert plotted == mesh["values"], drawn
        assert mesh["sources"] == ["node-1", "node-2", "node-3"]
        assert [plotted[place][place] for place in range(3)] == [None] * 3
        seen.page.focus("#mesh-heatmap")
        seen.page.keyboard.press("ArrowRight")
        told = seen.page.locator("#mesh-heatmap + .tip").inner_text()
        assert "node-1 → node-2" in told
        assert "the window began" in told
        seen.page.select_option(".controls label:has-text('statistic') select", "p50")
        seen.page.wait_for_function(
            f"() => document.getElementById('mesh-heatmap').dataset.drawn.startsWith('p50/') && {KNOWN} === 6"
        )
        shown = [number for row in seen(PLOTTED) for number in row if number is not None]
        assert len(shown) == 6
        assert all(number > 0 and math.isfinite(number) for number in shown)
        # Each node asks for the first time within its first 10 s.
        for name in mesh["sources"]:
            seen.page.wait_for_selector(f"#mesh-checks td:has-text('{name}: ')")
        failed = seen.page.locator("#mesh-checks tbody td").all_inner_texts()
        assert failed[:2] == ["shut", "3"]
        assert failed[3:5] == ["none", "none"]
        for name in mesh["sources"]:
            assert re.search(rf"{name}: (\d+) of \1 failed, refused: ", failed[5]), failed
        seen.page.focus("#mesh-heatmap")
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_selector("#pair-now table")
        assert "node-1 → node-2" in seen.page.inner_text("#pair-now")
        seen.page.wait_for_selector("#pair-sweeps:has-text('None of the last runs')")


@pytest.mark.parametrize(("width", "theme"), [(400, "light"), (1900, "dark")])
def test_pages_fit_and_say_what_to_do_where_there_is_nothing(
    browser: Browser, controller: None, width: int, theme: str
) -> None:
    with opened(browser, "runs", width=width, theme=theme) as seen:
        for page, words in SAYS.items():
            seen.page.goto(f"{URL}#{page}")
            seen.page.wait_for_selector(f"main:has-text('{words}')")
            assert seen("() => document.documentElement.scrollWidth") <= width, page


def test_a_page_goes_on_by_itself_when_the_controller_answers_again(browser: Browser, controller: None) -> None:
    with opened(browser, "events") as seen:
        seen.page.wait_for_selector("#events-list")
        seen.page.context.set_offline(True)
        seen.page.wait_for_selector("#problem:has-text('It is asked again')")
        seen.page.context.set_offline(False)
        seen.page.wait_for_selector("#problem", state="hidden")
        assert [one for one in seen.complaints if "ERR_INTERNET_DISCONNECTED" not in one] == []
        seen.complaints.clear()


def test_a_sweep_is_started_and_watched_to_its_end(browser: Browser, controller: None) -> None:
    with opened(browser, "runs") as runs, opened(browser, "sweep") as seen:
        runs.page.wait_for_selector("#list")
        seen.page.wait_for_selector("#sweep-form")
        seen.page.fill("#sweep-form input[name=duration]", "1s")
        seen.page.uncheck("#sweep-form input[value=tcp-bandwidth]")
        seen.page.uncheck("#sweep-form input[value=tcp-latency]")
        seen.page.check("#sweep-form input[value=tcp-connect]")
        seen.page.click("#start")
        seen.page.wait_for_selector("main:has-text('complete: 9 of 9 cells measured')", timeout=90_000)
        assert "tcp-connect" in seen.page.inner_text("#sweep-cells")
        # Its mesh, and what there is to take along, without another page.
        seen.page.wait_for_selector("#heatmap[data-drawn^='pod-to-pod/tcp-connect']")
        seen.page.wait_for_selector("#run-about:has-text('cells: 9 measured')")
        assert ask("runs/latest")["outcomes"] == {"measured": 9}
        # The list of runs was open all the time, and knows of it by itself.
        runs.page.wait_for_selector("#list tr:has-text('complete'):has-text('9 of 9')")


def test_a_pair_is_diagnosed_from_its_page(browser: Browser, controller: None) -> None:
    with opened(browser, "pair/node-1/node-2") as seen:
        seen.page.click("#diagnose-quick")
        seen.page.wait_for_selector("main:has-text('node-1 → node-2: why?')")
        seen.page.wait_for_selector("#steps li", timeout=60_000)
        seen.page.wait_for_selector("#verdicts", timeout=120_000)
        run = seen("() => decodeURIComponent(location.hash.split('/')[1])")
        answer = ask(f"diagnoses/{run}")
        assert answer["state"] == "complete"
        shown = seen.page.locator("#verdicts .kind").all_inner_texts()
        assert shown == [one["code"] for one in answer["diagnosis"]["verdicts"]]
        for one in answer["diagnosis"]["verdicts"]:
            assert one["sentence"] in seen.page.inner_text("#verdicts")
