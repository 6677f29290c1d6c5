"""What an operation was worth: the judge on what lies in the bone, the log on how it came there, what may follow.

Geometry is the judge's alone. A rating between 0 and 100 sums up; it never hides a breach: implants that leave the bone
are rated below 50 whatever else was done well, clean ones from 50 on.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.core.shown import raised
from sjplan.core.trajectory import Trajectory
from sjplan.safety.judge import judge
from sjplan.safety.measures import breach_of
from sjplan.safety.types import ImplantMargins, MarginReport
from sjplan.training.deviation import paired
from sjplan.training.process import checked_share, counted, views_true_share
from sjplan.training.session import Session
from sjplan.training.state import State

CLEAN_FROM: Final = 50.0
"""Constructs without a breach are rated from here to 100, those with one from 0 to just below."""

NERVES: Final = ("foramen", "canal", "anterior", "superior")
VESSELS: Final = ("notch", "inferior", "iliac_inner")
"""Structures behind which nerves lie (L5 on the ala, roots in foramina and canal: POLLY20), and vessels (the superior
gluteal artery at the notch and the vessels of the inferior zones: SGA25, VASC; the iliac ones inside)."""

FORCED_MM: Final = 10.0
BORDER_MM: Final = 5.0
"""An implant forced through so much undrilled bone, so near to the ilium's border, may split it (a default)."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One measure: its value, and what that is worth from 0 to 1; None where there was nothing to measure."""

    name: str
    kind: str
    value: float | None
    worth: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class Sign:
    """What of an operation may lead to a complication, and how often that is published."""

    complication: str
    signs: tuple[str, ...]
    rate: float | None
    modelled: bool
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSheet:
    """All that is said of one operation.

    Parameters
    ----------
    rating : float
        0 to 100.
    breach_mm : float
        How deep the deepest implant lies outside bone; 0 where all lie inside.
    breached : str
        Behind which structure; "" for none.
    lower_bound_mm : float or None
        How far the implants lie from all dangers at least, once the labels' own error is taken off: below 0 an implant
        that measures as clean may still lie outside. None without implants.
    grades : mapping
        Of the breach, by the name of each scheme.
    measures : tuple of Rated
        Everything that went into the rating.
    signs : tuple of Sign
        Every complication in the file, with its signs here.
    reports : mapping of side to MarginReport
        The judge's.
    """

    rating: float
    breach_mm: float
    breached: str
    lower_bound_mm: float | None
    grades: Mapping[str, str]
    measures: tuple[Rated, ...]
    signs: tuple[Sign, ...]
    reports: Mapping[Side, MarginReport]

    def value(self, name: str) -> float | None:
        """The value of one measure."""
        return next(m.value for m in self.measures if m.name == name)


def score(session: Session, scoring: Scoring, wanted: Mapping[Side, Plan]) -> ScoreSheet:
    """Score an operation as it stands.

    Implants that lay in the patient from the start count where they still lie on a side that was asked for; how they
    came there does not, so that process measures are for each implant that remained to be put in.

    Parameters
    ----------
    session : Session
        At its end, or before.
    scoring : Scoring
        What is good and what is bad.
    wanted : mapping of side to Plan
        What was asked for: implants of each side, and the plan that they are compared with.

    Raises
    ------
    InputError
        If nothing was asked for.
    """
    asked = sum(len(plan.trajectories) for plan in wanted.values())
    if not asked:
        raise InputError("wanted", found="no side", wanted="a plan for each side that is to be operated on")
    reports = judged(session, wanted)
    implants = [implant for report in reports.values() for implant in report.implants]
    breach_mm, breached = deepest_breach(implants)
    kept = sum(session.was_given(i) for i in session.state.implants if i.side in wanted)
    values = {**_geometry(reports, wanted), **_process(session, max(asked - kept, 1))}
    measures = tuple(
        Rated(name, m.kind, value := values[name], None if value is None else m.worth(value), m.weight)
        for name, m in scoring.measures.items()
    )
    grades = {name: scheme.grade(breach_mm) for name, scheme in scoring.grades.items()}
    return ScoreSheet(
        rating=rating(measures, breach_mm, min(len(implants) / asked, 1.0)),
        breach_mm=breach_mm,
        breached=breached,
        lower_bound_mm=min((c.lower_bound_mm for i in implants for c in i.clearances), default=None),
        grades={**grades, "sjplan": sjplan_grade(implants)},
        measures=measures,
        signs=_signs(session, scoring, reports, breach_mm),
        reports=reports,
    )


def rating(measures: Iterable[Rated], breach_mm: float, share_placed: float) -> float:
    """One number from 0 to 100: the weighted worth of all measures, in the upper half only where nothing is breached.

    Examples
    --------
    >>> good = [Rated("shots", "process", 6.0, 1.0, 1.0)]
    >>> rating(good, 0.0, 1.0), round(rating(good, 0.1, 1.0), 2), rating(good, 0.0, 0.0)
    (100.0, 49.99, 0.0)
    """
    counted_in = [(m.worth, m.weight) for m in measures if m.worth is not None]
    total = sum(weight for _, weight in counted_in)
    if share_placed <= 0.0 or total <= 0.0:
        return 0.0
    worth = share_placed * sum(worth * weight for worth, weight in counted_in) / total
    return CLEAN_FROM + (100.0 - CLEAN_FROM) * worth if breach_mm <= 0.0 else (CLEAN_FROM - 0.01) * worth


def judged(session: Session, wanted: Container[Side] = ()) -> dict[Side, MarginReport]:
    """The judge's report of each side that holds implants, from cranial to caudal.

    A side that was not asked for, and holds only what lay there from the start, is left out.
    """
    theatre = session.theatre
    found: dict[Side, MarginReport] = {}
    for side in get_args(Side):
        paths = cranial_first(session.state, side)
        touched = not all(session.was_given(implant) for implant in session.state.of_side(side))
        if paths and (touched or side in wanted):
            plan = Plan(side, paths, "by hand")
            found[side] = judge(plan, theatre.anatomy, theatre.limits, theatre.surfaces(side))
    return found


def cranial_first(state: State, side: Side) -> tuple[Trajectory, ...]:
    """Implants of one side in the order of a plan."""
    paths = [i.trajectory for i in state.of_side(side)]
    return tuple(sorted(paths, key=lambda t: -float(t.entry_lps_mm[2] + t.tip_lps_mm[2])))


def deepest_breach(implants: Iterable[ImplantMargins]) -> tuple[float, str]:
    """How deep the deepest true solid lies outside bone, and behind what; (0, "") where none does."""
    return breach_of(c for i in implants for c in i.clearances)


def sjplan_grade(implants: Iterable[ImplantMargins]) -> str:
    """The project's own grade, by envelopes: 0 at least 5 mm clear, 1 at least 2, 2 touching, 3 to 5 out.

    Entry of a foramen or of the canal is 5 at any depth (CLINICAL.md 5.3).
    """
    clearances = [c for i in implants for c in i.clearances if c.structure != "metal"]
    if not clearances:
        return "none"
    if any(c.distance_mm < 0.0 and c.structure.startswith(("foramen", "canal")) for c in clearances):
        return "5"
    margin = min(c.envelope_mm for c in clearances)
    steps = ((5.0, "0"), (2.0, "1"), (0.0, "2"), (-2.0, "3"), (-4.0, "4"))
    return next((grade for least, grade in steps if margin >= least), "5")


def _geometry(reports: Mapping[Side, MarginReport], wanted: Mapping[Side, Plan]) -> dict[str, float | None]:
    implants = [i for report in reports.values() for i in report.implants]
    pairs = [p for report in reports.values() for p in report.pairs]
    if not implants:
        return dict.fromkeys(
            ("margin_mm", "sacral_mm", "iliac_mm", "protrusion_off_mm", "articular_share", "spacing_mm",
             "tip_off_plan_mm", "angle_off_plan_deg")
        )  # fmt: skip
    off = [o for side, report in reports.items() if side in wanted for o in _off_plan(report, wanted[side])]
    spacings = [p.spacing_mm for p in pairs if np.isfinite(p.spacing_mm)]
    return {
        "margin_mm": min(i.margin_mm for i in implants),
        "sacral_mm": min(i.sacral_mm for i in implants),
        "iliac_mm": min(i.iliac_mm for i in implants),
        "protrusion_off_mm": max(_finite(abs(i.protrusion_mm - 3.0)) for i in implants),
        "articular_share": sum(i.crosses_articular for i in implants) / len(implants),
        "spacing_mm": min(spacings) if spacings else None,
        "tip_off_plan_mm": float(np.mean([tip for tip, _ in off])) if off else None,
        "angle_off_plan_deg": float(np.mean([turn for _, turn in off])) if off else None,
    }


def _finite(value: float) -> float:
    return value if np.isfinite(value) else 1e3


def _off_plan(report: MarginReport, plan: Plan) -> list[tuple[float, float]]:
    """Tip (mm) and angle (degrees) of each implant off its planned one, paired so that tips lie nearest in all."""
    own = [i.trajectory for i in report.implants]
    return [_apart(own[n], plan.trajectories[m]) for n, m in paired(own, plan.trajectories)]


def _apart(a: Trajectory, b: Trajectory) -> tuple[float, float]:
    turn = np.rad2deg(np.arccos(np.clip(a.axis @ b.axis, -1.0, 1.0)))
    return float(np.linalg.norm(a.tip_lps_mm - b.tip_lps_mm)), float(turn)


def _process(session: Session, asked: int) -> dict[str, float | None]:
    state, events = session.state, session.events
    return {
        "shots": state.shots / asked,
        "dose_area_ugy_m2": state.dose_area_ugy_m2 / asked,
        "redirections": state.redirections / asked,
        "perforations": state.perforations / asked,
        "near_misses": counted(events, "near-miss") / asked,
        "pins_harmed": counted(events, "pin-bent", "pin-broken", "pin-dragged") / asked,
        "minutes": state.seconds / 60.0 / asked,
        "views_true_share": views_true_share(session.theatre, events),
        "checked_share": checked_share(events),
    }


def _signs(
    session: Session, scoring: Scoring, reports: Mapping[Side, MarginReport], breach_mm: float
) -> tuple[Sign, ...]:
    found = _found_signs(session.events, reports, breach_mm)
    return tuple(
        Sign(name, tuple(found.get(name, ())), c.rate, c.modelled, c.source)
        for name, c in scoring.complications.items()
    )


def _found_signs(
    events: Iterable[Mapping[str, Any]], reports: Mapping[Side, MarginReport], breach_mm: float
) -> dict[str, list[str]]:
    hidden = [h for event in events for h in event.get("hidden", ())]
    implants = [(side, i) for side, report in reports.items() for i in report.implants]
    out = [
        (c.structure, f"{side} implant {i.slot} lies {raised(-c.distance_mm)} mm out behind {c.structure}")
        for side, i in implants
        for c in i.clearances
        if c.distance_mm < 0.0 and c.structure != "metal"
    ]
    by_pin = [(h["structure"], f"a pin came out at {h['structure']}") for h in hidden if h["event"] == "perforation"]
    lengths = [
        f"{side}: {v.text}"
        for side, report in reports.items()
        for v in report.violations
        if v.constraint.startswith(("sacral_length", "protrusion", "tip_"))
    ]
    forced = max((h["mm"] for h in hidden if h["event"] == "implant-forced"), default=0.0)
    borders = [c.distance_mm for _, i in implants for c in i.clearances if c.structure == "iliac_border"]
    split = forced > FORCED_MM and min(borders, default=np.inf) < BORDER_MM
    nerves = [text for name, text in out if name.startswith(NERVES)]
    return {
        "nerve-impingement": nerves,
        "nerve-root-revision": nerves if breach_mm >= 2.0 else [],
        "malposition": [text for _, text in out],
        "improper-length": lengths,
        "pin-bent-or-broken": [h["event"] for h in hidden if h["event"] in ("pin-bent", "pin-broken")],
        "pin-advancement": [f"{h['mm']:g} mm" for h in hidden if h["event"] == "pin-dragged"],
        "iliac-fracture": [f"an implant was forced {forced:g} mm beside the border"] if split else [],
        "vascular-injury": [text for name, text in (*out, *by_pin) if name in VESSELS],
    }
