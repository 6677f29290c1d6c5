"""The desk that plans are laid on, without a browser: what a hand does, what is cut, and that no number flatters."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sjplan.app.planning_desk import PANES, Desk
from sjplan.app.planning_keep import file_of
from sjplan.app.planning_numbers import NUMBERS, changed_by, numbers_of
from sjplan.app.planning_rows import glance_rows, margin_rows, mixed_rows, sure_mm, verdict_words
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.trajectory import Trajectory
from sjplan.io.cases import Case
from sjplan.io.planfile import PlanFile, plan_text
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.templating import Draft, laid_with_room, moved
from sjplan.training.templating_files import drafts_from_file
from sjplan.training.theatre import Theatre, open_theatre


@pytest.fixture(scope="module")
def theatre() -> Theatre:
    return open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())


@pytest.fixture(scope="module")
def laid(theatre: Theatre) -> Draft:
    live = Desk(theatre, "left").judge
    one = laid_with_room(Draft("left"), live, theatre.models["tri-7"], 45.0)
    return laid_with_room(one, live, theatre.models["tri-7"], 45.0)


@pytest.fixture
def desk(theatre: Theatre, laid: Draft) -> Desk:
    made = Desk(theatre, "left")
    made.change(lambda _: laid)
    made.choose(1)
    return made


def ends(path: Trajectory) -> Array:
    return np.concatenate([path.entry_lps_mm, path.tip_lps_mm])


def share(desk: Desk, pane: str, point: Array) -> tuple[float, float]:
    """Where a point lies in a pane: shares from the left and from the top."""
    plane = desk.plane(pane)
    x, y, _ = plane.flat_mm(point)
    return 0.5 + x / plane.width_mm, 0.5 - y / plane.height_mm


def middle(path: Trajectory) -> Array:
    return np.asarray(0.5 * (path.entry_lps_mm + path.tip_lps_mm))


def test_what_speaks_against_the_labels_is_said_where_plans_are_laid(theatre: Theatre) -> None:
    found = [Finding("ct-metal", "warning", "metal"), Finding("no-ct", "note", "no CT")]
    found += [Finding("foramen-doubtful", "warning", f"S1 {side}", side) for side in ("left", "right")]
    desk = Desk(replace(theatre, findings=tuple(found)), "left")
    assert [f.text for f in desk.cautions()] == ["metal", "S1 left"]
    desk.turn_to("right")
    assert [f.text for f in desk.cautions()] == ["metal", "S1 right"]
    assert all(f.consequence for f in desk.cautions())


def test_a_theatre_knows_what_reading_and_anatomy_noticed() -> None:
    own = Finding("ct-metal", "warning", "metal")
    labels = replace(phantom_labels(), surface_error_mm=2.0)
    found = open_theatre("error of its own", Case(None, labels, (own,))).findings
    assert own in found
    assert "labels-own-error" in {f.code for f in found}


@pytest.mark.parametrize("pane", PANES)
@pytest.mark.parametrize("follow", ["along", "pelvis"])
def test_a_drag_moves_the_implant_in_the_plane_as_far_as_the_hand_goes(desk: Desk, pane: str, follow: str) -> None:
    desk.follow = follow  # type: ignore[assignment]
    desk.share = 0.5
    before, plane = desk.draft.path(1), desk.plane(pane)
    x, y = share(desk, pane, middle(before))
    desk.press(pane, x, y)
    for part in (0.3, 0.7, 1.0):
        desk.drag(x + part * 0.05, y - part * 0.02)
    now = desk.plane(pane)
    assert [now.right, now.up] == [pytest.approx(plane.right), pytest.approx(plane.up)]
    assert now.centre_lps_mm == pytest.approx(plane.centre_lps_mm), "the picture under the hand stands still"
    by = desk.zoom_mm * (0.05 * plane.right + 0.02 * plane.up)
    assert ends(desk.draft.path(1)) - ends(before) == pytest.approx([*by, *by])
    past = len(desk.stack.past)
    desk.let_go()
    assert len(desk.stack.past) == past + 1, "one drag is one step"
    desk.undo()
    assert desk.draft.path(1) is before


@pytest.mark.parametrize("end", ["entry", "tip"])
@pytest.mark.parametrize("pane", ["axial", "coronal"])
def test_an_end_that_is_drawn_at_turns_the_implant_about_the_other(desk: Desk, pane: str, end: str) -> None:
    before = desk.draft.path(1)
    held = before.entry_lps_mm if end == "entry" else before.tip_lps_mm
    x, y = share(desk, pane, held)
    plane = desk.plane(pane)
    desk.press(pane, x, y)
    desk.drag(x, y + 0.04)
    after = desk.draft.path(1)
    fixed = [p.tip_lps_mm if end == "entry" else p.entry_lps_mm for p in (before, after)]
    assert fixed[1] == pytest.approx(fixed[0])
    assert after.length_mm == pytest.approx(before.length_mm)
    assert np.degrees(np.arccos(after.axis @ before.axis)) > 3.0
    assert after.axis @ plane.normal == pytest.approx(0.0, abs=1e-9), "it turns in the plane"
    assert desk.plane(pane).right == pytest.approx(plane.right), "the picture does not turn with it"


def test_beside_the_implants_the_picture_is_shifted(desk: Desk) -> None:
    draft, focus = desk.draft, desk.focus_lps_mm
    desk.press("axial", 0.02, 0.02)
    desk.drag(0.12, 0.02)
    assert desk.focus_lps_mm - focus == pytest.approx(-0.1 * desk.zoom_mm * desk.plane("axial").right)
    past = len(desk.stack.past)
    desk.let_go()
    assert (desk.draft, len(desk.stack.past)) == (draft, past)


def test_another_implant_is_taken_up_where_it_is_pressed(desk: Desk) -> None:
    desk.zoom_mm = 180.0
    x, y = share(desk, "sagittal", desk.draft.path(2).entry_lps_mm + desk.share * 45.0 * desk.draft.path(2).axis)
    desk.press("sagittal", x, y)
    assert desk.chosen == 2
    assert desk.held is not None
    assert desk.held.kind == "move"


def test_planes_hold_the_implant_or_lie_square_to_it_and_stay_upright(desk: Desk) -> None:
    path, frame = desk.draft.path(1), desk.frame
    for pane in ("axial", "coronal"):
        assert desk.plane(pane).flat_mm(ends(path).reshape(2, 3))[:, 2] == pytest.approx(0.0, abs=1e-9)
    across = desk.plane("sagittal")
    assert abs(across.normal @ path.axis) == pytest.approx(1.0)
    assert (across.centre_lps_mm - path.entry_lps_mm) @ path.axis == pytest.approx(desk.share * path.length_mm)
    sides = {"axial": "RLAP", "coronal": "RLHF", "sagittal": "APHF"}
    for follow in ("along", "pelvis"):
        desk.follow = follow  # type: ignore[assignment]
        for pane, letters in sides.items():
            shown = desk.plane(pane).letters(frame)
            assert "".join(shown[edge] for edge in ("left", "right", "top", "bottom")) == letters
    desk.change(lambda draft: Draft(draft.side))
    assert desk.path is None
    assert all(desk.sight(pane)[0].width_mm == desk.zoom_mm for pane in PANES), "without an implant too"


def test_no_row_says_more_than_the_judge(desk: Desk, theatre: Theatre) -> None:
    report = desk.judge.report(desk.draft.paths)
    rows = margin_rows(report, theatre.limits)
    assert {row["slot"] for row in rows} == {1, 2}
    for implant in report.implants:
        own = {row["name"]: row for row in rows if row["slot"] == implant.slot}
        assert implant.binding.structure in own
        assert min(implant.clearances, key=sure_mm).structure in own
        for clearance in implant.clearances:
            if clearance.structure in own:
                row = own[clearance.structure]
                assert float(row["sure"]) <= clearance.lower_bound_mm
                assert float(row["measured"]) <= clearance.envelope_mm < float(row["measured"]) + 0.11
                assert (row["sign"] == "✗") == (
                    clearance.slack_mm < 0.0 or (clearance.lower_bound_mm <= 0.0 and row["state"] == "unsure")
                )
                assert row["word"]
    fresh = glance_rows(1, desk.judge.glance(1, desk.draft.path(1)), theatre.limits)
    settled = {row["name"]: row for row in rows if row["slot"] == 1}
    for row in fresh:
        if row["name"] in settled:
            assert [row[k] for k in ("sure", "measured", "state")] == [
                settled[row["name"]][k] for k in ("sure", "measured", "state")
            ]
    slots = [row["slot"] for row in mixed_rows(rows, 1, fresh)]
    assert slots == [1] * len(fresh) + [row["slot"] for row in rows if row["slot"] == 2]


def test_what_is_out_is_called_out_and_has_no_number_while_it_moves(desk: Desk, theatre: Theatre) -> None:
    away = moved(desk.draft, 1, desk.frame, ventral_mm=25.0)
    (first, *_) = glance_rows(1, desk.judge.glance(1, away.path(1)), theatre.limits)
    assert (first["sign"], first["word"], first["sure"], first["measured"]) == ("✗", "out", "out", "out")
    verdict, faults = verdict_words(desk.judge.report(away.paths))
    assert verdict.startswith("✗ Not accepted: ")
    assert faults
    assert not any("foramen_" in fault for fault in faults), "in a person's words"


def test_plans_that_clash_with_the_other_side_are_not_called_accepted(theatre: Theatre, laid: Draft) -> None:
    desk = Desk(theatre, "left")
    desk.change(lambda _: laid)
    assert desk.conflicts() == (), "one side alone"
    report = desk.judge.report(laid.paths)
    desk.turn_to("right")
    desk.change(lambda _: Draft("right", laid.paths[:1]))
    conflicts = desk.conflicts()
    assert any(f.text.startswith("left implant 1 and right implant 1 are ") for f in conflicts)
    verdict, faults = verdict_words(report, conflicts)
    assert verdict.startswith("✗ Not accepted: ")
    assert faults[0].startswith("Left implant 1 and right implant 1")
    held = file_of(desk, [laid, desk.draft])
    assert "sides-conflict" in {finding.code for finding in held.findings}


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_changes_by_what_it_is_changed(desk: Desk, key: str) -> None:
    before = numbers_of(desk)
    desk.change(lambda draft: changed_by(draft, 1, desk.judge.surfaces, key, 2.5, "joint"))
    desk.chosen = 1
    assert numbers_of(desk)[key] - before[key] == pytest.approx(2.5, abs=1e-6)


def test_plans_go_out_and_come_in_again_and_name_no_file_of_this_machine(desk: Desk) -> None:
    file = file_of(desk, [desk.draft])
    assert file.case.paths == {}
    again = PlanFile.model_validate_json(plan_text(file))
    drafts = drafts_from_file(again, desk.case, desk.theatre.models, desk.frame)
    kept = [ends(path) for path in desk.draft.paths]
    desk.change(lambda draft: Draft(draft.side))
    desk.take(drafts)
    assert [ends(path) for path in desk.draft.paths] == [pytest.approx(e, abs=1e-6) for e in kept]
    desk.undo()
    assert desk.draft.paths == ()


def test_the_sides_have_drafts_of_their_own(desk: Desk, theatre: Theatre) -> None:
    left = desk.draft
    desk.turn_to("right")
    assert desk.draft.paths == ()
    desk.change(lambda draft: laid_with_room(draft, desk.judge, theatre.models["tri-7"], 35.0))
    assert desk.draft.path(1).entry_lps_mm[0] < 0.0 < left.path(1).entry_lps_mm[0]
    desk.turn_to("left")
    assert desk.draft is left


def test_the_tightest_place_is_looked_at_and_shown(desk: Desk) -> None:
    report = desk.judge.report(desk.draft.paths)
    without = [len(desk.sight(pane)[1]) for pane in PANES]
    desk.look_at_tightest(report)
    path, tight = desk.draft.path(1), report.implants[0].binding
    along = (tight.on_implant_lps_mm - path.entry_lps_mm) @ path.axis
    assert desk.share * path.length_mm == pytest.approx(min(max(along, 0.0), path.length_mm))
    assert any(len(desk.sight(pane, report)[1]) > n for pane, n in zip(PANES, without, strict=True))
    desk.change(lambda draft: moved(draft, 1, desk.frame, cranial_mm=1.0))
    assert desk.tightest(report) is None, "a report of another place says nothing"


def refused(desk: Desk, move: Callable[[Draft], Draft]) -> str:
    with pytest.raises(InputError) as caught:
        desk.change(move)
    return str(caught.value)


def test_what_cannot_be_changes_nothing(desk: Desk) -> None:
    draft, past = desk.draft, len(desk.stack.past)
    assert "a number from" in refused(desk, lambda d: moved(d, 1, desk.frame, cranial_mm=1e4))
    assert (desk.draft, len(desk.stack.past)) == (draft, past)
