"""Pointing at landmarks: where a click points, what passes, and what is said of one that misses."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import AnatomyError, InputError
from sjplan.core.exercise import LANDMARKS, Asked, LandmarkTask
from sjplan.training.actions import MoveArm
from sjplan.training.ask_landmark import questions, shown, verdict
from sjplan.training.moves import pose
from sjplan.training.process import Looks
from sjplan.training.questions import PointAt, Question, half_field_mm, in_plane_lps_mm, seen_at, shown_at
from sjplan.views.plane import seen_mm

ALL = tuple(Asked(name, view) for name, views in LANDMARKS.items() for view in views)
TASK = LandmarkTask(ALL, len(ALL), 6.0, 1)


def click(looks: Looks, arm: MoveArm, point_lps_mm: np.ndarray) -> PointAt:
    """Where a point of the patient is seen."""
    ((across, down),) = shown_at(looks.theatre, arm, point_lps_mm[None])
    return PointAt(float(across), float(down))


def asked(looks: Looks, landmark: str, view: str) -> Question:
    arm = looks.arms[view]
    return Question("landmark", "?", arm=arm, views={view: arm}, view=view, landmark=landmark)


def on(looks: Looks, question: Question) -> np.ndarray:
    """A point of the landmark itself, in space."""
    found = shown(looks, question.landmark, question.arm)
    assert found is not None
    line = found.lines[0]
    middle = line[:-1].mean(axis=0) if found.opening else line[len(line) // 2]
    return in_plane_lps_mm(pose(looks.theatre, question.arm), middle[None])[0]


def test_a_click_points_back_at_what_was_seen_there(looks: Looks) -> None:
    arm = looks.arms["outlet"]
    for point in looks.theatre.anatomy.landmarks.values():
        seen = seen_mm(point[None], pose(looks.theatre, arm))[0]
        if np.abs(seen).max() < half_field_mm(looks.theatre):
            assert seen_at(looks.theatre, arm, click(looks, arm, point)) == pytest.approx(seen, abs=0.2)


@pytest.mark.parametrize(("landmark", "view"), [(one.landmark, one.view) for one in ALL])
def test_the_landmark_itself_passes_and_what_lies_beside_it_by_more_than_the_mark_does_not(
    looks: Looks, landmark: str, view: str
) -> None:
    question = asked(looks, landmark, view)
    there = click(looks, question.arm, on(looks, question))
    assert verdict(looks, TASK, question, there).passed
    found = shown(looks, landmark, question.arm)
    assert found is not None
    dense = np.concatenate([
        line if len(line) == 1 else np.concatenate([np.linspace(a, b, 50) for a, b in itertools.pairwise(line)])
        for line in found.lines
    ])  # fmt: skip
    missed = 0
    for across, down in itertools.product((-0.16, -0.08, -0.04, 0.0, 0.04, 0.08, 0.16), repeat=2):
        at = PointAt(min(max(there.across + across, 0.0), 1.0), min(max(there.down + down, 0.0), 1.0))
        off_mm = float(np.linalg.norm(dense - seen_at(looks.theatre, question.arm, at), axis=1).min())
        got = verdict(looks, TASK, question, at)
        if got.value and abs(off_mm - TASK.within_mm) > 0.5:
            assert got.value == pytest.approx(off_mm, abs=0.3)
            assert got.passed == (off_mm <= TASK.within_mm)
            missed += not got.passed
    assert missed >= 10


def test_left_and_right_taken_for_each_other_is_named(looks: Looks) -> None:
    question = asked(looks, "s1-foramen-left", "outlet")
    got = verdict(
        looks, TASK, question, click(looks, question.arm, on(looks, asked(looks, "s1-foramen-right", "outlet")))
    )
    assert not got.passed
    assert "You pointed at the right S1 foramen." in got.words
    assert any("further right in the picture" in word for word in got.words), "the patient's left hangs on the right"


def test_one_level_lower_is_told_to_go_higher(looks: Looks) -> None:
    question = asked(looks, "s1-foramen-left", "outlet")
    got = verdict(
        looks, TASK, question, click(looks, question.arm, on(looks, asked(looks, "s2-foramen-left", "outlet")))
    )
    assert not got.passed
    assert "You pointed at the left S2 foramen." in got.words
    assert any("mm higher" in word for word in got.words)


def test_what_is_drawn_lies_on_the_landmark(looks: Looks) -> None:
    question = asked(looks, "promontory", "lateral")
    got = verdict(looks, TASK, question, PointAt(0.5, 0.5))
    drawn = seen_mm(got.drawn_lps_mm[0], pose(looks.theatre, question.arm))
    found = shown(looks, "promontory", question.arm)
    assert found is not None
    assert drawn == pytest.approx(found.lines[0], abs=1e-6)


def test_pictures_are_shifted_and_the_same_seed_asks_the_same(looks: Looks) -> None:
    first, again, other = (questions(looks, TASK, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert [(q.landmark, q.arm) for q in first] == [(q.landmark, q.arm) for q in again]
    assert [q.landmark for q in first] != [q.landmark for q in other]
    assert len({q.landmark for q in first}) == len(first)
    assert any(q.arm != looks.arms[q.view] for q in first)
    for q in first:
        assert (q.arm.orbital_deg, q.arm.tilt_deg) == (looks.arms[q.view].orbital_deg, looks.arms[q.view].tilt_deg)


def test_too_few_landmarks_is_refused(looks: Looks) -> None:
    poor = Looks(looks.theatre)
    poor.__dict__["arms"] = {"lateral": looks.arms["lateral"]}
    task = replace(TASK, right=len(ALL))
    with pytest.raises(AnatomyError, match="landmarks: found 6 of 11"):
        questions(poor, task, np.random.default_rng(0))


@pytest.mark.parametrize("at", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5), (True, 0.5), ("0.5", 0.5)])
def test_a_point_beside_the_picture_is_refused(at: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"point (across|down): found .*a share of the picture"):
        PointAt(*at)
