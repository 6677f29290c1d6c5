"""A plan laid by hand in a real browser: dragged, judged while it moves, saved, and had again after a reload."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_support import Trainer
from browser_support import PATIENCE_MS, open_page
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def judged(page: Page) -> str:
    """Wait until every limit was checked; the margins."""
    page.wait_for_timeout(400)
    expect(page.locator("#pl_judging")).to_have_count(0, timeout=PATIENCE_MS)
    return page.inner_text("#pl_rows")


def number(page: Page, name: str) -> float:
    return float(page.input_value(f"#{name}"))


def test_a_plan_is_dragged_judged_saved_and_had_again(page: Page, trainer: Trainer, tmp_path: Path) -> None:
    COMPLAINTS.clear()
    page.goto(trainer.url)
    expect(page.locator("#plan")).to_be_disabled(timeout=PATIENCE_MS)
    page.fill("#who", "P-01")
    page.press("#who", "Tab")
    expect(page.locator("#plan")).to_be_enabled()
    page.click("#plan")
    page.wait_for_selector("#pl_axial", state="visible", timeout=PATIENCE_MS)
    assert page.inner_text("body").count("Not for clinical use") >= 1
    page.click("#pl_add")
    page.wait_for_selector("#pl_slot_1", timeout=PATIENCE_MS)
    start = judged(page)
    assert re.search(r"[✓!✗] \w+", start), "a word and a sign beside every colour"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#pl_said").bounding_box()["y"] < 690, "everything is in reach at 1280 x 720"
    pictures = {name: page.locator(f"#pl_{name}").screenshot() for name in ("axial", "sagittal", "xray", "solid")}

    box, height = page.locator("#pl_coronal").bounding_box(), number(page, "pl_up")
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    for n in range(1, 9):
        page.mouse.move(x, y + 2 * n)
        page.wait_for_timeout(30)
    page.wait_for_function("was => document.querySelector('#pl_rows').innerText != was", arg=start, timeout=5_000)
    page.mouse.up()
    moved = judged(page)
    assert moved != start
    assert number(page, "pl_up") == pytest.approx(height - 16 * 100.0 / 300.0, abs=0.7)
    page.wait_for_timeout(1500)
    for name, was in pictures.items():
        assert page.locator(f"#pl_{name}").screenshot() != was, name

    page.click("#pl_undo")
    assert judged(page) == start
    page.focus("#pl_axial")
    page.keyboard.press("ArrowUp")
    judged(page)
    kept = {name: number(page, name) for name in ("pl_up", "pl_fore", "pl_out", "pl_rise", "pl_ventral")}
    page.fill("#pl_name", "by keys")
    page.press("#pl_name", "Tab")
    page.click("#pl_save")
    expect(page.locator("#pl_said")).to_contain_text("Saved as “by keys”", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#pl_download")
    download.value.save_as(tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["case"]["paths"] == {}

    page.goto(trainer.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    page.fill("#who", "P-01")
    page.press("#who", "Tab")
    expect(page.locator("#plan")).to_be_enabled()
    page.click("#plan")
    page.wait_for_selector("#pl_open", timeout=PATIENCE_MS)
    assert page.locator("#pl_slot_1").count() == 0, "a new visit begins with nothing"
    page.click("#pl_open")
    page.wait_for_selector("#pl_slot_1", timeout=PATIENCE_MS)
    judged(page)
    assert {name: number(page, name) for name in kept} == kept
    page.click("#pl_remove")
    page.set_input_files("#pl_file", tmp_path / "plan.json")
    page.click("#pl_send")
    page.wait_for_selector("#pl_slot_1", timeout=PATIENCE_MS)
    judged(page)
    assert {name: number(page, name) for name in kept} == kept
    assert COMPLAINTS == []
