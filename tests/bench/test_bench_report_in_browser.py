"""The page of an experiment in a real browser: it asks for nothing, shows its figures, and fits its width."""

from pathlib import Path

import pytest
from bench_rows import synthetic_rows
from playwright.sync_api import Page

from sjplan.bench.report import PAGE, write_report
from sjplan.bench.store import write_results

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("duckdb", reason="duckdb is not installed (extra batch)")
    folder = tmp_path_factory.mktemp("report")
    rows = synthetic_rows(20, {f"a planner with a long name {k}": 0.2 * k for k in range(6)})
    write_report(write_results(folder / "r.duckdb", {}, rows), folder)
    return folder / PAGE


def test_page_asks_for_nothing_and_shows_its_figures(report: Path, page: Page) -> None:
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    sizes = page.eval_on_selector_all("img", "all => all.map(i => i.complete && i.naturalWidth)")
    assert len(sizes) == 5
    assert all(size and size >= 1500 for size in sizes)
    page.click("text=Hardest cases")
    assert page.url.endswith("#part8")


@pytest.mark.parametrize("width", [1200, 700])
def test_page_does_not_spill_over_sideways(report: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
