"""An exercise in a real browser: chosen, missed, done again and passed, with its task, hint, verdict and progress."""

import json
import re
import sqlite3
from collections.abc import Iterator

import pytest
from app_support import Trainer
from browser_support import PATIENCE_MS, open_page
from playwright.sync_api import Page, expect

from sjplan.io.cases import Case
from sjplan.io.exercises import read_exercises
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.exercise import begin
from sjplan.training.theatre import open_theatre
from sjplan.xray.device import ANGLES, TRAVELS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []


def true_lateral(trainer: Trainer) -> dict[str, float]:
    """Numbers of the true lateral of the patient who lies there now."""
    with sqlite3.connect(trainer.history) as history:
        seed, header = history.execute(
            "SELECT tries.seed, header FROM tries JOIN sessions ON session_id = sessions.id ORDER BY tries.begun DESC"
        ).fetchone()
    theatre = open_theatre("phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())
    attempt = begin(read_exercises()["true-lateral"], theatre, seed)
    assert attempt.session().header["lie"] == json.loads(header)["lie"]
    true = attempt.looks.arms["lateral"]
    return {f"arm_{name}": round(getattr(true, name), 1) for name in (*ANGLES, *TRAVELS)}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def test_the_true_lateral_from_the_list_to_its_verdict(page: Page, trainer: Trainer) -> None:
    COMPLAINTS.clear()
    page.goto(trainer.url)
    expect(page.locator("#broken")).to_contain_text("broken.toml: level: found 9", timeout=PATIENCE_MS)
    assert "/" not in page.inner_text("#broken"), "no folder of the machine that serves is told"
    expect(page.locator("#exercise_true-lateral button")).to_be_disabled()
    page.fill("#who", "T-05")
    page.press("#who", "Tab")
    expect(page.locator("#exercise_monday button")).to_be_enabled(timeout=PATIENCE_MS)
    page.focus("#exercise_true-lateral button")
    page.keyboard.press("Enter")
    expect(page.locator("#task_text")).to_contain_text("until this patient's lateral view is true", timeout=PATIENCE_MS)
    expect(page.locator("#task")).to_contain_text("time limit 10:00")
    assert page.locator("#page_operate >> text=Lateral").count() == 0, "nobody calls out the view that is to be found"
    page.click("#hint")
    expect(page.locator("#task_text li")).to_have_count(1)
    expect(page.locator("#hint")).to_have_text("Hint, 2 left")
    page.click("#task_close")
    assert page.evaluate("document.documentElement.scrollHeight") <= 720
    expect(page.locator("#finish")).to_have_text("This is the view")
    page.click("#finish")
    expect(page.locator("#verdict")).to_contain_text("Not passed yet", timeout=PATIENCE_MS)
    expect(page.locator("#verdict_words")).to_contain_text(re.compile(r"Turn (orbital|wig-wag) \d+\.\d degrees"))

    page.click("#again")
    expect(page.locator("#task_close")).to_be_visible(timeout=PATIENCE_MS)
    page.click("#task_close")
    there = true_lateral(trainer)
    assert abs(there["arm_orbital_deg"] - 90.0) > 3.0, "nobody lies as straight as in the scanner"
    page.locator("#arm_along_mm").press("ControlOrMeta+A")
    page.keyboard.type("7")
    before = page.input_value("#arm_orbital_deg")
    page.evaluate("document.querySelector('#arm_orbital_deg_more').click()")
    expect(page.locator("#arm_orbital_deg")).not_to_have_value(before, timeout=PATIENCE_MS)
    assert page.input_value("#arm_along_mm") == "7", "an answer of the server does not take what is being typed"
    for name, value in there.items():
        page.fill(f"#{name}", str(value))
        page.press(f"#{name}", "Tab")
    page.click("#shot")
    page.click("#finish")  # at once: it waits for the shot
    expect(page.locator("#verdict")).to_contain_text("✓", timeout=PATIENCE_MS)
    expect(page.locator("#verdict_words")).to_contain_text(re.compile(r"Notches lie \d\.\d mm apart; up to 6 mm pass"))
    expect(page.locator("#verdict_right")).to_be_visible()
    page.click("#verdict_done")
    expect(page.locator("#exercise_true-lateral")).to_contain_text("passed, 2 tries", timeout=PATIENCE_MS)
    expect(page.locator("#mine tbody tr")).to_have_count(2)
    with sqlite3.connect(trainer.history) as history:
        rows = history.execute("SELECT passed, hints FROM tries WHERE exercise = 'true-lateral' ORDER BY begun")
        assert rows.fetchall() == [(0, 1), (1, 0)]
    assert COMPLAINTS == []
