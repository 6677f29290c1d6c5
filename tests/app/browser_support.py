"""A real Chromium on the pages, and what its console may say."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from app_support import Trainer
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
PATIENCE_MS = 120_000
KNOWN = "405 (Method Not Allowed)"
"""The client asks for a launcher once, by POST, and nobody answers to that."""

SOCKETS = (
    "window.sockets = []; const Own = WebSocket; window.WebSocket = class extends Own {"
    " constructor(...given) { super(...given); window.sockets.push(this); } }"
)
"""Keeps hold of the page's connections, so that a test can cut them."""


@contextmanager
def open_page(errors: list[str]) -> Iterator[Page]:
    """A page of the size that everything has to fit in; what its console complains of goes into a list."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found: apt-get install -y chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
        page.add_init_script(SOCKETS)
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" and KNOWN not in m.text else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()


def into_theatre(page: Page, trainer: Trainer, user: str) -> None:
    """Come in, say who one is, and begin an operation."""
    page.goto(trainer.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    page.fill("#who", user)
    page.press("#who", "Tab")
    expect(page.locator("#operate")).to_be_enabled(timeout=PATIENCE_MS)
    page.click("#operate")
    page.wait_for_selector("#live", state="visible", timeout=PATIENCE_MS)


def settled(page: Page) -> str:
    """Wait until an action is over; what is said of it."""
    page.wait_for_timeout(300)
    expect(page.locator("#shot")).to_be_enabled(timeout=PATIENCE_MS)
    return page.inner_text("#message")
