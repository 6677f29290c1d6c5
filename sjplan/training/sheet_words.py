"""A score sheet as a person reads it: a breach first, each measure with what it stands for, rates with sources."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sjplan.core.scoring import Measure, Scoring
from sjplan.core.shown import clear_or_out, cut, cut_mm, raised
from sjplan.core.structure_words import structure_words

Tone = Literal["bad", "near", "good", "none"]

SIGNS: Final[Mapping[Tone, str]] = {"bad": "✗", "near": "!", "good": "✓", "none": "–"}
"""What stands beside a tone's colour, so that colour is never alone."""

MEASURES: Final[Mapping[str, tuple[str, str, int]]] = {
    "margin_mm": ("Margin of the worst implant", "mm", 1),
    "sacral_mm": ("Shortest length in the sacrum", "mm", 0),
    "iliac_mm": ("Shortest length in the ilium", "mm", 0),
    "protrusion_off_mm": ("Protrusion off 3 mm, the worst", "mm", 1),
    "articular_share": ("Across the articular joint", "%", 0),
    "spacing_mm": ("Closest two crossings of the joint", "mm", 0),
    "tip_off_plan_mm": ("Tips off the plan, mean", "mm", 1),
    "angle_off_plan_deg": ("Axes off the plan, mean", "°", 1),
    "shots": ("Shots an implant", "", 1),
    "dose_area_ugy_m2": ("Dose-area product an implant", "µGy m²", 1),
    "redirections": ("Redirections an implant", "", 1),
    "perforations": ("Pin out of bone, an implant", "", 1),
    "near_misses": ("Near misses an implant", "", 1),
    "pins_harmed": ("Pins bent, broken or dragged, an implant", "", 1),
    "minutes": ("Minutes an implant", "min", 0),
    "views_true_share": ("Views true by their landmarks", "%", 0),
    "checked_share": ("Seen in inlet and outlet before drilling", "%", 0),
}
"""What each measure is called, its unit, and its decimals; shares are shown as percent."""

COMPLICATIONS: Final[Mapping[str, str]] = {
    "nerve-impingement": "nerve root impingement",
    "nerve-root-revision": "revision for a nerve root",
    "malposition": "malposition",
    "improper-length": "improper length",
    "pin-bent-or-broken": "pin bent or broken",
    "pin-advancement": "pin carried forward",
    "iliac-fracture": "fracture of the ilium beside the implant",
    "vascular-injury": "vascular injury",
    "halo": "radiographic halo",
    "migration": "migration",
    "wound": "wound trouble",
    "infection": "infection",
    "bursitis": "trochanteric bursitis",
}

GOOD_WORTH, NEAR_WORTH = 0.75, 0.35
"""From the one on a measure is shown as good, from the other as fair (default)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first thing that is said.

    Parameters
    ----------
    tone : {"bad", "near", "good", "none"}
        Bad for a breach, near for what the labels cannot tell from one, none where there is nothing to rate.
    rating : str
        Such as "34", or "".
    headline : str
        A breach with its depth and structure before anything else.
    grades : str
        Of the breach, by the name of each scheme, or "".
    """

    tone: Tone
    rating: str
    headline: str
    grades: str


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure: its value, what is good, what it is worth, and which complications it stands for."""

    name: str
    title: str
    kind: str
    value: str
    good: str
    worth: float | None
    tone: Tone
    stands_for: str
    source: str


@dataclass(frozen=True, slots=True)
class ComplicationRow:
    """One complication: its published rate, its signs in this operation, and whether a rehearsal can show any."""

    name: str
    title: str
    rate: str
    signs: tuple[str, ...]
    modelled: bool
    source: str


HELD_BY: Final = {"ilium": "iliac_mm", "sacrum": "sacral_mm"}
"""Measures of how much of an implant lies in each bone."""


def verdict(sheet: Mapping[str, Any] | None, why: str = "") -> Verdict:
    """The first sentence about an operation.

    Parameters
    ----------
    sheet : mapping or None
        As `history.sheet_document` writes it.
    why : str
        Why there is none.

    Examples
    --------
    >>> sheet = {"rating": 31.2, "breach_mm": 1.24, "breached": "foramen_S1_left", "lower_bound_mm": -2.0, "grades": {}}
    >>> verdict(sheet).headline
    'An implant lies 1.3 mm out of the bone: S1 foramen, left.'
    >>> verdict(sheet | {"breached": "", "lower_bound_mm": 2.34}).tone
    'good'
    """
    if sheet is None:
        return Verdict("none", "", f"This operation has no rating: {why or 'it was ended without one'}.", "")
    rating, bound = cut(sheet["rating"], 0), sheet.get("lower_bound_mm")
    grades = ", ".join(f"{name} {grade}" for name, grade in sheet["grades"].items())
    if sheet["breached"]:
        out = f"An implant lies {clear_or_out(-sheet['breach_mm'])} of the bone: {structure_words(sheet['breached'])}."
        return Verdict("bad", rating, out, grades)
    if bound is None:
        return Verdict("none", rating, "No implant was put in.", "")
    short = [bone for bone, name in HELD_BY.items() if _measured(sheet, name) <= 0.0]
    if short:
        return Verdict("bad", rating, f"An implant has no hold in the {' nor in the '.join(short)}.", grades)
    if bound > 0.0:
        clear = f"All implants reach from ilium into sacrum, clear of all dangers by at least {cut_mm(bound)} mm."
        return Verdict("good", rating, clear, grades)
    text = "All implants measure as in bone, nearer to a danger than the labels can tell apart."
    return Verdict("near", rating, text, grades)


def _measured(sheet: Mapping[str, Any], name: str) -> float:
    """The value of a measure; of one that is not in the sheet, as in those of before, all that may be."""
    value = sheet.get("measures", {}).get(name, {}).get("value")
    return math.inf if value is None else float(value)


def measure_rows(sheet: Mapping[str, Any] | None, scoring: Scoring) -> tuple[MeasureRow, ...]:
    """Every measure of a sheet, the geometry first."""
    if sheet is None:
        return ()
    found = [_measure(name, entry, scoring) for name, entry in sheet["measures"].items()]
    return tuple(sorted(found, key=lambda row: row.kind != "geometry"))


def complication_rows(sheet: Mapping[str, Any] | None) -> tuple[ComplicationRow, ...]:
    """Every complication of a sheet: first those with signs in this operation, last those that it cannot show."""
    if sheet is None:
        return ()
    rows = [
        ComplicationRow(
            sign["complication"], _named(sign["complication"]), rate_words(sign["rate"]),
            tuple(_in_words(text) for text in sign["signs"]), bool(sign["modelled"]), sign["source"],
        )
        for sign in sheet["signs"]
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (not row.modelled, not row.signs)))


def rate_words(rate: float | None) -> str:
    """A published rate.

    Examples
    --------
    >>> rate_words(48 / 5319), rate_words(None)
    ('0.9 %', 'no count')
    """
    return "no count" if rate is None else f"{100.0 * rate:.1f} %"


def _measure(name: str, entry: Mapping[str, Any], scoring: Scoring) -> MeasureRow:
    title, _, _ = MEASURES.get(name, (name, "", 1))
    known = scoring.measures.get(name)
    worth = entry["worth"]
    good, stands_for, source = (
        ("", "", "") if known is None else (_good(name, known), _stands_for(known, scoring), known.source)
    )
    value = _value(name, entry["value"], known)
    return MeasureRow(name, title, entry["kind"], value, good, worth, _tone(worth), stands_for, source)


def _value(name: str, value: float | None, known: Measure | None) -> str:
    """A value with its unit, cut towards what is worse; to the nearest where nobody says which way that is."""
    _, unit, decimals = MEASURES.get(name, (name, "", 1))
    if value is None:
        return "not measured"
    shown = 100.0 * value if unit == "%" else value
    if known is None:
        text = f"{shown:.{decimals}f}"
    else:
        text = cut(shown, decimals) if known.good > known.bad else raised(shown, decimals)
    text = text.replace("-", "\u2212")
    return f"{text}{unit}" if unit == "°" else f"{text} {unit}".rstrip()


def _good(name: str, measure: Measure) -> str:
    """What would be good."""
    _, unit, _ = MEASURES.get(name, (name, "", 1))
    shown = f"{100.0 * measure.good if unit == '%' else measure.good:g}"
    return f"{'≥' if measure.good > measure.bad else '≤'} {shown}{unit if unit == '°' else ' ' + unit}".rstrip()


def _tone(worth: float | None) -> Tone:
    if worth is None:
        return "none"
    return "good" if worth >= GOOD_WORTH else "near" if worth >= NEAR_WORTH else "bad"


def _stands_for(measure: Measure, scoring: Scoring) -> str:
    """Complications with their published rates."""
    rates = {name: scoring.complications[name].rate for name in measure.stands_for}
    return "; ".join(f"{_named(name)} ({rate_words(rate)})" for name, rate in rates.items())


def _named(name: str) -> str:
    return COMPLICATIONS.get(name, name.replace("-", " "))


def _in_words(text: str) -> str:
    """A sign, whose last word may be a structure's name."""
    head, _, last = text.rpartition(" ")
    return f"{head} {structure_words(last)}" if head else text.replace("-", " ")
