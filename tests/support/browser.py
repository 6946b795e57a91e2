"""A real Chromium, as Debian ships it, driven by playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
def chromium() -> Iterator[Browser]:
    """A browser without a window; it ends with all its processes."""
    assert CHROMIUM.exists(), "there is no Chromium: scripts/install test installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and all that it said and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __call__(self, script: str) -> Any:
        """What a script answers in the page."""
        return self.page.evaluate(script)


@contextmanager
def watched(browser: Browser, *, width: int = 1280, height: int = 900, theme: str = "light") -> Iterator[Watched]:
    """A new page of a new context."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
    )
    seen = Watched(context.new_page())
    seen.page.on(
        "console", lambda said: seen.complaints.append(said.text) if said.type in {"error", "warning"} else None
    )
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    try:
        yield seen
    finally:
        context.close()
