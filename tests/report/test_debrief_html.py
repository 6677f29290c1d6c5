"""The report of a rehearsal: whole, a breach first, nothing fetched, and nothing from a log is markup."""

import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from test_report_html import Page

from sjplan.report.data import Picture
from sjplan.report.debrief import DebriefReport, ImplantTold, TellingPicture, debrief_html

HOSTILE = "<script>alert('x')</script>{{ 7*7 }}"


def picture(caption: str) -> Picture:
    buffer = BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(buffer, format="PNG")
    return Picture(caption, buffer.getvalue())


@pytest.fixture(scope="module")
def report() -> DebriefReport:
    measure = {"sign": "✗", "title": "Margin", "kind": "geometry", "value": "−1 mm", "good": "≥ 5 mm",
               "stands_for": "nerve root impingement (0.9 %)", "source": HOSTILE}  # fmt: skip
    risks = [
        {"title": "malposition", "rate": "1.4 %", "signs": ("implant 1 is out",), "modelled": True, "source": "s"},
        {"title": "infection", "rate": "4.1 %", "signs": (), "modelled": False, "source": "s"},
    ]
    steps = [{"clock": "00:05", "text": HOSTILE, "inside": ("✗ Pin 1 came out.",), "tone": "bad"}]
    seen = TellingPicture("1.0 mm out at the S1 foramen", ("00:10, inlet: hides it",), picture("outlet tells"))
    implant = ImplantTold("Left implant 1", "tri-7, 45 mm", "1.0 mm out", "25 mm in the ilium", HOSTILE, "bad", "✗",
                          '<svg role="img"></svg>', (seen,))  # fmt: skip
    said = {"tone": "bad", "sign": "✗", "rating": "23", "headline": "An implant lies 1.0 mm out.", "grades": "smith 1"}
    return DebriefReport(HOSTILE, HOSTILE, "2026-11-29 09:00", said, [measure], risks, steps, (implant,),
                         (picture("From behind"),), (picture("00:10 inlet"),), 3, {HOSTILE: HOSTILE})  # fmt: skip


def test_it_is_whole_and_fetches_nothing(report: DebriefReport) -> None:
    html = debrief_html(report)
    page = Page(html)
    assert not [t for t, _ in page.tags if t in ("script", "link", "iframe", "object", "base")]
    sources = [a[name] for _, a in page.tags for name in ("src", "href") if name in a]
    assert len(sources) == 3
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?:|url\(|@import", html)
    assert all(a.get("alt") for t, a in page.tags if t == "img")
    assert "default-src 'none'" in next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert page.text.count("Not for clinical use") == 2


def test_nothing_from_a_log_is_markup(report: DebriefReport) -> None:
    html = debrief_html(report)
    assert "<script" not in html
    assert html.count("{{ 7*7 }}") >= 6
    assert '<svg role="img">' in html, "the chart is of our own making"


def test_the_breach_comes_before_the_rating_and_everything_is_there(report: DebriefReport) -> None:
    text = Page(debrief_html(report)).text
    assert text.index("An implant lies 1.0 mm out.") < text.index("23")
    for words in ("smith 1", "1.0 mm out at the S1 foramen", "00:10, inlet: hides it", "outlet tells",
                  "nerve root impingement (0.9 %)", "implant 1 is out", "a rehearsal cannot show it", "Pin 1 came out.",
                  "3 earlier ones are not shown"):  # fmt: skip
        assert words in text


def test_an_operation_without_anything_has_a_report_too() -> None:
    said = {"tone": "none", "sign": "–", "rating": "", "headline": "No implant was put in.", "grades": ""}
    text = Page(debrief_html(DebriefReport("default", "", "", said, (), (), ()))).text
    assert "No implant was left in the patient." in text
    assert "ended without a rating" in text
    assert "of 100" not in text
