"""How long a hand waits on the planning page: from a move of the mouse to new margins, in a real browser.

    python scripts/time_planning_page.py CASE

CASE is a phantom folder, or a label map. Starts a trainer, lays an implant, and drags it in the coronal slice, once
where it lies in bone and once out of it. Prints how long moves of the mouse waited for margins, each answer counted
from the oldest move that had none yet, and how long the judge's whole report took after the hand had let go.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Final

from playwright.sync_api import Page, sync_playwright

from sjplan.app.house import SJPLAN

PATIENCE_MS: Final = 180_000
MOVES: Final = 40
EVERY_MS: Final = 100
"""Between two moves: less than the rest after which a hand has the whole report made."""

WATCH: Final = """() => {
  window.lags = []; let at = 0;
  document.addEventListener('mousemove', () => { at = at || performance.now(); }, true);
  document.addEventListener('mouseup', () => { at = 0; }, true);
  new MutationObserver(() => { if (at) { window.lags.push(performance.now() - at); at = 0; } })
    .observe(document.getElementById('pl_margins'), {attributes: true, attributeFilter: ['data-seen']});
}"""


def main(case: str) -> int:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*SJPLAN, "train", case, "--port", "0", "--history", f"{folder}/h.sqlite", "--cache", f"{folder}/cache"]
        trainer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert trainer.stdout is not None
            address = re.search(r"http\S+", trainer.stdout.readline())
            assert address is not None
            with sync_playwright() as playwright:
                program = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
                page.set_default_timeout(PATIENCE_MS)
                measure(page, address[0])
        finally:
            trainer.terminate()
            trainer.wait(20)
    return 0


def measure(page: Page, address: str) -> None:
    """Open the page, drag, and print."""
    page.goto(address)
    page.fill("#who", "timing")
    page.press("#who", "Tab")
    page.wait_for_selector("#plan:enabled")
    begun = time.perf_counter()
    page.click("#plan")
    page.wait_for_selector("#pl_add:enabled", state="visible")
    print(f"page ready after {time.perf_counter() - begun:.1f} s")
    page.click("#pl_add")
    page.wait_for_selector("#pl_slot_1")
    settled(page)
    page.evaluate(WATCH)
    for name, step in (("in bone", 0.5), ("out of bone", 3.0)):
        drag(page, step)
        begun = time.perf_counter()
        page.mouse.up()
        settled(page)
        lags = sorted(page.evaluate("window.lags"))
        print(
            f"{name}: {len(lags)} answers to {MOVES} moves, median {statistics.median(lags):.0f} ms, "
            f"95th percentile {lags[int(0.95 * (len(lags) - 1))]:.0f} ms; "
            f"whole report {time.perf_counter() - begun:.1f} s after letting go"
        )
        page.click("#pl_undo")
        settled(page)


def drag(page: Page, step_px: float) -> None:
    """Take the implant and move it to and fro."""
    box = page.locator("#pl_coronal").bounding_box()
    assert box is not None
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.wait_for_timeout(400)
    page.evaluate("window.lags = []")
    for n in range(MOVES):
        page.mouse.move(x, y + step_px * min(n + 1, MOVES // 2) + 0.5 * (n % 3))
        page.wait_for_timeout(EVERY_MS)


def settled(page: Page) -> None:
    """Wait until every limit was checked."""
    page.wait_for_timeout(300)
    page.wait_for_selector("#pl_judging", state="detached")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
