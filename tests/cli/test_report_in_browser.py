"""A report opened in a real browser: it needs no network, runs nothing, shows everything, and fits a printed page."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.report.data import Picture, ReportData, SheetRow, SidePictures
from sjplan.report.html import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(plan_folder: Path, phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Report of the phantom's plan, with one radiograph wherever a picture belongs."""
    from sjplan.cli.main import run

    folder = tmp_path_factory.mktemp("report")
    view = folder / "outlet.png"
    words = ["fluoro", str(phantom), "--plan", str(plan_folder / "plan.json"), "--view", "outlet", "--out", str(view)]
    assert run(words) == 0
    picture = Picture("outlet", view.read_bytes())
    rows = tuple(SheetRow(slot, "pin at depth", "tip 40 mm in", (picture, picture)) for slot in (1, 2, 3))
    one = (picture,)
    side = SidePictures(one, rows, one, one, entries=one, pareto=one, profiles=one, bindings=one)
    plan = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))
    data = ReportData(plan, {"left": side}, (picture,), read_limits(), read_implants(), "a <b>case</b>", False)
    return write_report(folder / "report.html", data)


def test_report_is_whole_and_asks_for_nothing(report: Path, page: Page) -> None:
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page.locator("script").count() == 0
    sizes = page.eval_on_selector_all("img", "all => all.map(i => i.complete && i.naturalWidth)")
    assert len(sizes) >= 12
    assert all(size and size > 400 for size in sizes)
    text = page.inner_text("body")
    assert "Not for clinical use" in text
    assert "ACCEPTED" in text
    assert "S1 foramen, left" in text
    assert "Certificate." in text
    assert "What binds each implant, left" in text
    assert "Slack against length" in text
    assert "a <b>case</b>" in text, "what comes from a file is shown, not interpreted"


@pytest.mark.parametrize("width", [1200, 700])
def test_report_does_not_spill_over_sideways(report: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
