"""Scores worked out by hand, and that no speed outweighs a breach."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan
from sjplan.core.scoring import Scoring
from sjplan.core.trajectory import Trajectory
from sjplan.io.scoring import read_scoring
from sjplan.safety.judge import judge
from sjplan.training import actions as act
from sjplan.training.given import earlier
from sjplan.training.process import checked_share, counted, views_true_share
from sjplan.training.score import CLEAN_FROM, Rated, ScoreSheet, rating, score
from sjplan.training.session import Session
from sjplan.training.state import Implanted, Passage, State
from sjplan.training.theatre import Theatre
from sjplan.views.patient import views_of_anatomy


@pytest.fixture(scope="module")
def scoring() -> Scoring:
    return read_scoring()


def ended(theatre: Theatre, plan: Plan, *paths: Trajectory, **changes: float) -> Session:
    """An operation that left these implants."""
    session = Session(theatre, 0, images=False)
    placed = tuple(Implanted(plan.side, t, Passage(plan.side, t.entry_lps_mm, t.axis)) for t in paths)
    session.state = replace(State(), implants=placed, finished=True, **changes)  # type: ignore[arg-type]
    return session


def moved(path: Trajectory, by_mm: np.ndarray) -> Trajectory:
    return replace(path, entry_lps_mm=path.entry_lps_mm + by_mm, tip_lps_mm=path.tip_lps_mm + by_mm)


def through_s1(theatre: Theatre, plan: Plan) -> Trajectory:
    """The first implant brought down into the S1 foramen."""
    foramen = theatre.anatomy.foramen("S1", plan.side)
    assert foramen is not None
    path = plan.trajectories[0]
    middle = foramen.lumen_lps_mm.mean(axis=0)
    off = middle - path.entry_lps_mm
    return moved(path, off - (off @ path.axis) * path.axis)


def sheet(session: Session, scoring: Scoring, plan: Plan) -> ScoreSheet:
    return score(session, scoring, {plan.side: plan})


def test_the_plan_itself_is_clean_and_on_the_plan(theatre: Theatre, planned: Plan, scoring: Scoring) -> None:
    session = ended(theatre, planned, *planned.trajectories, shots=24, redirections=3, seconds=2700.0)
    found = sheet(session, scoring, planned)
    report = judge(planned, theatre.anatomy, theatre.limits)
    assert report.accepted
    assert (found.breach_mm, found.breached) == (0.0, "")
    assert found.value("margin_mm") == pytest.approx(min(i.margin_mm for i in report.implants))
    bounds = [c.lower_bound_mm for i in report.implants for c in i.clearances]
    assert found.lower_bound_mm == pytest.approx(min(bounds))
    assert found.lower_bound_mm < min(c.distance_mm for i in report.implants for c in i.clearances)
    assert found.value("sacral_mm") == pytest.approx(min(i.sacral_mm for i in report.implants))
    assert found.value("tip_off_plan_mm") == pytest.approx(0.0, abs=1e-9)
    assert found.value("angle_off_plan_deg") == pytest.approx(0.0, abs=1e-4)
    assert found.value("spacing_mm") == pytest.approx(min(p.spacing_mm for p in report.pairs))
    assert (found.value("shots"), found.value("redirections"), found.value("minutes")) == (8.0, 1.0, 15.0)
    worth = {m.name: m.worth for m in found.measures}
    assert worth["shots"] == 1.0
    assert worth["redirections"] == pytest.approx(2.0 / 3.0)
    assert worth["views_true_share"] is None
    assert found.grades["gertzbein-robbins"] == "A"
    assert found.grades["sjplan"] in ("0", "1")
    assert found.rating > 75.0
    by_hand = [(m.worth, m.weight) for m in found.measures if m.worth is not None]
    mean = sum(w * k for w, k in by_hand) / sum(k for _, k in by_hand)
    assert found.rating == pytest.approx(50.0 + 50.0 * mean)
    assert not [s.complication for s in found.signs if s.signs]


def test_an_implant_in_a_foramen_is_graded_named_and_below_every_clean_one(
    theatre: Theatre, planned: Plan, scoring: Scoring
) -> None:
    paths = (through_s1(theatre, planned), *planned.trajectories[1:])
    fast = ended(theatre, planned, *paths, shots=3, seconds=300.0)
    slow = ended(
        theatre, planned, *planned.trajectories, shots=200, redirections=20, perforations=5, seconds=20_000.0,
        dose_area_ugy_m2=1000.0,
    )  # fmt: skip
    breached, clean = sheet(fast, scoring, planned), sheet(slow, scoring, planned)
    assert breached.breach_mm > 1.0
    assert breached.grades["sjplan"] == "5"
    assert breached.grades["gertzbein-robbins"] != "A"
    assert breached.rating < CLEAN_FROM <= clean.rating
    signs = {s.complication: s for s in breached.signs}
    assert any(f"foramen_S1_{planned.side}" in text for text in signs["nerve-impingement"].signs)
    assert signs["nerve-impingement"].rate == pytest.approx(48 / 5319)
    assert bool(signs["nerve-root-revision"].signs) == (breached.breach_mm >= 2.0)
    assert signs["malposition"].signs
    assert not signs["halo"].signs
    assert not signs["halo"].modelled


def test_too_short_and_too_proud_are_signs_of_improper_length(
    theatre: Theatre, planned: Plan, scoring: Scoring
) -> None:
    first = planned.trajectories[0]
    proud = moved(first, -20.0 * first.axis)
    found = sheet(ended(theatre, planned, proud, *planned.trajectories[1:]), scoring, planned)
    (sign,) = [s for s in found.signs if s.complication == "improper-length"]
    assert any("protrusion" in text for text in sign.signs)
    assert found.value("protrusion_off_mm") == pytest.approx(
        abs(judge(planned, theatre.anatomy, theatre.limits).implants[0].protrusion_mm + 20.0 - 3.0), abs=1.0
    )
    assert found.value("tip_off_plan_mm") == pytest.approx(20.0 / 3.0)


def test_what_was_asked_for_and_not_done_counts(theatre: Theatre, planned: Plan, scoring: Scoring) -> None:
    whole = sheet(ended(theatre, planned, *planned.trajectories), scoring, planned)
    part = sheet(ended(theatre, planned, *planned.trajectories[:1]), scoring, planned)
    nothing = sheet(ended(theatre, planned), scoring, planned)
    assert CLEAN_FROM <= part.rating < whole.rating
    assert nothing.rating == 0.0
    assert nothing.value("margin_mm") is None
    assert nothing.lower_bound_mm is None
    assert nothing.grades["sjplan"] == "none"
    with pytest.raises(InputError, match="a plan for each side"):
        score(ended(theatre, planned), scoring, {})


def test_what_lay_there_from_the_start_counts_where_it_was_asked_for(
    theatre: Theatre, planned: Plan, scoring: Scoring
) -> None:
    """A revision of one of three: rated for the one; and an earlier operation of the other side rates nobody."""
    bad = through_s1(theatre, planned)
    before = tuple(earlier(planned.side, path, 3.0) for path in (*planned.trajectories[1:], bad))
    session = Session(theatre, 0, given=before, images=False)
    left_in = sheet(session, scoring, planned)
    assert left_in.breach_mm > 0.0
    assert left_in.rating < CLEAN_FROM
    new = earlier(planned.side, planned.trajectories[0], 3.0)
    session.state = replace(session.state, implants=(*before[:2], new), shots=8, finished=True)
    replaced = sheet(session, scoring, planned)
    assert (replaced.breach_mm, replaced.value("shots")) == (0.0, 8.0)
    assert replaced.value("tip_off_plan_mm") == pytest.approx(0.0, abs=1e-9)
    alone = sheet(ended(theatre, planned, *planned.trajectories, shots=24), scoring, planned)
    assert replaced.rating == pytest.approx(alone.rating)
    other = replace(planned, side="right")
    elsewhere = score(Session(theatre, 0, given=before, images=False), scoring, {"right": other})
    assert (elsewhere.reports, elsewhere.breach_mm, elsewhere.rating) == ({}, 0.0, 0.0)


WORTHS = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.01, 10.0)), min_size=1, max_size=17)


@given(WORTHS, WORTHS, st.floats(0.01, 30.0), st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_no_breach_outranks_a_clean_construct(
    clean: list[tuple[float, float]], breached: list[tuple[float, float]], mm: float, a: float, b: float
) -> None:
    def rated(pairs: list[tuple[float, float]]) -> list[Rated]:
        return [Rated("x", "process", worth, worth, weight) for worth, weight in pairs]

    assert 0.0 <= rating(rated(breached), mm, a) < CLEAN_FROM <= rating(rated(clean), 0.0, b) <= 100.0


def events(*words: str) -> list[dict]:
    """A log in short: i, o and l move to inlet, outlet and lateral and shoot, other words are actions."""
    arms = {"i": {"tilt_deg": -25.0}, "o": {"tilt_deg": 40.0}, "l": {"orbital_deg": 90.0}}
    log: list[dict] = []
    for word in words:
        if word in arms:
            log.append({"action": act.as_dict(act.MoveArm(**arms[word]))})
            log.append({"action": act.as_dict(act.Shoot())})
        else:
            log.append({"action": {"do": word}})
    return log


def test_a_pin_is_checked_where_both_views_showed_it() -> None:
    both = events("place-pin", "tap-pin", "i", "tap-pin", "o", "drill", "insert")
    one = events("place-pin", "i", "tap-pin", "i", "drill", "drill", "insert")
    before = events("i", "o", "place-pin", "tap-pin", "drill", "insert")
    assert [checked_share(log) for log in (both, one, before)] == [1.0, 0.0, 0.0]
    assert checked_share(both + one) == 0.5
    assert checked_share(events("i", "o")) is None
    refused = [*one[:-2], {"action": {"do": "drill"}, "refused": "why"}]
    assert checked_share(refused) == 0.0


def test_true_views_are_told_from_untrue_ones(theatre: Theatre) -> None:
    views = views_of_anatomy(theatre.anatomy, theatre.maker.device.source_to_isocentre_mm)

    def log(turn_deg: float) -> list[dict]:
        found = []
        for name in ("inlet", "outlet"):
            view = views[name]
            travel = view.isocentre_lps_mm - theatre.start.isocentre_lps_mm
            tilt = view.tilt_deg + turn_deg
            arm = act.MoveArm(view.orbital_deg, tilt, view.wig_wag_deg, *(float(t) for t in travel))
            found += [{"action": act.as_dict(arm)}, {"action": act.as_dict(act.Shoot())}]
        return found

    assert views_true_share(theatre, log(0.0)) == 1.0
    assert views_true_share(theatre, log(14.0)) == 0.0
    assert views_true_share(theatre, events("drill")) is None


def test_hidden_events_are_counted_by_name() -> None:
    log = [{"hidden": [{"event": "near-miss"}, {"event": "pin-bent"}]}, {}, {"hidden": [{"event": "near-miss"}]}]
    assert (counted(log, "near-miss"), counted(log, "pin-bent", "pin-broken"), counted(log, "x")) == (2, 1, 0)
