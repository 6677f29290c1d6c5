"""Implants laid by hand: every move does what its name says, comes back, and is judged; drafts go through plan.json."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_support import into_s1

from sjplan.core.errors import InputError
from sjplan.core.plan import BY_HAND, Plan
from sjplan.core.trajectory import Trajectory
from sjplan.io.cases import Case
from sjplan.io.catalogue import read_implants
from sjplan.io.planfile import plan_from_entry, read_plan, write_plan
from sjplan.report.data import ReportData
from sjplan.report.html import report_html
from sjplan.safety.judge import judge, view_angles_deg
from sjplan.safety.live import LiveJudge
from sjplan.safety.measures import axis_passage
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.testing.problems import phantom_labels
from sjplan.training.templating import (
    LEAST_APART_MM,
    MOST_KEPT,
    PROTRUSION_MM,
    Draft,
    Stack,
    across,
    added,
    aimed,
    cranial_first,
    dragged,
    moved,
    remodelled,
    removed,
    resized,
    rolled,
    turned,
    with_most_room,
)
from sjplan.training.templating_files import compared, draft_entry, draft_from_entry, drafts_file, drafts_from_file
from sjplan.training.theatre import Theatre


@pytest.fixture(scope="module")
def plan() -> Plan:
    """An accepted plan of the contract's phantom, as a raster search found it."""
    model = read_implants()["tri-7"]
    paths = (
        Trajectory((69.797, 20.283, -0.374), (25.121, 15.897, 2.756), 0.0, model),
        Trajectory((79.479, 20.457, -19.9), (35.63, 16.345, -10.657), 60.0, model),
        Trajectory((65.951, 34.013, -31.446), (31.438, 31.134, -26.39), 0.0, model),
    )
    return Plan("left", paths, "raster")


@pytest.fixture(scope="module")
def draft(plan: Plan) -> Draft:
    return Draft(plan.side, plan.trajectories)


@pytest.fixture(scope="module")
def surfaces(theatre: Theatre, plan: Plan) -> MeasuringSurfaces:
    return theatre.surfaces(plan.side)


@pytest.fixture(scope="module")
def live(theatre: Theatre, surfaces: MeasuringSurfaces) -> LiveJudge:
    return LiveJudge(surfaces, theatre.limits)


def ends(path: Trajectory) -> np.ndarray:
    return np.concatenate([path.entry_lps_mm, path.tip_lps_mm])


MM = st.floats(-20.0, 20.0)
DEG = st.floats(-15.0, 15.0)


@given(MM, MM, MM, st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_a_parallel_move_goes_where_it_says_and_back(
    surfaces: MeasuringSurfaces, draft: Draft, cranial: float, ventral: float, deeper: float, slot: int
) -> None:
    frame, before = surfaces.anatomy.frame, draft.path(slot)
    after = moved(draft, slot, frame, cranial_mm=cranial, ventral_mm=ventral, deeper_mm=deeper)
    path = after.path(slot)
    shift = path.tip_lps_mm - before.tip_lps_mm
    assert shift == pytest.approx(path.entry_lps_mm - before.entry_lps_mm, abs=1e-9)
    assert path.axis == pytest.approx(before.axis)
    up, fore = across(before.axis, frame)
    assert [shift @ up, shift @ fore, shift @ before.axis] == pytest.approx([cranial, ventral, deeper], abs=1e-9)
    assert [a is b for a, b in zip(after.paths, draft.paths, strict=True)] == [n != slot for n in (1, 2, 3)]
    back = moved(after, slot, frame, cranial_mm=-cranial, ventral_mm=-ventral, deeper_mm=-deeper)
    assert ends(back.path(slot)) == pytest.approx(ends(before), abs=1e-9)


def test_directions_are_the_patient_s_on_both_sides(surfaces: MeasuringSurfaces, plan: Plan) -> None:
    frame = surfaces.anatomy.frame
    mirror = np.diag([-1.0, 1.0, 1.0])
    for axis in (plan.trajectories[0].axis, mirror @ plan.trajectories[0].axis):
        up, fore = across(axis, frame)
        assert up @ frame.cranial > 0.8
        assert fore @ frame.posterior < -0.8
        assert np.stack([up, fore, axis]) @ np.stack([up, fore, axis]).T == pytest.approx(np.eye(3), abs=1e-12)


@given(DEG, DEG, st.sampled_from(["joint", "entry", "tip"]), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_a_turn_changes_both_angles_by_so_much_about_what_stays(
    surfaces: MeasuringSurfaces, draft: Draft, cranial: float, ventral: float, about: str, slot: int
) -> None:
    before = draft.path(slot)
    after = turned(draft, slot, surfaces, cranial_deg=cranial, ventral_deg=ventral, about=about)  # type: ignore[arg-type]
    path = after.path(slot)
    angles = view_angles_deg(path, surfaces.anatomy, draft.side)
    was = view_angles_deg(before, surfaces.anatomy, draft.side)
    assert np.subtract(angles, was) == pytest.approx([cranial, ventral], abs=1e-9)
    assert path.length_mm == pytest.approx(before.length_mm)
    crossing = axis_passage(surfaces, before).crossing_mm
    assert crossing is not None
    stays = {"entry": 0.0, "tip": before.length_mm, "joint": crossing}[about]
    assert path.entry_lps_mm + stays * path.axis == pytest.approx(before.entry_lps_mm + stays * before.axis, abs=1e-9)
    if about != "joint":
        back = turned(after, slot, surfaces, cranial_deg=-cranial, ventral_deg=-ventral, about=about)  # type: ignore[arg-type]
        assert ends(back.path(slot)) == pytest.approx(ends(before), abs=1e-8)


def test_what_crosses_no_joint_turns_about_its_middle(surfaces: MeasuringSurfaces, draft: Draft) -> None:
    out = dragged(draft, 1, surfaces.anatomy.frame, 60.0 * surfaces.anatomy.frame.posterior)
    after = turned(out, 1, surfaces, cranial_deg=10.0)
    middles = [0.5 * (d.path(1).entry_lps_mm + d.path(1).tip_lps_mm) for d in (out, after)]
    assert middles[0] == pytest.approx(middles[1])


def test_dragging_and_aiming(surfaces: MeasuringSurfaces, draft: Draft) -> None:
    frame, path = surfaces.anatomy.frame, draft.path(2)
    assert ends(dragged(draft, 2, frame, (1.0, -2.0, 3.0)).path(2)) - ends(path) == pytest.approx([1, -2, 3, 1, -2, 3])
    aside = np.array([0.0, 8.0, -5.0])
    target = path.tip_lps_mm + aside
    by_tip = aimed(draft, 2, frame, "tip", target).path(2)
    assert by_tip.entry_lps_mm == pytest.approx(path.entry_lps_mm)
    assert np.cross(by_tip.axis, target - path.entry_lps_mm) == pytest.approx(np.zeros(3), abs=1e-9)
    assert by_tip.length_mm == pytest.approx(path.length_mm)
    by_entry = aimed(draft, 2, frame, "entry", path.entry_lps_mm + aside).path(2)
    assert by_entry.tip_lps_mm == pytest.approx(path.tip_lps_mm)
    assert by_entry.length_mm == pytest.approx(path.length_mm)
    with pytest.raises(InputError, match="the place of the other end"):
        aimed(draft, 2, frame, "tip", path.entry_lps_mm)


def test_roll_length_and_model(theatre: Theatre, surfaces: MeasuringSurfaces, draft: Draft) -> None:
    frame, path = surfaces.anatomy.frame, draft.path(1)
    assert rolled(rolled(draft, 1, 50.0), 1, -50.0).path(1).roll_deg == pytest.approx(path.roll_deg)
    assert abs(rolled(draft, 1, 350.0).path(1).roll_deg) <= 180.0
    other = next(mm for mm in path.model.lengths_mm if abs(mm - path.length_mm) > 1.0)
    longer = resized(draft, 1, frame, other).path(1)
    assert longer.length_mm == pytest.approx(other)
    assert longer.entry_lps_mm == pytest.approx(path.entry_lps_mm)
    assert longer.axis == pytest.approx(path.axis)
    with pytest.raises(InputError, match=r"found 41\.7 mm; wanted 30"):
        resized(draft, 1, frame, 41.7)
    model = next(m for m in theatre.models.values() if m.id != path.model.id)
    new = remodelled(draft, 1, frame, model).path(1)
    assert new.model is model
    assert new.in_catalogue
    assert new.entry_lps_mm == pytest.approx(path.entry_lps_mm)
    nearest = min(model.lengths_mm, key=lambda mm: abs(mm - path.length_mm))
    assert new.length_mm == pytest.approx(nearest)


def test_a_new_implant_goes_through_the_joint_and_the_next_lies_beside_it(
    theatre: Theatre, surfaces: MeasuringSurfaces, plan: Plan, live: LiveJudge
) -> None:
    model = plan.trajectories[0].model
    one = added(Draft(plan.side), surfaces, model, 40.0)
    two = added(one, surfaces, model, 35.0)
    for path in two.paths:
        passage = axis_passage(surfaces, path)
        assert passage.lateral_mm == pytest.approx(PROTRUSION_MM, abs=0.01)
    assert axis_passage(surfaces, two.path(1)).crossing_mm is not None
    assert [p.length_mm for p in two.paths] == pytest.approx([40.0, 35.0])
    assert two.path(2).axis == pytest.approx(two.path(1).axis)
    apart = np.linalg.norm(np.cross(two.path(2).entry_lps_mm - two.path(1).entry_lps_mm, two.path(1).axis))
    assert apart == pytest.approx(20.0)
    assert live.report(two.paths).pairs[0].angle_deg == pytest.approx(0.0, abs=1e-5)
    three = added(two, surfaces, model, 35.0)
    with pytest.raises(InputError, match="at most 3 a side"):
        added(three, surfaces, model, 35.0)
    with pytest.raises(InputError, match="found 33 mm"):
        added(one, surfaces, model, 33.0)
    assert [p is q for p, q in zip(removed(three, 2).paths, (three.path(1), three.path(3)), strict=True)] == [True] * 2


def test_a_new_implant_is_laid_where_there_is_most_room_near_by(
    surfaces: MeasuringSurfaces, plan: Plan, live: LiveJudge
) -> None:
    model, frame = plan.trajectories[0].model, surfaces.anatomy.frame
    one = added(Draft(plan.side), surfaces, model, 45.0)
    roomy = with_most_room(one, 1, live)
    seen = live.glance(1, roomy.path(1))
    assert seen.crosses
    assert seen.near[0].slack_mm > live.glance(1, one.path(1)).near[0].slack_mm
    assert roomy.path(1).axis == pytest.approx(one.path(1).axis)
    two = with_most_room(added(roomy, surfaces, model, 35.0), 2, live)
    apart = np.cross(two.path(2).entry_lps_mm - two.path(1).entry_lps_mm, two.path(1).axis)
    assert np.linalg.norm(apart) >= LEAST_APART_MM
    assert two.path(1) is roomy.path(1)
    out = dragged(one, 1, frame, 150.0 * frame.posterior)
    assert with_most_room(out, 1, live) is out, "where there is none it stays"


def test_implants_moved_past_each_other_keep_their_places_and_the_judge_says_so(
    surfaces: MeasuringSurfaces, draft: Draft, live: LiveJudge
) -> None:
    swapped = Draft(draft.side, draft.paths[::-1])
    assert any(v.constraint == "order" for v in live.report(swapped.paths).violations)
    sorted_again = cranial_first(swapped, surfaces.anatomy.frame)
    assert [p.entry_lps_mm.tolist() for p in sorted_again.paths] == [p.entry_lps_mm.tolist() for p in draft.paths]


def test_live_numbers_are_the_judge_s(
    theatre: Theatre, surfaces: MeasuringSurfaces, draft: Draft, live: LiveJudge
) -> None:
    changed = moved(draft, 2, surfaces.anatomy.frame, ventral_mm=1.0)
    report, whole = live.report(changed.paths), judge(changed.plan, theatre.anatomy, theatre.limits)
    for ours, theirs in zip(report.implants, whole.implants, strict=True):
        assert (ours.slot, ours.slack_mm, ours.binding.structure) == (
            theirs.slot, theirs.slack_mm, theirs.binding.structure,
        )  # fmt: skip
    assert [v.text for v in report.violations] == [v.text for v in whole.violations]


@pytest.mark.parametrize(
    ("move", "wrong"),
    [
        (lambda d, s: moved(d, 4, s.anatomy.frame), "slot: found 4; wanted 1 to 3"),
        (lambda d, s: moved(d, True, s.anatomy.frame), "slot: found True"),
        (lambda d, s: removed(Draft(d.side), 1), "the draft has none yet"),
        (lambda d, s: moved(d, 1, s.anatomy.frame, cranial_mm=float("nan")), "cranial_mm: found nan"),
        (lambda d, s: moved(d, 1, s.anatomy.frame, deeper_mm=101.0), "wanted a number from -100 to 100"),
        (lambda d, s: moved(d, 1, s.anatomy.frame, deeper_mm="3"), "deeper_mm: found '3'"),
        (lambda d, s: dragged(d, 1, s.anatomy.frame, (900.0, 0.0, 0.0)), "mm off the pelvis"),
        (lambda d, s: aimed(d, 1, s.anatomy.frame, "middle", (0, 0, 0)), "wanted entry or tip"),
        (lambda d, s: turned(d, 1, s, cranial_deg=90.0), "wanted at most 75 degrees"),
        (lambda d, s: turned(d, 1, s, about="tail"), "wanted joint, entry or tip"),
        (lambda d, s: rolled(d, 1, float("inf")), "degrees: found inf"),
        (lambda d, s: Draft(d.side, (*d.paths, d.path(1))), "found 4 implants"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    surfaces: MeasuringSurfaces, draft: Draft, move: object, wrong: str
) -> None:
    with pytest.raises(InputError, match=wrong) as caught:
        move(draft, surfaces)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_undo_and_redo(surfaces: MeasuringSurfaces, draft: Draft) -> None:
    stack = Stack(draft)
    drafts = [draft]
    for n in range(5):
        drafts.append(moved(stack.draft, 1 + n % 3, surfaces.anatomy.frame, cranial_mm=1.0))
        stack = stack.done(drafts[-1])
    back = stack.undone().undone()
    assert back.draft is drafts[3]
    assert back.redone().redone().draft is drafts[5]
    other = back.done(draft)
    assert other.redone() is other
    assert other.undone().draft is drafts[3]
    for _ in range(9):
        back = back.undone()
    assert back.draft is draft
    for _ in range(MOST_KEPT + 5):
        stack = stack.done(draft)
    assert len(stack.past) == MOST_KEPT


def test_a_draft_beside_the_certified_plan(
    theatre: Theatre, surfaces: MeasuringSurfaces, plan: Plan, draft: Draft, live: LiveJudge
) -> None:
    planned_report = judge(plan, theatre.anatomy, theatre.limits)
    off = moved(draft, 1, surfaces.anatomy.frame, cranial_mm=3.0, ventral_mm=4.0)
    found = compared(live.report(off.paths), planned_report, surfaces.anatomy.frame, bound_mm=3.0)
    first = found.implants[0]
    assert (first.deviation.tip_mm, first.deviation.entry_mm) == pytest.approx((5.0, 5.0))
    assert first.deviation.angle_deg == pytest.approx(0.0, abs=1e-5)
    assert first.gained_mm == pytest.approx(
        live.report(off.paths).implants[0].slack_mm - planned_report.implants[0].slack_mm
    )
    assert [b.deviation.tip_mm for b in found.implants[1:]] == pytest.approx([0.0, 0.0])
    assert [b.gained_mm for b in found.implants[1:]] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert "no plan of its kind has more than 3.00 mm" in found.text
    fewer = compared(live.report(removed(draft, 2).paths), planned_report, surfaces.anatomy.frame)
    assert [b.deviation.planned_slot for b in fewer.implants] == [1, 3]
    assert "no plan of its kind" not in fewer.text


def case() -> Case:
    return Case(None, phantom_labels())


def test_an_accepted_draft_goes_through_plan_json_and_is_the_same(
    theatre: Theatre, surfaces: MeasuringSurfaces, draft: Draft, live: LiveJudge, tmp_path: Path
) -> None:
    nudged = turned(draft, 2, surfaces, cranial_deg=1.0 / 3.0, ventral_deg=0.1)
    report = live.report(nudged.paths)
    entry = draft_entry(nudged, live)
    assert report.accepted
    assert (entry.status, entry.planner) == ("best_effort", BY_HAND)
    file = read_plan(write_plan(drafts_file([entry], case()), tmp_path / "plan.json"))
    (stored,) = file.sides
    again = draft_from_entry(stored, theatre.models)
    for one, other in zip(nudged.paths, again.paths, strict=True):
        assert ends(one) == pytest.approx(ends(other), abs=1e-6)
    assert draft_entry(again, live).model_dump() == entry.model_dump() == stored.model_dump()
    assert plan_from_entry(stored, theatre.models).planner == BY_HAND
    assert [i.slack_mm for i in stored.implants] == pytest.approx([i.slack_mm for i in report.implants], abs=2e-3)
    html = report_html(ReportData(file.model_dump(by_alias=True)))
    assert "ACCEPTED, BY HAND" in html
    assert "budget ended" not in html


def test_a_draft_that_breaks_limits_is_stored_as_not_accepted_and_comes_back(
    theatre: Theatre, draft: Draft, plan: Plan, live: LiveJudge, tmp_path: Path
) -> None:
    bad = draft.with_path(1, into_s1(theatre, plan))
    entry = draft_entry(bad, live)
    assert entry.implants == []
    assert entry.nearest is not None
    assert not entry.nearest.accepted
    named = {v.constraint for v in live.report(bad.paths).violations}
    assert {r.constraint for r in entry.reasons} == {r.constraint for r in entry.nearest.violations} == named
    file = read_plan(write_plan(drafts_file([entry], case()), tmp_path / "plan.json"))
    again = draft_from_entry(file.sides[0], theatre.models)
    assert draft_entry(again, live).model_dump() == entry.model_dump()
    html = report_html(ReportData(file.model_dump(by_alias=True)))
    assert "NOT ACCEPTED, BY HAND" in html
    assert "complete search" not in html
    assert "largest worst slack" not in html


def test_saving_onto_a_file_keeps_the_other_side_and_what_it_does_not_know(
    theatre: Theatre, draft: Draft, live: LiveJudge, tmp_path: Path
) -> None:
    entry = draft_entry(draft, live)
    text = json.loads(drafts_file([entry], case()).model_dump_json(by_alias=True))
    other = {"side": "right" if draft.side == "left" else "left", "status": "timeout", "planner": "x", "implants": []}
    text["sides"].append(other)
    text["note"] = "kept"
    (tmp_path / "old.json").write_text(json.dumps(text), encoding="utf-8")
    onto = read_plan(tmp_path / "old.json")
    shorter = draft_entry(removed(draft, 3), live)
    saved = drafts_file([shorter], case(), onto=onto)
    assert [s.side for s in saved.sides] == [draft.side, other["side"]]
    assert saved.sides[0].model_dump() == shorter.model_dump()
    assert saved.model_dump(by_alias=True)["note"] == "kept"
    text["case"]["sha256"] = {"labels": "0" * 64}
    (tmp_path / "strange.json").write_text(json.dumps(text), encoding="utf-8")
    strange = read_plan(tmp_path / "strange.json")
    with pytest.raises(InputError, match="one of another case"):
        drafts_file([shorter], case(), onto=strange)
    with pytest.raises(InputError, match="one of another case"):
        drafts_from_file(strange, case(), theatre.models, theatre.anatomy.frame)
    both = drafts_from_file(saved, case(), theatre.models, theatre.anatomy.frame)
    assert [d.side for d in both] == [draft.side], "a side without implants is left out"
    far = Draft(draft.side, (replace(draft.path(1), entry_lps_mm=(1e4, 0, 0), tip_lps_mm=(1e4 - 45.0, 0, 0)),))
    with pytest.raises(InputError, match="mm off the pelvis"):
        drafts_from_file(drafts_file([draft_entry(far, live)], case()), case(), theatre.models, theatre.anatomy.frame)
    with pytest.raises(InputError, match="no implants"):
        draft_entry(Draft(draft.side), live)
