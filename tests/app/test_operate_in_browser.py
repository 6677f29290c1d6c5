"""An operation in a real browser, from the first page to the history, on a trainer that really runs."""

import re
import sqlite3
from collections.abc import Iterator

import pytest
from app_support import Trainer
from browser_support import PATIENCE_MS, open_page, settled
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def shown(page: Page, name: str) -> bytes:
    """What a screen shows."""
    return page.locator(f"#{name}").screenshot()


def fill(page: Page, name: str, value: float) -> None:
    page.fill(f"#{name}", str(value))
    page.press(f"#{name}", "Tab")


def look_back(page: Page) -> None:
    """Go through a debrief by keyboard and mouse, and fetch its files."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#db_step").bounding_box()["y"] < 690, "everything is in reach at 1280 x 720"
    expect(page.locator("#db_path")).not_to_be_empty(timeout=PATIENCE_MS)
    page.wait_for_timeout(1000)
    bones = shown(page, "replay")
    for tab, inside in (("steps", "#db_steps .line"), ("sheet", "#db_sheet"), ("risks", "#db_risks"),
                        ("implants", "#db_implants svg")):  # fmt: skip
        page.click(f"#tab_{tab}")
        expect(page.locator(inside).first).to_be_visible()
    page.focus("#page_debrief .pair")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#db_step")).not_to_contain_text("Finished")
    page.fill("#db_slider", "2")
    expect(page.locator("#db_count")).to_contain_text("step 3 of", timeout=PATIENCE_MS)
    expect(page.locator("#db_shot")).to_contain_text("shot 1 of 1", timeout=PATIENCE_MS)
    for _ in range(100):
        if shown(page, "replay") != bones:
            break
        page.wait_for_timeout(200)
    assert shown(page, "replay") != bones, "the implant is not in yet"
    for link, ending in (("#save_log", ".jsonl"), ("#save_report", ".html")):
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.click(link)
        assert download.value.suggested_filename.endswith(ending)
        assert download.value.path().stat().st_size > 1000


def test_an_operation_from_start_to_history(page: Page, trainer: Trainer) -> None:
    COMPLAINTS.clear()
    page.goto(trainer.url)
    expect(page.locator("#operate")).to_be_disabled(timeout=PATIENCE_MS)
    page.fill("#who", "T-01")
    page.press("#who", "Tab")
    expect(page.locator("#operate")).to_be_enabled()
    page.click("#operate")
    page.wait_for_selector("#live", state="visible", timeout=PATIENCE_MS)
    assert page.inner_text("body").count("Not for clinical use") >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#finish").bounding_box()["y"] < 690, "everything is in reach at 1280 x 720"

    dark, room = shown(page, "live"), shown(page, "room")
    page.click("text=Lateral")
    page.click("#shot")
    assert re.fullmatch(r"\d+ frames at \d+ kV\.", settled(page))
    expect(page.locator("#op_shots")).to_contain_text("1")
    page.wait_for_timeout(1500)
    assert shown(page, "live") != dark
    assert shown(page, "room") != room, "the arm has been turned in the room as well"

    page.click("#mark")
    box = page.locator("#live").bounding_box()
    page.mouse.click(box["x"] + 0.34 * box["width"], box["y"] + 0.28 * box["height"])
    settled(page)
    marked = [float(page.input_value(f"#{name}")) for name in ("op_up", "op_along")]
    assert all(abs(m - wanted) < 40.0 for m, wanted in zip(marked, (20.0, -10.0), strict=True)), marked
    for name, value in {"op_up": 20, "op_along": -10, "op_cranial": 2, "op_ventral": 5}.items():
        fill(page, name, value)
    page.click("#place")
    settled(page)
    page.click("#insert")
    assert "tap it to 10 mm first" in settled(page), "what cannot be done says what to do"
    fill(page, "op_push", 200)
    page.click("#push")
    assert "Advanced" in settled(page)
    for _ in range(12):
        page.click("#tap")
        settled(page)
        page.click("#gauge")
        if "Depth gauge" in (said := settled(page)) and int(re.findall(r"\d+", said)[0]) >= 35:
            break
    fill(page, "op_drill", 30)
    page.click("#drill")
    settled(page)
    page.click("#insert")
    settled(page)
    expect(page.locator("#in_place")).to_contain_text("tri-7", timeout=PATIENCE_MS)

    page.click("#finish")
    expect(page.locator("#page_debrief")).to_be_visible(timeout=4 * PATIENCE_MS)
    expect(page.locator("#db_rating")).to_have_text(re.compile(r"\d+"))
    look_back(page)
    page.click("#home")
    expect(page.locator("#mine tbody tr")).to_have_count(1)
    expect(page.locator("#mine")).not_to_contain_text("goes on")
    page.click("#mine >> text=Debrief")
    expect(page.locator("#page_debrief")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#db_count")).to_contain_text(re.compile(r"step (\d+) of \1"))
    with sqlite3.connect(trainer.history) as history:
        ended, rated = history.execute("SELECT ended, (SELECT count(*) FROM scores) FROM sessions").fetchone()
    assert ended
    assert rated == 1
    assert COMPLAINTS == []


def test_a_second_tab_is_told_so_and_nothing_is_lost(page: Page, trainer: Trainer) -> None:
    page.goto(trainer.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    again = page.context.new_page()
    again.goto(page.url)
    assert "goes on in another tab" in again.inner_text("body")
    page.fill("#who", "T-02")
    page.press("#who", "Tab")
    expect(page.locator("#operate")).to_be_enabled()
    again.click("text=use it here")
    expect(again.locator("#who")).to_have_value("T-02", timeout=PATIENCE_MS)
    again.close()


def test_a_page_that_is_loaded_again_is_where_it_was(page: Page, trainer: Trainer) -> None:
    page.goto(trainer.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    page.fill("#who", "T-04")
    page.press("#who", "Tab")
    expect(page.locator("#operate")).to_be_enabled()
    page.reload()
    expect(page.locator("#who")).to_have_value("T-04", timeout=PATIENCE_MS)


def test_two_visitors_see_nothing_of_each_other(page: Page, trainer: Trainer) -> None:
    page.goto(trainer.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    page.fill("#who", "T-03")
    page.press("#who", "Tab")
    expect(page.locator("#operate")).to_be_enabled()
    other = page.context.browser.new_context().new_page()
    other.goto(trainer.url)
    other.wait_for_selector("#who", timeout=PATIENCE_MS)
    assert other.input_value("#who") == ""
    assert other.locator("#mine").count() == 0
    other.context.close()
