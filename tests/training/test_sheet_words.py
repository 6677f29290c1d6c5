"""A score sheet in words: a breach before all else, every measure with what it stands for, every rate as published."""

import json
import re

import pytest

from sjplan.core.plan import Plan
from sjplan.core.scoring import Scoring
from sjplan.io.scoring import read_scoring
from sjplan.training.history import sheet_document
from sjplan.training.score import score
from sjplan.training.session import Session
from sjplan.training.sheet_words import (
    COMPLICATIONS,
    MEASURES,
    complication_rows,
    measure_rows,
    rate_words,
    verdict,
)


@pytest.fixture(scope="module")
def scoring() -> Scoring:
    return read_scoring()


@pytest.fixture(scope="module")
def sheet(told: Session, plan: Plan, scoring: Scoring) -> dict[str, object]:
    """As it comes back from the history."""
    found: dict[str, object] = json.loads(json.dumps(sheet_document(score(told, scoring, {plan.side: plan}))))
    return found


def test_a_breach_is_the_first_thing_that_is_said(sheet: dict[str, object], plan: Plan) -> None:
    said = verdict(sheet)
    assert said.tone == "bad"
    assert said.headline.startswith("An implant lies ")
    deep = float(re.search(r"lies (\S+) mm out of the bone: S1 foramen, left", said.headline)[1])
    assert 0.0 <= deep - sheet["breach_mm"] < 0.1, "never said to be less than it is"
    assert float(said.rating) < 50
    assert "smith" in said.grades
    boasting = verdict(sheet | {"rating": 99.0})
    assert boasting.tone == "bad", "no rating hides a breach"


def test_what_the_labels_cannot_tell_is_not_called_clear(sheet: dict[str, object]) -> None:
    clean = sheet | {"breach_mm": 0.0, "breached": ""}
    assert verdict(clean | {"lower_bound_mm": -0.2}).tone == "near"
    assert verdict(clean | {"lower_bound_mm": 0.4}).tone == "good"
    assert verdict(clean | {"lower_bound_mm": None}).headline == "No implant was put in."
    assert verdict(None, "nobody planned it").headline == "This operation has no rating: nobody planned it."


def test_every_measure_has_its_row_with_value_goal_and_complications(
    sheet: dict[str, object], scoring: Scoring
) -> None:
    rows = measure_rows(sheet, scoring)
    assert {r.name for r in rows} == set(scoring.measures) == set(MEASURES)
    kinds = [r.kind for r in rows]
    assert kinds == sorted(kinds), "geometry comes before process"
    by_name = {r.name: r for r in rows}
    assert by_name["margin_mm"].tone == "bad"
    assert by_name["margin_mm"].value.startswith("\u2212")
    assert by_name["margin_mm"].good == "≥ 5 mm"
    assert by_name["shots"].good == "≤ 8"
    assert by_name["checked_share"].value == "50 %"
    for name, measure in scoring.measures.items():
        for complication in measure.stands_for:
            rate = rate_words(scoring.complications[complication].rate)
            assert f"{COMPLICATIONS[complication]} ({rate})" in by_name[name].stands_for
    assert "nerve root impingement (0.9 %)" in by_name["margin_mm"].stands_for


def test_no_value_is_shown_better_than_it_is(sheet: dict[str, object], scoring: Scoring) -> None:
    def shown(name: str, value: float) -> str:
        entry = {"kind": "geometry", "value": value, "worth": 0.5, "weight": 1.0}
        (row,) = measure_rows(sheet | {"measures": {name: entry}}, scoring)
        return row.value

    assert shown("margin_mm", 1.96) == "1.9 mm"
    assert shown("margin_mm", -0.04) == "\u22120.1 mm"
    assert shown("sacral_mm", 14.7) == "14 mm"
    assert shown("articular_share", 0.999) == "99 %"
    assert shown("protrusion_off_mm", 2.04) == "2.1 mm"
    assert shown("angle_off_plan_deg", 4.01) == "4.1°"
    assert shown("minutes", 20.2) == "21 min"
    assert shown("margin_mm", 2.0) == "2.0 mm"
    assert verdict(sheet | {"rating": 49.99}).rating == "49", "a breach never reads as a clean construct"


def test_complications_with_signs_come_first_and_those_not_modelled_last(
    sheet: dict[str, object], scoring: Scoring, plan: Plan
) -> None:
    rows = complication_rows(sheet)
    assert {r.name for r in rows} == set(scoring.complications) == set(COMPLICATIONS)
    order = [(not r.modelled, not r.signs) for r in rows]
    assert order == sorted(order)
    assert rows[0].signs
    assert {r.name for r in rows if not r.modelled} == {"halo", "migration", "wound", "infection", "bursitis"}
    signs = [text for r in rows for text in r.signs]
    assert any(text.endswith(f"behind S1 foramen, {plan.side}") for text in signs)
    assert not any("_" in text for text in signs)


def test_an_old_sheet_with_other_measures_is_still_shown(sheet: dict[str, object], scoring: Scoring) -> None:
    entry = {"kind": "process", "value": 3.0, "worth": None, "weight": 1.0}
    old = sheet | {"measures": {"patience": entry}, "signs": []}
    (row,) = measure_rows(old, scoring)
    assert (row.title, row.value, row.good, row.stands_for, row.tone) == ("patience", "3.0", "", "", "none")
    assert complication_rows(old) == ()
    assert measure_rows(None, scoring) == complication_rows(None) == ()
