"""How fast the trainer is where it is felt, in a real browser: `python scripts/bench_trainer.py [--rounds 30]`.

A trainer is started as a user starts it (twice: the first start compiles and builds the patient), and Chromium drives
it with a mouse, on the same machine. Times are those of the page's own clock: from the event of the mouse to the first
screen refresh after the new picture has been decoded.

- start: from the command to the first page with its fields.
- session: from the button to the operating room; first of a patient, and next of the same one.
- memory: resident memory of the server beyond what it was before a session of one more visitor.
- shot: from the button to the picture, 512 x 512, four frames averaged as C-arms do.
- drag: the pedal is down and the mouse goes round a circle at 60 positions a second; every stretch ends at once and
  the last picture, which shows the last position, is waited for: under load, input to visible picture.
- four: the same with four visitors at once.

Writes docs/results/trainer_speed.json; scripts/tabulate_speed.py makes the table of docs/performance.md of it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

from sjplan.io.results import write_rows

ROOT: Final = Path(__file__).parents[1]
SJPLAN: Final = (sys.executable, "-m", "sjplan.cli.main")
PATIENCE_MS: Final = 180_000
STRETCH_S: Final = 1.0
STEP_S: Final = 1.0 / 60.0
"""A mouse's positions come no faster than screens refresh."""

WATCH: Final = """() => {
  if (window.sj) return;
  window.sj = {frames: [], inputs: [], clicks: []};
  const live = document.querySelector('#live');
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...given) {
    put.apply(this, given);
    if (live.contains(this.canvas)) requestAnimationFrame(() => window.sj.frames.push(performance.now()));
  };
  live.addEventListener('pointermove', e => window.sj.inputs.push(e.timeStamp), true);
  document.addEventListener('click', e => window.sj.clicks.push(e.timeStamp), true);
}"""
CLEAR: Final = "() => { window.sj.frames = []; window.sj.inputs = []; window.sj.clicks = []; }"


class Server:
    """A trainer in a process of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        words = [*SJPLAN, "train", "--port", "0", "--history", str(folder / "history.sqlite"), "--cache", str(cache)]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = ""
        while "trainees:" not in said:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"the trainer ended: {said}")
            said += line
        found = re.search(r"trainees:\s*(http\S+)", said)
        assert found is not None
        self.url = found[1]

    @property
    def resident_mb(self) -> float:
        """Resident memory of the server, without processes that it started."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024.0

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


async def come_in(browser: Browser, url: str) -> Page:
    """The first page, as a visitor of its own."""
    context = await browser.new_context(viewport={"width": 1280, "height": 720})
    page = await context.new_page()
    await page.goto(url)
    await page.wait_for_selector("#who", timeout=PATIENCE_MS)
    return page


async def operate(page: Page, who: str) -> float:
    """Begin an operation; the seconds from the button to the operating room."""
    await page.fill("#who", who)
    await page.press("#who", "Tab")
    await page.wait_for_selector("#operate:not([disabled])", timeout=PATIENCE_MS)
    begun = time.monotonic()
    await page.click("#operate")
    await page.wait_for_selector("#live", state="visible", timeout=PATIENCE_MS)
    seconds = time.monotonic() - begun
    await page.wait_for_timeout(1000)
    await page.evaluate(WATCH)
    return seconds


async def shots(page: Page, rounds: int) -> list[float]:
    """Milliseconds from the button to the picture."""
    found = []
    for _ in range(rounds):
        await page.evaluate(CLEAR)
        await page.click("#shot")
        await page.wait_for_function("() => window.sj.frames.length > 0", timeout=PATIENCE_MS)
        found.append(await page.evaluate("() => window.sj.frames[0] - window.sj.clicks[0]"))
        await page.wait_for_selector("#shot:not([disabled])", timeout=PATIENCE_MS)
        await page.wait_for_timeout(100)
    return found


async def drag(page: Page, rounds: int) -> tuple[list[float], list[float]]:
    """Frames a second of every stretch, and milliseconds from its last position to the picture that shows it."""
    box = await page.locator("#live").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    rates, lags = [], []
    await page.mouse.move(middle[0] + 60.0, middle[1])
    await page.mouse.down()
    await page.wait_for_timeout(500)
    for turn in range(rounds):
        await page.evaluate(CLEAR)
        begun, step = time.monotonic(), 0
        while (now := time.monotonic() - begun) < STRETCH_S:
            angle = 2.0 * math.pi * (now + 0.37 * turn) / 2.0
            await page.mouse.move(middle[0] + 60.0 * math.cos(angle), middle[1] + 60.0 * math.sin(angle))
            step += 1
            await asyncio.sleep(max(0.0, begun + step * STEP_S - time.monotonic()))
        await page.wait_for_timeout(500)
        seen: dict[str, list[float]] = await page.evaluate("() => window.sj")
        frames, inputs = np.array(seen["frames"]), np.array(seen["inputs"])
        rates.append(float(np.count_nonzero(frames <= inputs[-1]) / (1e-3 * (inputs[-1] - inputs[0]))))
        lags.append(float(frames[-1] - inputs[-1]))
    await page.mouse.up()
    await page.wait_for_selector("#shot:not([disabled])", timeout=PATIENCE_MS)
    return rates, lags


async def measured(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """All rows."""
    rows: list[dict[str, Any]] = []

    def note(what: str, unit: str, values: list[float]) -> None:
        median, late = float(np.median(values)), float(np.quantile(values, 0.95))
        rows.append({"id": what, "unit": unit, "median": round(median, 1), "p95": round(late, 1),
                     "worst": round(max(values), 1), "least": round(min(values), 1), "n": len(values)})  # fmt: skip
        print(f"{what:40s} median {median:8.1f} {unit}, 95 % {late:8.1f}, n {len(values)}", flush=True)

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        warm = Server(folder, folder / "cache")
        try:
            page = await come_in(browser, warm.url)
            await operate(page, "warm")
            await shots(page, 2)
            await page.context.close()
        finally:
            warm.stop()
        starts = []
        for round_ in range(3):
            server = Server(folder, folder / "cache")
            page = await come_in(browser, server.url)
            starts.append(time.monotonic() - server.begun)
            if round_ < 2:
                await page.context.close()
                server.stop()
        note("start to first page", "s", starts)
        try:
            note("first session of a patient", "s", [await operate(page, "P-1")])
            await shots(page, 3)
            note("shot", "ms", await shots(page, rounds))
            await page.click("#pedal")
            await drag(page, 2)
            rates, lags = await drag(page, rounds)
            note("drag, frames a second", "1/s", rates)
            note("drag, input to visible", "ms", lags)
            pages, sessions, memory = [page], [], []
            for n in (2, 3, 4):
                pages.append(await come_in(browser, server.url))
                before = server.resident_mb
                sessions.append(await operate(pages[-1], f"P-{n}"))
                await shots(pages[-1], 3)
                await pages[-1].click("#pedal")
                await drag(pages[-1], 1)
                memory.append(server.resident_mb - before)
            note("next session of the same patient", "s", sessions)
            note("memory of one more session", "MB", memory)
            note("server with four sessions", "MB", [server.resident_mb])
            for page in pages:
                await page.wait_for_timeout(500)
            found = await asyncio.gather(*(drag(page, max(rounds // 3, 3)) for page in pages))
            note("four at once, frames a second each", "1/s", [r for rates, _ in found for r in rates])
            note("four at once, input to visible", "ms", [lag for _, lags in found for lag in lags])
        finally:
            server.stop()
        await browser.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "trainer_speed.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measured(Path(folder), arguments.rounds))
    load = os.getloadavg()[1]
    write_rows(
        arguments.out, rows, seed=0, settings={"cores": os.cpu_count(), "rounds": arguments.rounds, "load": load}
    )


if __name__ == "__main__":
    main()
