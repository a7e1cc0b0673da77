"""A real browser for the tests of pages: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP = (1280, 900)
PHONE = (400, 800)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; a test that uses it is skipped where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium on the path (looked for {', '.join(NAMES)}); install one")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def opened(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    refused: int | None = None,
    **context: Any,
) -> Iterator[Page]:
    """A page in a fresh context; on leaving, it must have met no error.

    Args:
        browser: the fixture.
        url: `http:` or `file:`.
        size: of the window, in CSS pixels.
        scheme: the colour scheme that the reader prefers.
        refused: a status that answers may have, of which browsers tell as of an error.
        **context: further arguments of `Browser.new_context`.
    """
    width, height = size
    made = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, **context
    )
    troubles: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and f"status of {refused} " not in message.text:
            troubles.append(message.text)

    try:
        page = made.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(url)
        yield page
    finally:
        made.close()
    assert not troubles, troubles
