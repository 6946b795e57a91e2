"""A real Chromium, as Debian ships it, driven by playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(executable: Path = CHROMIUM) -> Iterator[Browser]:
    """A browser without a window; it ends with all its processes."""
    assert CHROMIUM.exists(), "there is no Chromium: scripts/install test installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(executable), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def chromium_within(folder: Path, namespace: Path) -> Path:
    """What starts it in a network namespace."""
    executable = folder / "chromium-within"
    executable.write_text(f'#!/bin/sh\nexec nsenter --net={namespace} -- {CHROMIUM} "$@"\n')
    executable.chmod(0o755)
    return executable


@dataclass
class Watched:
    """A page, and all that it said and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __call__(self, script: str) -> Any:
        """What a script answers in the page."""
        return self.page.evaluate(script)


def listen(page: Page | AsyncPage, complaints: list[str], requests: list[str]) -> None:
    """Writes down what a page complains of (console, exceptions, requests that failed), and whom it asks."""

    def failed(request: Any) -> None:
        # A page that is left gives up what it asked for.
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.url}: {request.failure}")

    # The two kinds of page have the same events.
    page = cast(Page, page)
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", failed)
    page.on("request", lambda request: requests.append(request.url))


@contextmanager
def watched(browser: Browser, *, width: int = 1280, height: int = 900, theme: str = "light") -> Iterator[Watched]:
    """A new page of a new context."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
    )
    seen = Watched(context.new_page())
    listen(seen.page, seen.complaints, seen.requests)
    try:
        yield seen
    finally:
        context.close()
