"""The report: everything that was measured stands in it, nothing is fetched, and nothing from a file is markup."""

import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sjplan.core.errors import InputError
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.structure_words import structure_words
from sjplan.core.structures import LIMIT_KINDS
from sjplan.report.data import Picture, ReportData, SheetRow, SidePictures
from sjplan.report.html import report_html, write_report

HOSTILE = "<script>alert('x')</script>\"&{{ 7*7 }}.nii.gz"
STRUCTURES = ("foramen_S1_left", "canal", "anterior", "notch")
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags in balance, the rows of every table by its caption, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "caption" in self.open:
            self._caption += data
        elif self.open and self._rows and {"td", "th"} & set(self.open):
            self._rows[-1][-1] += data

    def rows(self, caption: str) -> list[list[str]]:
        found = next(rows for name, rows in self.tables.items() if name.startswith(caption))
        return [[" ".join(cell.split()) for cell in row] for row in found]


def picture(caption: str = "a picture", kind: str = "PNG") -> Picture:
    buffer = BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(buffer, format=kind)
    return Picture(caption, buffer.getvalue())


def limits() -> Limits:
    return Limits(
        dict.fromkeys(LIMIT_KINDS, 1.0) | {"foramen": 2.0, "canal": 2.0}, {"notch": 10.0}, ("foramen", "canal"),
        10.0, 15.0, 8.0, 13.0, 3.0, 20.0, 35.0, 2, 0.0, 5.0, 3.0,
    )  # fmt: skip


def clearance(structure: str, envelope: float, lower: float = 1.0) -> dict:
    limit = limits().clearance_of(structure)
    return {"structure": structure, "distance_mm": envelope + 0.5, "envelope_mm": envelope, "limit_mm": limit,
            "lower_bound_mm": lower, "at_lps_mm": [1.0, -2.5, 3.25], "on_implant_lps_mm": [1.0, 2.0, 3.0]}  # fmt: skip


def implant(slot: int, first: float = 3.21) -> dict:
    envelopes = (first, 7.43, 5.65, 8.87)
    return {
        "slot": slot, "model": "tri-7", "inscribed_radius_mm": 3.5, "circumscribed_radius_mm": 6.0,
        "length_mm": 40.0 + 5 * slot, "entry_lps_mm": [70.0, 1.0, 2.0], "tip_lps_mm": [30.0, 1.0, 2.0],
        "roll_deg": 15.0, "protrusion_mm": 3.0, "iliac_mm": 20.0, "joint_mm": 2.0, "sacral_mm": 18.0,
        "crosses_articular": slot != 3, "joint_normal_angle_deg": 11.0, "tip_to_midline_mm": None,
        "overshoot_reserve_mm": 9.5, "overshoot_structure": "anterior", "margin_mm": first, "slack_mm": first - 2.0,
        "clearances": [clearance(s, e) for s, e in zip(STRUCTURES, envelopes, strict=True)],
    }  # fmt: skip


def plan(**changes) -> dict:
    left = {
        "side": "left", "status": "found", "planner": "raster-v1", "parameters": {"step_mm": 2.0}, "certificate": None,
        "reasons": [], "findings": [{"code": "close", "severity": "warning", "text": "notch at 8.9 mm"}],
        "nearest": None, "fallback": None, "implants": [implant(n) for n in (1, 2, 3)],
        "pairs": [{"i": 1, "j": 2, "gap_mm": 9.1, "spacing_mm": 18.4, "angle_deg": 3.0}],
    }  # fmt: skip
    missing = {"constraint": "clearance:foramen_S1_right", "missing": 1.37, "unit": "mm"}
    nearest = {
        "accepted": False, "slack_mm": -1.37, "violations": [missing | {"text": "too near"}],
        "implants": [implant(1, first=0.63)], "pairs": [],
    }  # fmt: skip
    right = {
        "side": "right", "status": "infeasible", "planner": "raster-v1", "implants": [],
        "reasons": [missing | {"text": "S1 foramen is 1.37 mm too near"}], "nearest": nearest,
        "fallback": {"accepted": True, "violations": [], "implants": [implant(1), implant(2)], "pairs": []},
    }  # fmt: skip
    values = {
        "schema": "sjplan.plan/1", "created": "2026-11-22T10:00:00+00:00", "frame": "LPS", "units": "mm", "seed": 7,
        "case": {"paths": {"labels": "cases/pelvis.nii.gz"}, "sha256": {"labels": "ab12" * 16}},
        "versions": {"sjplan": "0.1.0", "numpy": "2.4"},
        "findings": [{"code": "s4-missing", "severity": "note", "text": "S4 was not found", "side": "right"}],
        "sides": [left, right],
    }  # fmt: skip
    return values | changes


def full(**changes) -> ReportData:
    rows = tuple(
        SheetRow(n, step, "tip 20 mm deep", (picture("lateral"), picture("inlet"), picture("outlet")))
        for n in (1, 2, 3)
        for step in ("pin at the joint", "pin at depth", "implant")
    )
    pictures = SidePictures(
        (picture("AP"),), rows, (picture("slices of 1"),), (picture("from behind", "JPEG"),), (picture("entry map"),),
        (picture("slack against length"),), (picture("paths"),), tuple(picture(f"binds {n}") for n in (1, 2, 3)),
    )  # fmt: skip
    models = {"tri-7": ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (45.0,), (), ("lengths_mm",))}
    values = {"plan": plan(), "pictures": {"left": pictures}, "overview": (picture("anatomy"),), "limits": limits(),
              "models": models, "assumed_density": True}  # fmt: skip
    return ReportData(**(values | changes))


def test_every_implant_and_structure_has_its_row():
    rows = Page(report_html(full())).rows("Margins")
    seen, slot = set(), ""
    for row in rows[1:]:
        if len(row) == 9:
            slot, *row = row
        structure, state, distance, envelope, limit, slack, lower, at = row
        seen.add((slot, structure))
        assert float(slack.replace("−", "-")) == pytest.approx(float(envelope) - float(limit), abs=0.011)
        assert float(distance) == pytest.approx(float(envelope) + 0.5, abs=0.011)
        assert (state, lower, at) == ("holds, close" if "notch" in structure else "holds", "1.00", "1.0, −2.5, 3.2")
    proposals = {(str(n), structure_words(s)) for n in (1, 2, 3) for s in STRUCTURES}
    # The last table of that caption is the fallback's two implants; all three stand in the page of the left side alone.
    assert seen == {pair for pair in proposals if pair[0] != "3"}
    left_only = Page(report_html(full(plan=plan(sides=plan()["sides"][:1])))).rows("Margins")
    assert sum(len(row) in (8, 9) for row in left_only[1:]) == 3 * len(STRUCTURES)
    assert [row[0] for row in left_only[1:] if len(row) == 9] == ["1", "2", "3"]


def test_breach_probabilities_are_shown_where_there_are_any():
    document = plan()
    words = "Probability that any implant breaches anything"
    assert words not in report_html(full(plan=document))
    left = document["sides"][0]
    left["construct_breach_probability"] = {"error_model": "robot", "value": 0.2157, "low": 0.2077, "high": 0.2239}
    left["implants"][0]["breach_probability"] = {"error_model": "robot", "value": 0.0384, "low": 0.0348, "high": 0.0424}
    page = report_html(full(plan=document))
    assert words in page
    assert "21.6 % (20.8 to 22.4)" in page
    assert "3.8 % (3.5 to 4.2)" in page
    assert "<em>robot</em>" in page


def test_verdict_reasons_nearest_and_fallback_are_in_words():
    text = " ".join(Page(report_html(full())).text.split())
    assert "✓ ACCEPTED" in text
    assert "✗ NO ACCEPTED PLAN" in text
    assert "3 implants; worst slack 1.21 mm: implant 1 to S1 foramen, left" in text
    assert "S1 foramen is 1.37 mm too near" in text
    assert "Nearest plan (NOT accepted)" in text
    assert "Two-implant fallback (accepted)" in text
    assert "below limit" in text  # the nearest plan's S1 foramen
    assert "Assumed density" in text
    assert "recalled, not read in a source: lengths_mm" in text


@pytest.mark.parametrize(
    ("status", "words"),
    [("found", "ACCEPTED"), ("best_effort", "ACCEPTED, BEST EFFORT"), ("infeasible", "NO ACCEPTED PLAN"),
     ("timeout", "NO PLAN IN TIME"), ("invalid_input", "REFUSED"), ("crashed", "CRASHED")],
)  # fmt: skip
def test_each_status_has_its_word(status, words):
    side = {"side": "left", "status": status, "implants": []}
    html = report_html(ReportData(plan(sides=[side])))
    assert re.search(rf'class="verdict">.*{words}</p>', html)


@pytest.mark.parametrize(
    ("envelope", "lower", "word"),
    [(1.99, 1.0, "below limit"), (2.0, 1.0, "holds"), (2.5, 0.0, "not certain"), (2.5, -0.2, "not certain")],
)
def test_state_of_a_foramen_follows_limit_and_lower_bound(envelope, lower, word):
    one = implant(1) | {"clearances": [clearance("foramen_S1_left", envelope, lower)]}
    side = {"side": "left", "status": "found", "implants": [one]}
    rows = Page(report_html(ReportData(plan(sides=[side]), limits=limits()))).rows("Margins")
    assert rows[1][2] == word


def test_not_for_clinical_use_stands_at_top_and_foot():
    body = report_html(full()).split("<body>")[1]
    places = [m.start() for m in re.finditer("Not for clinical use", body)]
    assert places[0] < 200
    assert len(body) - places[-1] < 200


def test_inputs_versions_limits_and_frame_are_there():
    page = Page(report_html(full()))
    assert ["labels", "cases/pelvis.nii.gz", "ab12ab12ab12ab12…"] in page.rows("Inputs")
    assert ["numpy", "2.4"] in page.rows("Made with")
    assert ["seed", "7"] in page.rows("Made with")
    assert ["frame, units", "LPS, mm"] in page.rows("Made with")
    assert ["clearance to greater sciatic notch", "1.0 mm (a finding below 10.0)"] in page.rows("Limits used")
    assert ("code", {"title": "ab12" * 16}) in page.tags


def test_findings_of_file_and_side_are_listed():
    page = Page(report_html(full()))
    assert "S4 was not found" in page.text
    assert "notch at 8.9 mm" in page.text
    assert "Nothing was noticed" in report_html(ReportData(plan(findings=[], sides=[])))


def test_the_sheet_has_a_row_a_step_and_a_column_a_view():
    html = report_html(full())
    sheet = html.split('class="onepage"')[1].split("</table>")[0]
    assert sheet.count("<tr>") == 1 + 9
    assert sheet.count("<img") == 9 * 3
    assert sheet.count("pin at the joint, lateral") == 3
    assert re.search(r"\.onepage \{[^}]*break-before: page", html)


def test_nothing_is_fetched_and_nothing_runs():
    html = report_html(full())
    page = Page(html)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 1 + 1 + 27 + 1 + 1 + 1 + 1 + 1 + 3
    assert all(image["src"].startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for image in images)
    assert all(image["alt"] for image in images)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_text_from_files_is_never_markup():
    hostile_side = plan()["sides"][0] | {
        "planner": HOSTILE, "parameters": {HOSTILE: HOSTILE},
        "certificate": {"slack_mm": 1.0, "given": HOSTILE, HOSTILE: 1.0},
        "reasons": [{"constraint": HOSTILE, "missing": 1.0, "unit": HOSTILE, "text": HOSTILE}],
        "findings": [{"code": HOSTILE, "severity": HOSTILE, "text": HOSTILE, "side": HOSTILE}],
        "implants": [implant(1) | {"model": HOSTILE, "overshoot_structure": HOSTILE,
                                   "clearances": [clearance("canal", 3.0) | {"structure": HOSTILE}]}],
    }  # fmt: skip
    hostile = plan(
        case={"paths": {HOSTILE: HOSTILE}, "sha256": {HOSTILE: HOSTILE}}, versions={HOSTILE: HOSTILE}, created=HOSTILE,
        seed=HOSTILE, schema=HOSTILE, frame=HOSTILE, units=HOSTILE, sides=[hostile_side],
    )  # fmt: skip
    html = report_html(full(plan=hostile, overview=(picture(HOSTILE),), title=HOSTILE))
    assert "<script" not in html
    assert "49" not in re.sub(r"base64,[^\"]*", "", html).replace("{{ 7*7 }}", "")
    page = Page(html)
    assert page.text.count("<script>alert('x')") >= 15
    assert any(attributes.get("alt") == HOSTILE for tag, attributes in page.tags if tag == "img")


def test_missing_values_are_said_to_be_unknown():
    bare = {"side": "left", "status": "found", "implants": [{"slot": 1}]}
    html = report_html(ReportData({"sides": [bare]}))
    assert "not known" in html
    assert "None" not in html
    assert "nothing was measured" in html
    assert "The plan file holds no side." in report_html(ReportData({}))


def test_the_title_is_the_file_name_unless_given():
    assert "<h1>SI joint fusion plan: pelvis.nii.gz</h1>" in report_html(full())
    assert "<h1>SI joint fusion plan: mine</h1>" in report_html(full(title="mine"))


def test_a_picture_that_is_none_is_refused():
    with pytest.raises(InputError, match="picture 'x': found bytes that start b'BM'; wanted PNG or JPEG"):
        Picture("x", b"BM")


def test_written_whole_or_not_at_all(tmp_path):
    path = write_report(tmp_path / "report.html", full())
    assert path.read_text(encoding="utf-8") == report_html(full())
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(InputError, match="wanted a folder that exists"):
        write_report(tmp_path / "none" / "report.html", full())
    with pytest.raises(InputError, match="report "):
        write_report(tmp_path, full())
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


CERTIFIED = {"slack_mm": 2.345, "upper_bound_mm": 2.401, "gap_mm": 0.056, "cap_mm": 3.0, "given": None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "No plan of this kind has more than 2.41 mm of worst slack; this one has 2.34 mm, so that no more than "
             "0.07 mm were missed. Slack is counted up to the cap of 3.00 mm."),
        ({"cap_mm": None}, "There is no cap."),
        ({"slack_mm": 3.0, "upper_bound_mm": 3.0}, "counted up to the cap of 3.00 mm, so no plan counts for more"),
        ({"slack_mm": 2.92, "upper_bound_mm": 3.0}, "this one has 2.92 mm."),
        ({"upper_bound_mm": 3.0}, "Nothing is proved about better plans: the proof was cut short. This plan has"),
        ({"upper_bound_mm": None, "cap_mm": None}, "Nothing is proved about better plans"),
        ({"upper_bound_mm": 2.8}, "The proof was cut short: a gap of 0.25 mm was aimed at."),
        ({"given": "right"}, "The implants of the right side were obstacles."),
    ],
)  # fmt: skip
def test_certificate_is_a_sentence(changes, words):
    left = plan()["sides"][0] | {"certificate": CERTIFIED | changes}
    text = " ".join(Page(report_html(full(plan=plan(sides=[left])))).text.split())
    assert "Certificate. " in text
    assert words in text


def test_slack_given_for_a_reserve_is_no_proof_cut_short():
    own = plan()["sides"][0] | {"parameters": {"gap_mm": 0.25, "reserve_paid_mm": 0.2}}
    for upper_mm, words in ((2.79, ""), (2.81, "a gap of 0.25 mm was aimed at, and 0.20 mm were given for a reserve.")):
        left = own | {"certificate": CERTIFIED | {"upper_bound_mm": upper_mm}}
        text = " ".join(Page(report_html(full(plan=plan(sides=[left])))).text.split())
        assert ("cut short" in text) == bool(words)
        assert words in text


def test_without_a_certificate_none_is_claimed():
    text = " ".join(Page(report_html(full())).text.split())
    assert "Certificate. " not in text
    wrong = plan()["sides"][0] | {"certificate": {"slack_mm": "much"}}
    assert "Certificate. " not in Page(report_html(full(plan=plan(sides=[wrong])))).text


def test_pareto_plans_stand_in_a_table():
    trades = [
        {"slack_mm": s, "sacral_mm": m, "implants": [{"slot": n, "length_mm": length} for n in (1, 2, 3)]}
        for s, m, length in ((2.345, 45.16, 45.0), (0.5, 51.0, 50.0))
    ]
    rows = Page(report_html(full(plan=plan(sides=[plan()["sides"][0] | {"pareto": trades}])))).rows(
        "Slack against length"
    )
    assert rows[1:] == [["45 / 45 / 45", "2.35", "45.2"], ["50 / 50 / 50", "0.50", "51.0"]]


def test_margin_pictures_have_their_headings():
    text = " ".join(Page(report_html(full())).text.split())
    for heading in ("What binds each implant, left", "Clearance along each path, left", "How much room there is, left"):
        assert heading in text
        assert heading.replace("left", "right") not in text
    for words in ("entry map", "slack against length", "binds 3"):
        assert words in text


def test_a_refused_side_shows_its_entry_map_alone():
    html = report_html(full(pictures={"right": SidePictures(entries=(picture("where anything would fit"),))}))
    text = " ".join(Page(html).text.split())
    assert "How much room there is, right" in text
    assert "where anything would fit" in text
    assert "What binds each implant" not in text
