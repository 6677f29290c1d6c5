"""The instructor's page in a real browser, by keyboard; a first tab that another takes over; a visit that is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_support import Trainer, start
from browser_support import PATIENCE_MS, open_page
from course_support import fill
from playwright.sync_api import Page, expect

from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.theatre import open_theatre

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    folder = tmp_path_factory.mktemp("course in a browser")
    theatre = open_theatre("default", Case(None, phantom_labels()), anatomy=phantom_anatomy())
    fill(folder / "history.sqlite", theatre)
    running = start(folder, None)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def first_column(page: Page) -> list[str]:
    return page.locator("#co_table tbody th").all_inner_texts()


def test_an_instructor_reads_the_course_by_keyboard(page: Page, course: Trainer, tmp_path: Path) -> None:
    page.goto(course.course_url)
    page.wait_for_selector("#co_table", timeout=PATIENCE_MS)
    assert first_column(page) == ["T-01", "T-02", "T-03", "T-04", "T-05"]
    expect(page.get_by_role("img", name="Rating, of 100 of everybody")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.focus("#co_by_best")
    page.keyboard.press("Enter")
    expect(page.locator("#co_table th[aria-sort=descending]")).to_have_text("Best ▼")
    assert first_column(page) == ["T-01", "T-02", "T-04", "T-03", "T-05"]
    page.keyboard.press("Space")
    expect(page.locator("#co_table th[aria-sort=ascending]")).to_have_text("Best ▲")
    assert first_column(page) == ["T-03", "T-04", "T-02", "T-01", "T-05"]
    page.get_by_role("button", name="T-02").focus()
    page.keyboard.press("Enter")
    for name in ("Rating, of 100", "Fluoroscopy, s", "Dose, µGy m²", "Shots", "Worst margin, mm"):
        expect(page.get_by_role("img", name=f"{name}, by attempt")).to_be_visible()
    expect(page.locator("#co_curves")).to_contain_text("no trend can be told")
    with page.expect_download() as download:
        page.click("#co_csv")
    download.value.save_as(tmp_path / "mine.csv")
    rows = (tmp_path / "mine.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 6, "the sessions of the person who is shown"
    assert all(",T-02," in row for row in rows[1:])
    page.get_by_role("button", name="Show the session").nth(4).click()
    expect(page.locator("#co_one")).to_contain_text("left implant 1 lies 1.0 mm out behind S1 foramen, left")
    page.keyboard.press("x")
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
    page.click("#home")
    page.fill("#who", "T-01")
    page.press("#who", "Tab")
    expect(page.get_by_role("img", name="Rating, of 100, by attempt")).to_be_visible()
    page.click("#to_course")
    expect(page.locator("#co_table")).to_be_visible()
    assert COMPLAINTS == []


def test_a_tab_that_another_has_taken_over_says_so(page: Page, course: Trainer) -> None:
    page.goto(course.url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    again = page.context.new_page()
    again.goto(page.url)
    again.click("text=use it here")
    again.wait_for_selector("#who", timeout=PATIENCE_MS)
    lost = page.get_by_role("alertdialog")
    expect(lost).to_contain_text("goes on in another tab or window", timeout=PATIENCE_MS)
    lost.get_by_role("button", name="Use it here").click()
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    expect(again.get_by_role("alertdialog")).to_be_visible(timeout=PATIENCE_MS)
    again.close()


def test_a_visit_that_is_over_says_what_to_do(page: Page, course: Trainer) -> None:
    page.goto(course.course_url)
    page.wait_for_selector("#co_table", timeout=PATIENCE_MS)
    page.context.clear_cookies()
    page.evaluate("window.sockets.forEach(one => one.close())")
    lost = page.get_by_role("alertdialog")
    expect(lost).to_contain_text("open the address that it printed", timeout=PATIENCE_MS)
    lost.get_by_role("button", name="First page").click()
    expect(page.locator("body")).to_contain_text("Who are you?")
