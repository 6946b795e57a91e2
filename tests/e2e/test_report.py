"""The HTML report in a real Chromium: what is shown is what the run document says, and nothing is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.support.browser import Watched, watched
from tests.support.meshes import HOSTILE, generated

from netmesh_controller.mesh.document import Matrix, RunDocument
from netmesh_controller.surfaces.reports.formats import Wanted, write_report
from netmesh_controller.surfaces.terminal.units import digits, scale_for

# What the heatmap holds, in the page's own unit: null for a gap.
PLOTTED = """() => document.getElementById("heatmap").data[1].z.map(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""

FULL = "([value, unit, number]) => netmesh.units.full(number, netmesh.units.scaleFor(value, unit, [number]))"


@pytest.fixture(scope="module")
def document() -> RunDocument:
    return generated(6, repeats=2, seed=5)


@pytest.fixture(scope="module")
def file(document: RunDocument, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "run.html"
    write_report(Wanted.of(document), path)
    return path


@contextmanager
def opened(browser: Browser, file: Path, **how: object) -> Iterator[Watched]:
    """The report when its first heatmap is drawn; at the end it must have loaded nothing and complained of nothing."""
    with watched(browser, **how) as seen:  # type: ignore[arg-type]  # width, height, theme
        seen.page.goto(file.as_uri())
        seen.page.wait_for_selector("#heatmap[data-drawn]")
        yield seen
        assert seen.complaints == []
        assert [url for url in seen.requests if not url.startswith(("data:", "blob:"))] == [file.as_uri()]


def choose(seen: Watched, **labels: str) -> None:
    for name, label in labels.items():
        before = seen.page.get_attribute("#heatmap", "data-drawn")
        chosen = seen.page.eval_on_selector(f"#{name}", "list => list.selectedOptions[0].textContent")
        if chosen == label:
            continue
        seen.page.select_option(f"#{name}", label=label)
        seen.page.wait_for_function("before => document.getElementById('heatmap').dataset.drawn !== before", arg=before)


def matrix_of(document: RunDocument, path: str, value: str, test: str = "tcp-bandwidth") -> Matrix:
    return next(one for one in document.matrices if (one.path, one.test, one.value) == (path, test, value))


def test_every_cell_of_the_heatmap_is_the_documents(browser: Browser, file: Path, document: RunDocument) -> None:
    with opened(browser, file) as seen:
        assert seen.page.locator("#path").input_value() != ""
        for path, test, value, label in (
            ("pod-to-pod", "tcp-bandwidth, iperf3", "bits_per_second", "received"),
            ("host-to-host", "tcp-bandwidth, iperf3", "retransmits", "retransmits"),
            ("host-to-host", "udp-latency, sockperf, offered 1000/s", "round_trip_seconds", "round trip"),
        ):
            choose(seen, path=path, test=test, value=label)
            expected = matrix_of(document, path, value, test.split(",")[0])
            numbers = [number for row in expected.values for number in row if number is not None]
            scale = scale_for(value, expected.unit, numbers)
            title = seen.page.inner_text("#matrix-title")
            assert title.startswith(f"{path}: {test}, {label} (mean)")
            assert title.endswith(scale.unit)
            plotted = seen(PLOTTED)
            for shown, told in zip(plotted, expected.values, strict=True):
                for number, truth in zip(shown, told, strict=True):
                    assert (number is None) == (truth is None)
                    assert truth is None or math.isclose(number, truth * scale.factor, rel_tol=1e-6)
        # What follows from two matrices is in per cent.
        choose(seen, path="pod-to-pod", test="tcp-bandwidth, iperf3", value="share of host-to-host")
        pods, hosts = (matrix_of(document, path, "bits_per_second").values for path in ("pod-to-pod", "host-to-host"))
        for shown, ours, theirs in zip(seen(PLOTTED), pods, hosts, strict=True):
            for number, one, other in zip(shown, ours, theirs, strict=True):
                if one is None or other is None:
                    assert number is None
                else:
                    assert math.isclose(number, 100 * one / other, rel_tol=1e-6)


def test_other_statistics_and_the_fixed_scale(browser: Browser, file: Path, document: RunDocument) -> None:
    with opened(browser, file) as seen:
        choose(seen, path="pod-to-pod", test="udp-latency, sockperf, offered 1000/s", statistic="most")
        cells = [cell for cell in document.cells if (cell.path, cell.test) == ("pod-to-pod", "udp-latency")]
        most = max(
            summary.max or 0
            for cell in cells
            if (cell.source, cell.target) == ("worker-1", "worker-3") and (summary := cell.values["round_trip_seconds"])
        )
        assert math.isclose(seen(PLOTTED)[0][2], most * 1e6, rel_tol=1e-6)
        choose(seen, statistic="mean", scale="fixed: from 0, all paths alike")
        ends = {}
        for path in ("pod-to-pod", "host-to-host"):
            choose(seen, path=path)
            ends[path] = seen(
                "() => { const {zmin, zmax} = document.getElementById('heatmap').data[1]; return [zmin, zmax]; }"
            )
        assert ends["pod-to-pod"] == ends["host-to-host"]
        assert ends["pod-to-pod"][0] == 0


def test_hover_arrow_keys_and_a_click_tell_of_a_pair(browser: Browser, file: Path, document: RunDocument) -> None:
    gap = next(
        cell
        for cell in document.cells
        if cell.reason is not None and (cell.path, cell.test) == ("pod-to-pod", "tcp-bandwidth")
    )
    matrix = matrix_of(document, "pod-to-pod", "bits_per_second")
    row, column = matrix.sources.index(gap.source), matrix.targets.index(gap.target)
    with opened(browser, file) as seen:
        choose(seen, path="pod-to-pod", test="tcp-bandwidth, iperf3")
        box = seen(
            """() => { const area = document.querySelector('#heatmap .nsewdrag').getBoundingClientRect();
            return [area.x + scrollX, area.y + scrollY, area.width, area.height]; }"""
        )
        count = len(matrix.sources)
        x, y = box[0] + box[2] * (column + 0.5) / count, box[1] + box[3] * (row + 0.5) / count
        seen.page.evaluate("y => scrollTo(0, y)", y - 300)
        y -= seen("() => scrollY")
        seen.page.mouse.move(x, y)
        tip = seen.page.locator("#heatmap + .tip")
        tip.wait_for()
        assert gap.reason is not None
        told = tip.inner_text()
        assert f"{gap.source} → {gap.target}" in told
        assert f"received: {gap.reason.code}" in told
        assert gap.reason.message in told
        assert "repeats measured: 0" in told
        seen.page.mouse.click(x, y)
        seen.page.wait_for_selector("dialog[open]")
        assert gap.reason.message in seen.page.inner_text("dialog")
        seen.page.click("dialog button")
        seen.page.wait_for_selector("dialog:not([open])", state="attached")
        seen.page.focus("#heatmap")
        seen.page.keyboard.press("ArrowLeft" if column else "ArrowRight")
        beside = column - 1 if column else column + 1
        number = matrix.values[row][beside]
        told = tip.inner_text()
        assert matrix.targets[beside] in told
        assert number is None or f"received: {digits(number / 1e9)} Gbit/s" in told
        assert number is None or "repeats measured: 2" in told


def test_findings_stand_first_and_tables_are_for_all(browser: Browser, file: Path, document: RunDocument) -> None:
    with opened(browser, file) as seen:
        titles = seen.page.locator("h2").all_inner_texts()
        assert titles[:2] == ["Findings", "Mesh"]
        assert {"Paths beside host-to-host", "Cost", "Host facts that differ", "Provenance"} <= set(titles)
        assert document.findings[0].sentence in seen.page.inner_text(".findings")
        assert "kernel" in seen.page.inner_text("section[aria-labelledby=facts]")
        assert "iperf3 -c" in seen.page.inner_text("section[aria-labelledby=provenance]")
        seen.page.click("#as-table summary")
        seen.page.wait_for_selector("#table tbody")
        matrix = matrix_of(document, "pod-to-pod", "bits_per_second")
        cells = seen.page.locator("#table tbody tr").nth(2).locator("td").all_inner_texts()
        assert cells == [
            reason if number is None else digits(number / 1e9)
            for number, reason in zip(matrix.values[2], matrix.reasons[2], strict=True)
        ]


def test_hostile_names_are_shown_and_do_nothing(browser: Browser, tmp_path: Path) -> None:
    document = generated(3, zones=0, name=lambda place: HOSTILE + str(place))
    file = tmp_path / "hostile.html"
    write_report(Wanted.of(document), file)
    with opened(browser, file) as seen:
        assert seen("() => document.querySelectorAll('img').length") == 0
        assert "owned" not in seen.page.title()
        seen.page.click("#as-table summary")
        seen.page.wait_for_selector("#table tbody")
        assert seen.page.locator("#table thead th").nth(1).inner_text() == HOSTILE + "0"
        seen.page.focus("#heatmap")
        seen.page.keyboard.press("ArrowRight")
        assert HOSTILE + "1" in seen.page.locator("#heatmap + .tip").inner_text()


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (800, "dark"), (1920, "light")])
def test_nothing_is_wider_than_the_screen(browser: Browser, file: Path, width: int, theme: str) -> None:
    with opened(browser, file, width=width, theme=theme) as seen:
        assert seen("() => document.documentElement.scrollWidth") <= width
        ground = seen("() => getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(20, 23, 27)") == (theme == "dark")
        seen.page.click("#theme")
        assert seen("() => getComputedStyle(document.body).backgroundColor") != ground


def test_the_pages_words_for_figures_are_the_terminals(browser: Browser, file: Path) -> None:
    numbers = [0.0, 1.0, 9.995, 99.95, 999.5, 1234.5, 0.00123, 3.14159e9, 2.5e-5, 7e12, 1e6, 123456.0]
    with opened(browser, file) as seen:
        for value, unit in (
            ("bits_per_second", "bit/s"),
            ("round_trip_seconds", "s"),
            ("loss_ratio", "1"),
            ("x", "1/s"),
        ):
            for number in numbers:
                scale = scale_for(value, unit, [number])
                told = seen.page.evaluate(FULL, [value, unit, number])
                assert told == scale.full(number), (value, number)
