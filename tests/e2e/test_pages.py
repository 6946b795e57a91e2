"""The controller's pages in a real Chromium, served by a real controller's HTTP server over a real store."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright
from tests.controller.web.conftest import TOKEN, serving
from tests.support.agents import Identity, new_identity
from tests.support.browser import CHROMIUM, OPTIONS
from tests.support.meshes import HOSTILE, generated

from netmesh_controller.clients.store import open_store
from netmesh_controller.mesh.document import RunDocument

PLOTTED = """() => document.getElementById("heatmap").data[1].z.map(
    (row) => Array.from(row, (number) => Number.isNaN(number) ? null : number))"""


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return new_identity(tmp_path_factory.mktemp("identity") / "mesh")


@asynccontextmanager
async def opened(tmp_path: Path, identity: Identity, *documents: RunDocument) -> AsyncIterator[tuple[Page, str]]:
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
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        try:
            yield page, api.url
        finally:
            await browser.close()
        assert complaints == []
        assert [url for url in requests if not url.startswith((api.url, "data:", "blob:"))] == []
    await store.close()


async def come_in(page: Page, url: str) -> None:
    """Opens the page and gives the token, which it asks for."""
    await page.goto(url)
    await page.fill("#token-text", TOKEN)
    await page.click("#token button")


async def test_the_token_is_asked_for_and_an_empty_store_says_what_to_do(tmp_path: Path, identity: Identity) -> None:
    async with opened(tmp_path, identity) as (page, url):
        await page.goto(url)
        await page.fill("#token-text", "not the token")
        await page.click("#token button")
        await page.wait_for_selector("#problem:not([hidden])")
        assert "not this controller's" in await page.inner_text("#problem")
        await come_in(page, url)
        await page.wait_for_selector("#list:not([hidden])")
        assert f"netmesh-controller sweep --controller {url}/" in await page.inner_text("#list")


async def test_a_runs_mesh_is_what_its_document_says(tmp_path: Path, identity: Identity) -> None:
    document = generated(5, seed=5)
    async with opened(tmp_path, identity, document) as (page, url):
        await come_in(page, url)
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


async def test_hostile_names_are_text(tmp_path: Path, identity: Identity) -> None:
    document = generated(2, zones=0, name=lambda place: HOSTILE + str(place))
    named = document.model_copy(update={"run": document.run.model_copy(update={"name": HOSTILE})})
    async with opened(tmp_path, identity, named) as (page, url):
        await come_in(page, url)
        await page.wait_for_selector("#list a")
        assert await page.inner_text("#list a") == HOSTILE
        await page.click("#list a")
        await page.wait_for_selector("#heatmap[data-drawn]")
        assert await page.evaluate("() => document.querySelectorAll('img').length") == 0
        assert await page.title() == "netmesh"
