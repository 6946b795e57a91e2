"""The controller's pages in a real Chromium, served by a real controller's HTTP server over a real store."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.async_api import Page, async_playwright
from tests.controller.web.conftest import TOKEN, Api, serving
from tests.support.agents import Identity, new_identity
from tests.support.browser import CHROMIUM, OPTIONS, listen
from tests.support.meshes import HOSTILE, generated

from netmesh_controller.clients.store import open_store
from netmesh_controller.mesh.document import RunDocument

PLOTTED = """() => document.getElementById("heatmap").data[1].z.map(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""

FULL = "([value, unit, all, one]) => netmesh.units.full(one, netmesh.units.scaleFor(value, unit, all))"
SIGNS = {"better": "▲ ", "worse": "▼ ", "different": "◆ ", "not distinguishable": "= "}
# What a person can do something with, and whether it shows that it has the focus.
ACTIONS = """() => [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")]
    .filter((one) => one.checkVisibility() && !one.disabled).length"""
FOCUSED = """() => {
    const one = document.activeElement;
    if (one === document.body) return null;
    const {outlineStyle, outlineWidth} = getComputedStyle(one);
    const place = [...document.querySelectorAll("*")].indexOf(one);
    return [`${place} ${one.outerHTML.slice(0, 80)}`, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""
STOPS = "(more) => netmesh.palette.colours(more).map(([, colour]) => colour)"
INKS = (
    "(shares) => shares.map((share) => [netmesh.palette.inkOn(share, true), netmesh.palette.inkOn(1 - share, false)])"
)
# How linear red, green and blue look to who has no cones for green, and none for red: Machado, Oliveira and Fernandes,
# A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009, severity 1.
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
PLAIN = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def linear(colour: str) -> list[float]:
    """Red, green and blue of #rrggbb, linear (IEC 61966-2-1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(rgb: list[float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def lightness(rgb: list[float]) -> float:
    """CIE L*, 0 to 100, of linear colours."""
    light = luminance(rgb)
    return 116 * light ** (1 / 3) - 16 if light > 0.008856 else 903.3 * light


def between(stops: list[str], share: float) -> str:
    """The colour at a place of the scale, as a browser mixes it."""
    below = min(int(share * (len(stops) - 1)), len(stops) - 2)
    rest = share * (len(stops) - 1) - below
    pairs = ((int(stops[below][at : at + 2], 16), int(stops[below + 1][at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(low + (high - low) * rest):02x}" for low, high in pairs)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


class Opened(NamedTuple):
    """A page, the API whose page it is, and what it complains of."""

    page: Page
    api: Api
    complaints: list[str]


@asynccontextmanager
async def opened(tmp_path: Path, identity: Identity, *documents: RunDocument) -> AsyncIterator[Opened]:
    """A page of the controller's, with these runs in its store; it must have asked nobody else and complained not."""
    store = await open_store(tmp_path)
    for document in documents:
        await store.begin_run(document.run.model_copy(update={"state": "running"}), document.nodes)
        await store.put_cells(document.run.id, document.cells)
        await store.put_run(document.run, document.nodes)
    complaints: list[str] = []
    requests: list[str] = []
    async with serving(store, identity, "127.0.0.1:1") as api, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(OPTIONS))
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        listen(page, complaints, requests)
        try:
            yield Opened(page, api, complaints)
        finally:
            await browser.close()
        assert complaints == []
        assert [url for url in requests if not url.startswith((api.url, "data:", "blob:"))] == []
    await store.close()


async def come_in(seen: Opened) -> None:
    """Opens the page and gives the token, which it asks for; that the first answers were 401 is all it complains of."""
    page = seen.page
    await page.goto(seen.api.url)
    await page.wait_for_selector("#token:not([hidden])")
    await page.fill("#token-text", TOKEN)
    await page.click("#token button")
    await page.wait_for_selector("#token", state="hidden")
    assert [one for one in seen.complaints if "status of 401" not in one] == []
    seen.complaints.clear()


async def rows(page: Page, place: str) -> list[list[str]]:
    """The texts of a table's cells."""
    return [await row.locator("td").all_inner_texts() for row in await page.locator(f"{place} tbody tr").all()]


async def test_the_token_is_asked_for_and_an_empty_store_says_what_to_do(tmp_path: Path, identity: Identity) -> None:
    async with opened(tmp_path, identity) as seen:
        page = seen.page
        await page.goto(seen.api.url)
        await page.fill("#token-text", "not the token")
        await page.click("#token button")
        await page.wait_for_selector("#problem:not([hidden])")
        assert "not this controller's" in await page.inner_text("#problem")
        await come_in(seen)
        await page.wait_for_selector("#list:not([hidden])")
        assert f"netmesh-controller sweep --controller {seen.api.url}/" in await page.inner_text("#list")


async def test_a_runs_mesh_is_what_its_document_says(tmp_path: Path, identity: Identity) -> None:
    document, begun = generated(5, seed=5), generated(3, seed=6)
    remote = [one for one in begun.cells if one.source != one.target]
    begun = begun.model_copy(
        update={
            "run": begun.run.model_copy(update={"id": "20260103-120000-abcd", "name": "begun", "state": "running"}),
            "cells": [one for one in begun.cells if (one.source, one.target) != (remote[0].source, remote[0].target)],
        }
    )
    async with opened(tmp_path, identity, document, begun) as seen:
        page = seen.page
        await come_in(seen)
        await page.click(f"#list a:has-text('{document.run.name}')")
        await page.wait_for_selector("#heatmap[data-drawn]")
        assert (await page.inner_text("#matrix-title")).startswith("pod-to-pod: tcp-bandwidth, iperf3, received (mean)")
        matrix = next(one for one in document.matrices if (one.path, one.value) == ("pod-to-pod", "bits_per_second"))
        for shown, told in zip(await page.evaluate(PLOTTED), matrix.values, strict=True):
            for number, truth in zip(shown, told, strict=True):
                assert (number is None) == (truth is None)
                assert truth is None or math.isclose(number, truth / 1e9, rel_tol=1e-6)
        await page.select_option("#value", label="retransmits")
        await page.wait_for_selector("#heatmap[data-drawn$='/retransmits']")
        async with page.expect_download() as download:
            await page.click("#formats button:has-text('CSV')")
        assert "worker-1" in Path(await (await download.value).path()).read_text()
        # What a run has not come to is to come, and nobody has cancelled it.
        await page.goto(f"{seen.api.url}/#run/{begun.run.id}")
        await page.wait_for_selector("#gaps:has-text('its turn has not come yet')")
        assert "cancelled" not in await page.inner_text("#run")


async def test_hostile_names_are_text(tmp_path: Path, identity: Identity) -> None:
    document = generated(2, zones=0, name=lambda place: HOSTILE + str(place))
    named = document.model_copy(update={"run": document.run.model_copy(update={"name": HOSTILE})})
    async with opened(tmp_path, identity, named) as seen:
        page = seen.page
        await come_in(seen)
        await page.wait_for_selector("#list a")
        assert await page.inner_text("#list a") == HOSTILE
        await page.click("#list a")
        await page.wait_for_selector("#heatmap[data-drawn]")
        assert await page.evaluate("() => document.querySelectorAll('img').length") == 0
        assert await page.title() == "Run - netmesh"


async def test_lists_and_a_comparison_are_what_the_api_says(tmp_path: Path, identity: Identity) -> None:
    # The second is half as quick.
    before, after = generated(4, seed=5, repeats=5), generated(4, seed=6, repeats=5, quick=0.5)
    after = after.model_copy(update={"run": after.run.model_copy(update={"id": "20260102-120000-abcd"})})
    async with opened(tmp_path, identity, before, after) as seen:
        page, api = seen.page, seen.api
        await come_in(seen)
        await page.wait_for_selector("#list tbody tr")
        runs = (await api.get("/api/v1/runs"))["runs"]
        assert await rows(page, "#list") == [
            [run["name"], run["state"], run["started_at"][:16].replace("T", " "),
             f"{outcomes['measured']} of {sum(outcomes.values())}"]
            for run, outcomes in ((one["run"], one["outcomes"]) for one in runs)
        ]  # fmt: skip
        chosen = f"first={before.run.id}&second={after.run.id}"
        await page.goto(f"{api.url}/#compare?{chosen}")
        await page.wait_for_selector("#comparison:not([aria-busy])")
        told = await api.get(f"/api/v1/comparison?{chosen}")
        assert {one["verdict"] for one in told["groups"]} >= {"worse"}
        assert await page.locator("#comparison .findings li").all_inner_texts() == told["sentences"]
        shown = await rows(page, "#comparison div:has(caption:text-is('As a whole'))")
        for row, one in zip(shown, told["groups"], strict=True):
            both = [one["first"], one["second"]]
            full = [await page.evaluate(FULL, [one["value"], one["unit"], both, number]) for number in both]
            assert row[0] == f"{one['pairs']} {'within' if one['cells'] == 'local' else 'between'} nodes"
            assert row[1].startswith(f"{one['path']}, {one['test']}")
            assert row[3:5] == full
            assert row[6] == SIGNS[one["verdict"]] + one["verdict"]
        await page.goto(f"{api.url}/#nodes")
        # Nobody answers there: the page says who, and why.
        await page.wait_for_selector("#list h2:text-is('Nodes')")
        away = (await api.get("/api/v1/nodes"))["unreachable"]
        assert [[row[0], row[-1]] for row in await rows(page, "#list")] == [
            [name, f"{reason['code']}: {reason['message']}"] for name, reason in away.items()
        ]
        for page_name, words in {
            "mesh": "Start the controller without --no-monitor",
            "events": "Start the controller without --no-monitor",
            "run/nothing": "The page Runs has all",
        }.items():
            await page.goto(f"{api.url}/#{page_name}")
            await page.wait_for_selector(f"#problem:has-text('{words}')")
        # The browser says of each such answer that it came: no monitor, no run.
        assert [one for one in seen.complaints if "status of 503" not in one and "status of 404" not in one] == []
        seen.complaints.clear()


async def test_the_keyboard_comes_everywhere_and_every_eye_tells_colours(tmp_path: Path, identity: Identity) -> None:
    document = generated(5, seed=5)
    async with opened(tmp_path, identity, document) as seen:
        page = seen.page
        await come_in(seen)
        await page.goto(f"{seen.api.url}/#run/{document.run.id}")
        await page.wait_for_selector("#heatmap[data-drawn]")
        await page.evaluate("() => document.activeElement.blur()")
        reached: dict[str, bool] = {}
        for _ in range(200):
            await page.keyboard.press("Tab")
            at = await page.evaluate(FOCUSED)
            # After the last one it is the browser's own turn.
            if at is not None and at[0] in reached:
                break
            if at is not None:
                reached[at[0]] = at[1]
        assert len(reached) == await page.evaluate(ACTIONS)
        assert [one for one, shows in reached.items() if not shows] == []
        await page.focus("#heatmap")
        voice = page.locator("#heatmap ~ [role=status]")
        assert await voice.inner_text() == ""
        matrix = next(one for one in document.matrices if (one.path, one.value) == ("pod-to-pod", "bits_per_second"))
        for key, row, column in (("ArrowRight", 0, 1), ("ArrowDown", 1, 1), ("ArrowRight", 1, 2), ("ArrowUp", 0, 2)):
            await page.keyboard.press(key)
            said = await voice.inner_text()
            names = matrix.sources[row], matrix.targets[column]
            assert all(name in said for name in names), said
            number = matrix.values[row][column]
            if number is not None:
                assert await page.evaluate(FULL, [matrix.value, matrix.unit, [9e9], number]) in said
        await colours_are_told_apart(page)


async def colours_are_told_apart(page: Page) -> None:
    """Each step of the scale is lighter than the one before, also to who lacks a kind of cones; figures are read."""
    for more in (True, False):
        stops = await page.evaluate(STOPS, more)
        for eye in (PLAIN, DEUTERANOPIA, PROTANOPIA):
            seen_as = [
                [sum(weight * part for weight, part in zip(row, linear(colour), strict=True)) for row in eye]
                for colour in stops
            ]
            light = [lightness(one) for one in (seen_as if more else seen_as[::-1])]
            assert all(after - before > 4 for before, after in pairwise(light)), light
    stops, shares = await page.evaluate(STOPS, True), [n / 100 for n in range(101)]
    for share, inks in zip(shares, await page.evaluate(INKS, shares), strict=True):
        for ink in inks:
            dark, bright = sorted(luminance(linear(one)) for one in (ink, between(stops, share)))
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (share, ink)
