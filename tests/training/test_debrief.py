"""A finished operation told again: every moment, every shot to the last bit, what the views hid, and what is off."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from training_support import implant, into_s1, pin_along, view

from sjplan.core.errors import InputError
from sjplan.core.plan import Plan
from sjplan.core.trajectory import Trajectory
from sjplan.training import actions as act
from sjplan.training.courses import course_clearance, pin_courses
from sjplan.training.debrief import Debrief, debrief
from sjplan.training.deviation import Deviation, deviation, paired
from sjplan.training.happenings import Moment, clock, happenings, timeline
from sjplan.training.moves import NEAR_MM, pose
from sjplan.training.process import arm_for
from sjplan.training.session import Session, replayed
from sjplan.training.state import State
from sjplan.training.theatre import Theatre
from sjplan.views.hides import Viewer, explain
from sjplan.xray.types import CArm


def test_every_moment_of_a_replay_is_there_with_its_state(told: Session) -> None:
    again = replayed(told.theatre, told.header, json.loads(json.dumps(told.events)))
    moments = timeline(again)
    assert [m.number for m in moments] == list(range(len(told.events)))
    assert [m.state.fingerprint for m in moments] == [e["state"] for e in told.events]
    assert moments[0].before.fingerprint == State().fingerprint
    for one, after in itertools.pairwise(moments):
        assert after.before is one.state
    refused = [m for m in moments if m.refused]
    assert refused
    assert all(m.state is m.before for m in refused)


def test_a_shot_comes_again_to_the_last_bit_when_all_has_changed(theatre: Theatre, plan: Plan) -> None:
    live = Session(theatre, 5, pixels=96)
    pin = pin_along(theatre, plan.side, plan.trajectories[0])
    moves = (
        act.MoveArm(orbital_deg=90.0), act.Shoot(), act.Shoot("single-shot"), pin, act.PushPin(200.0),
        act.Shoot(seconds=1.0), act.MoveArm(tilt_deg=20.0), act.TapPin(8, 1.0), act.Shoot(), act.WithdrawPin(300.0),
        act.MoveArm(),
    )  # fmt: skip
    taken = {n: image for n, move in enumerate(moves) if (image := live.step(move).image) is not None}
    assert list(taken) == [1, 2, 5, 8]
    blind = replayed(theatre, live.header, live.events)
    for number, image in taken.items():
        for session in (live, blind):
            again = session.shot(number, 96)
            assert np.array_equal(again.signal, image.signal)
            assert np.array_equal(again.line_integral, image.line_integral)
            assert again.exposure == image.exposure
    assert blind.shot(1).detector.rows == blind.pixels
    assert not np.array_equal(live.shot(1).signal, live.shot(5).signal)
    for number, wrong in ((0, "event 0, move-arm"), (99, "no such event"), (-1, "no such event")):
        with pytest.raises(InputError, match=wrong):
            live.shot(number)


def test_a_refused_shot_is_no_picture(told: Session) -> None:
    over = replayed(told.theatre, told.header, told.events)
    over.step(act.Shoot())
    with pytest.raises(InputError, match="took a radiograph"):
        over.shot(len(over.events) - 1)


def test_what_happened_is_told_in_order_with_the_structures_in_words(told: Session, found: Debrief) -> None:
    hidden = [h for event in told.events for h in event.get("hidden", ())]
    kinds = [h.kind for h in found.happenings]
    for name in {h["event"] for h in hidden}:
        assert kinds.count(name) == sum(h["event"] == name for h in hidden)
    assert kinds.count("redirection") == told.state.redirections == 2
    assert kinds.count("implant") == 2
    assert [h.number for h in found.happenings] == sorted(h.number for h in found.happenings)
    texts = " ".join(h.text for h in found.happenings)
    assert f"of a danger: S1 foramen, {told.state.implants[0].side}." in texts
    assert f"Pin 2 ({told.state.implants[0].side}) was turned after it had touched bone" in texts
    assert "foramen_" not in texts
    for h in found.happenings:
        assert h.seconds == told.events[h.number]["seconds"]
        assert h.text[0].isupper()
        assert h.text.endswith(".")


def moment(*hidden: dict[str, object], **changes: object) -> Moment:
    return Moment(0, act.TapPin(), State(), replace(State(), **changes), "", hidden)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hidden", "gravity", "words"),
    [
        ({"event": "perforation", "structure": "canal", "mm": 0.4}, "bad", "out of the bone at this danger: sacral"),
        ({"event": "perforation", "structure": "notch", "mm": 14.2}, "bad", "14 mm from the nearest danger: greater"),
        ({"event": "near-miss", "structure": "foramen_S2_left", "mm": 1.25}, "near", "within 1.2 mm of a danger: S2"),
        ({"event": "pin-bent", "deg": 9.4}, "near", "bent by 9 degrees for good"),
        ({"event": "pin-broken"}, "bad", "broke"),
        ({"event": "pin-dragged", "mm": 1.8}, "near", "carried pin 0 () 1.8 mm deeper"),
        ({"event": "implant-forced", "mm": 6.0}, "near", "forced through 6 mm"),
        ({"event": "path-given-up", "mm": 15.0}, "note", "drilled to 15 mm, was given up"),
        ({"event": "drill-jammed", "deg": 3}, "note", "drill jammed (deg 3)"),
    ],
)
def test_every_hidden_event_has_its_sentence(hidden: dict[str, object], gravity: str, words: str) -> None:
    (told,) = happenings((moment(hidden),))
    assert told.kind == hidden["event"]
    assert told.gravity == gravity
    assert words in told.text
    assert told.structure == hidden.get("structure", "")


def test_clock_counts_minutes() -> None:
    assert [clock(s) for s in (0.0, 59.9, 60.0, 4000.0)] == ["00:00", "00:59", "01:00", "66:40"]


def test_pins_took_the_ways_that_the_states_show(told: Session, found: Debrief) -> None:
    tissue = told.theatre.tissue
    ends = [(c.pin, c.end) for c in found.courses]
    assert ends[0] == (1, "implant")
    assert ends[-1] == (3, "implant")
    assert {(2, "turned"), (2, "taken out")} & set(ends)
    for course in found.courses:
        pin = found.moments[course.last].state.pin or found.moments[course.last].before.pin
        assert pin is not None
        assert np.allclose(np.cross(course.tip_lps_mm - course.entry_lps_mm, pin.axis), 0.0, atol=1e-6)
        assert tissue.bone(course.entry_lps_mm[None])[0] > 0
        assert course.first <= course.last
        along = course_clearance(told.theatre, course)
        assert len(along.along_mm) == max(1, round(course.trajectory.length_mm))
        assert f"pin {course.pin} ({course.side})" in course.text
    for placed, course in zip(told.state.implants, [c for c in found.courses if c.end == "implant"], strict=True):
        assert np.linalg.norm(course.entry_lps_mm - placed.passage.entry_lps_mm) < 0.5
    assert pin_courses(told.theatre, ()) == ()


def test_the_implant_in_the_foramen_is_found_there_and_the_chart_agrees(found: Debrief, plan: Plan) -> None:
    first, last = found.implants
    assert first.name == f"{plan.side} implant 1"
    breaches = {s.structure: s for s in first.seen if s.breach}
    assert f"foramen_S1_{plan.side}" in breaches
    assert first.clearance.least_mm == pytest.approx(first.margins.margin_mm, abs=0.4)
    assert last.clearance.least_mm == pytest.approx(last.margins.margin_mm, abs=0.002)
    assert not any(s.breach for s in last.seen)
    assert (last.seen == ()) == (last.margins.margin_mm >= NEAR_MM)


def test_shots_that_showed_it_and_those_that_hid_it_are_what_the_view_hides(told: Session, found: Debrief) -> None:
    theatre, first = told.theatre, found.implants[0]
    for seen in first.seen:
        poses = {str(s.number): pose(theatre, found.moments[s.number].state.arm) for s in seen.shots}
        asked = [c for c in first.margins.clearances if c.structure == seen.structure]
        (sight,) = explain(
            theatre.anatomy, [(first.margins.trajectory, first.margins.crossing_lps_mm, asked)], poses, standard=()
        )
        assert sight.breach
        assert {str(s.number) for s in seen.shots if s.verdict == "showed"} == set(sight.shown_on)
        assert {str(s.number) for s in seen.shots if s.verdict == "hid"} == set(sight.hidden_on)
        assert all(math.isnan(s.clearance_mm) for s in seen.shots if s.verdict == "no edge")
    at_foramen = next(s for s in first.seen if s.structure.startswith("foramen_S1"))
    taken = [n for n, e in enumerate(told.events) if e["action"]["do"] == "shoot"]
    # Pin and implant in inlet, outlet and ap, and the two inlets of the last implant: every shot held the first one.
    assert [s.number for s in at_foramen.shots] == taken
    assert [s.implant_in for s in at_foramen.shots] == [False] * 3 + [True] * 5
    assert all(math.isfinite(s.pin_mm) != s.implant_in for s in at_foramen.shots if s.view == "outlet")
    outlets = [s for s in at_foramen.shots if s.view == "outlet"]
    assert [s.verdict for s in outlets] == ["showed", "showed"]
    assert "outlet with its pin: shows it" in outlets[0].text
    assert f"of {len(taken)} shots of it" in at_foramen.text
    last = found.implants[1]
    assert all(s.number > at_foramen.shots[3].number for seen in last.seen for s in seen.shots)


def test_the_telling_view_tells_and_its_numbers_bring_the_arm_there(told: Session, found: Debrief) -> None:
    theatre, first = told.theatre, found.implants[0]
    at_foramen = next(s for s in first.seen if s.structure.startswith("foramen_S1"))
    telling = at_foramen.telling
    assert telling is not None
    assert telling.clearance_mm < 0.0
    assert telling.arm is not None
    there = pose(theatre, telling.arm)
    crossing = first.margins.crossing_lps_mm
    assert crossing is not None
    shown = Viewer(theatre.anatomy).clearance_mm(first.margins.trajectory, crossing, at_foramen.structure, there)
    assert shown == pytest.approx(telling.clearance_mm, abs=0.6)
    assert telling.name in telling.text
    assert f"tilt {telling.carm.tilt_deg:.0f}" in telling.text


def test_an_arm_that_cannot_go_there_is_not_sent(theatre: Theatre) -> None:
    carm = theatre.start
    assert arm_for(theatre, carm) == act.MoveArm()
    over = CArm(179.0, 0.0, 0.0, carm.isocentre_lps_mm, carm.source_to_isocentre_mm, carm.source_to_detector_mm)
    assert arm_for(theatre, over) is None
    turned = act.MoveArm(30.0, -10.0, 5.0, 10.0, -5.0, 20.0)
    back = arm_for(theatre, pose(theatre, turned))
    assert back is not None
    assert [getattr(back, n) for n in turned.__slots__] == pytest.approx([getattr(turned, n) for n in turned.__slots__])


def test_a_place_outside_the_picture_tells_nothing(theatre: Theatre, plan: Plan) -> None:
    session = Session(theatre, 3, images=False)
    implant(session, plan.side, into_s1(theatre, plan))
    assert session.step(act.MoveArm(along_mm=theatre.maker.device.along_mm[0])).refused is None
    session.step(act.Shoot())
    view(session, "outlet")
    seen = [s for s in debrief(session).implants[0].seen if s.structure.startswith("foramen_S1")]
    assert [s.verdict for s in seen[0].shots] == ["outside", "showed"]


def test_deviations_are_those_worked_out_by_hand(theatre: Theatre, plan: Plan) -> None:
    frame, path = theatre.anatomy.frame, plan.trajectories[0]
    by = 3.0 * frame.cranial - 4.0 * frame.posterior
    moved = replace(path, entry_lps_mm=path.entry_lps_mm + by, tip_lps_mm=path.tip_lps_mm + by)
    off = deviation(moved, path, plan.side, frame)
    assert (off.entry_mm, off.tip_mm) == pytest.approx((5.0, 5.0))
    assert (off.cranial_mm, off.ventral_mm) == pytest.approx((3.0, 4.0))
    assert abs(off.medial_mm) < 1e-9
    assert off.angle_deg == pytest.approx(0.0, abs=1e-5)
    deeper = replace(path, tip_lps_mm=path.tip_lps_mm + 5.0 * path.axis)
    assert deviation(deeper, path, plan.side, frame).medial_mm > 3.0
    assert "5.0 mm off the plan (3.0 cranial, 4.0 ventral)" in off.text
    assert "off planned implant 3 (" in replace(off, planned_slot=3).text
    assert Deviation(1, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0).text.startswith("tip 0.0 mm off the plan, entry")


def test_implants_are_paired_with_the_plan_by_their_tips(plan: Plan) -> None:
    one, two, three = plan.trajectories

    def near(path: Trajectory) -> Trajectory:
        return replace(path, tip_lps_mm=path.tip_lps_mm + 1.0)

    assert paired([near(three), near(one)], [one, two, three]) == ((0, 2), (1, 0))
    assert paired([near(two), near(three), near(one)], [one, three]) == ((1, 1), (2, 0))
    assert paired([], [one]) == ()


def test_deviation_from_the_plan_is_the_score_s(found: Debrief, plan: Plan) -> None:
    for told in found.implants:
        assert told.deviation is not None
        wanted = plan.trajectories[told.deviation.planned_slot - 1]
        tip = np.linalg.norm(told.margins.trajectory.tip_lps_mm - wanted.tip_lps_mm)
        assert told.deviation.tip_mm == pytest.approx(tip)
        assert told.deviation.text in told.text


def test_nothing_done_is_nothing_told(theatre: Theatre) -> None:
    nothing = debrief(Session(theatre, 0, images=False))
    assert (nothing.moments, nothing.happenings, nothing.courses, nothing.implants) == ((), (), (), ())
