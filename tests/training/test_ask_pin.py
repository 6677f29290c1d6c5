"""In or out: what is shown is what the judge says it is, and each answer is told right from wrong."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import AnatomyError, UnknownNameError
from sjplan.core.exercise import JudgePinTask
from sjplan.core.plan import Plan, Side
from sjplan.core.shown import raised
from sjplan.core.trajectory import Trajectory
from sjplan.safety.measures import implant_margins
from sjplan.training.ask_pin import questions, verdict
from sjplan.training.misplaced import PIN, misplaced, well_placed
from sjplan.training.process import Looks
from sjplan.training.questions import InOrOut, Question, picture
from sjplan.training.score import deepest_breach
from sjplan.training.theatre import Theatre

TASK = JudgePinTask("implant", ("foramen_S1", "superior"), ("lateral", "inlet", "outlet"), 2, 2.0, 5.0, 1.0, 2)


def truth(theatre: Theatre, side: Side, path: Trajectory) -> tuple[float, str]:
    """What the judge says: depth out of bone, and behind what."""
    return deepest_breach((implant_margins(theatre.surfaces(side), 1, path, theatre.limits),))


def ask(looks: Looks, path: Trajectory, side: Side = "left") -> Question:
    arms = {view: looks.arms[view] for view in TASK.views}
    return Question("judge-pin", "?", arms["lateral"], arms, TASK.views, (path,), sides=(side,))


def test_half_of_them_are_out_as_deep_as_asked_and_the_others_are_clear(
    looks: Looks, plans: Mapping[Side, Plan]
) -> None:
    asked = questions(looks, TASK, ("left",), plans, (1, 2, 0))
    assert len(asked) == 2
    depths = [truth(looks.theatre, "left", question.implants[0]) for question in asked]
    out = [(mm, name) for mm, name in depths if mm > 0.0]
    assert len(out) == 1, "half of them"
    assert all(2.0 <= mm <= 5.0 for mm, _ in out)
    assert {name for _, name in out} <= {"foramen_S1_left", "superior"}
    first = questions(looks, TASK, ("left",), plans, (1, 2, 0))[0]
    assert first.implants[0].tip_lps_mm.tolist() == asked[0].implants[0].tip_lps_mm.tolist()
    assert asked[0:2] == (asked[0], asked[1])
    with pytest.raises(IndexError):
        asked[2]


def test_a_pin_that_is_out_is_as_thin_as_a_pin(looks: Looks, plans: Mapping[Side, Plan]) -> None:
    theatre, rng = looks.theatre, np.random.default_rng(4)
    surfaces = theatre.surfaces("right")
    out = misplaced(surfaces, plans["right"], theatre.limits, ("anterior",), (2.0, 5.0), rng, pin=True)
    clear = well_placed(surfaces, plans["right"], theatre.limits, 1.0, rng, pin=True)
    assert out.trajectory.model is clear.model is PIN
    depth, structure = truth(theatre, "right", out.trajectory)
    assert structure == "anterior"
    assert 2.0 <= depth <= 5.0
    assert truth(theatre, "right", clear) == (0.0, "")


def test_one_in_bone_is_in_whatever_view_is_named(looks: Looks, planned: Plan) -> None:
    question = ask(looks, planned.trajectories[0])
    assert verdict(looks, question, InOrOut(False)).passed
    wrong = verdict(looks, question, InOrOut(True, "inlet"))
    assert not wrong.passed
    assert wrong.words[0] == "Not right."
    assert "It lies in bone" in wrong.words[1]
    assert wrong.value is not None
    assert wrong.value > 0.0


def test_one_out_at_the_top_is_shown_by_the_outlet_and_hidden_by_the_inlet(looks: Looks, planned: Plan) -> None:
    surfaces, rng = looks.theatre.surfaces("left"), np.random.default_rng(1)
    out = misplaced(surfaces, planned, looks.theatre.limits, ("superior",), (3.0, 5.0), rng)
    question = ask(looks, out.trajectory)
    depth, structure = truth(looks.theatre, "left", out.trajectory)
    assert structure == "superior"
    assert not verdict(looks, question, InOrOut(False)).passed
    assert verdict(looks, question, InOrOut(True, "outlet")).passed
    inlet = verdict(looks, question, InOrOut(True, "inlet"))
    assert not inlet.passed
    assert inlet.words[0] == "Out, but that is not the view."
    assert inlet.words[1] == f"It is out: {raised(depth)} mm through the top of the ala."
    assert any("hidden by the inlet" in word for word in inlet.words), inlet.words
    assert inlet.value == pytest.approx(-depth)
    assert not verdict(looks, question, InOrOut(True, None)).passed, "a view does show it"


def test_a_view_that_was_not_offered_is_refused(looks: Looks, planned: Plan) -> None:
    with pytest.raises(UnknownNameError, match="view: found 'ap'"):
        verdict(looks, ask(looks, planned.trajectories[0]), InOrOut(True, "ap"))


def test_a_picture_shows_the_implant_and_nothing_else_changes(looks: Looks, planned: Plan) -> None:
    question = ask(looks, planned.trajectories[0])
    with_it, without = (picture(looks.theatre, q, pixels=96) for q in (question, replace(question, implants=())))
    assert (with_it.line_integral - without.line_integral).max() > 2.0


def test_a_patient_without_the_views_or_without_a_way_out_is_refused(looks: Looks, plans: Mapping[Side, Plan]) -> None:
    poor = Looks(looks.theatre)
    poor.__dict__["arms"] = {"lateral": looks.arms["lateral"]}
    with pytest.raises(AnatomyError, match="views: found no inlet, outlet"):
        questions(poor, TASK, ("left",), plans, (0,))
    theatre, rng = looks.theatre, np.random.default_rng(0)
    one = replace(plans["left"], trajectories=plans["left"].trajectories[:1])
    with pytest.raises(AnatomyError, match="no way out behind notch"):
        misplaced(theatre.surfaces("left"), one, theatre.limits, ("notch",), (2.0, 4.0), rng)
    with pytest.raises(AnatomyError, match="none of the plan's 40 mm clear"):
        well_placed(theatre.surfaces("left"), plans["left"], theatre.limits, 40.0, rng)
