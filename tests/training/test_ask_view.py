"""Finding a view: what is true passes, what is not is told how far and which way to turn."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import AnatomyError
from sjplan.core.exercise import ViewTask
from sjplan.training.actions import MoveArm
from sjplan.training.ask_view import TURNS, questions, turns_deg, verdict
from sjplan.training.process import Looks
from sjplan.views.quality import INLET_MM, OUTLET_MM
from sjplan.views.true_lateral import DENSITY_MM, NOTCH_MM

VIEWS = ("lateral", "inlet", "outlet")
MARKS = {"lateral": 2.0, "inlet": 1.0, "outlet": 2.0}


def task(view: str) -> ViewTask:
    return ViewTask((view,), 15.0, MARKS[view], 5.0, 1)


@pytest.mark.parametrize("view", VIEWS)
def test_the_patients_own_view_passes_and_its_figures_are_within_the_marks(looks: Looks, view: str) -> None:
    found = verdict(looks, task(view), view, looks.arms[view])
    assert found.passed
    assert found.words[0] == "That is a true view."
    assert found.value is not None
    assert found.value <= MARKS[view] * max(NOTCH_MM, DENSITY_MM, INLET_MM, OUTLET_MM)


@pytest.mark.parametrize(
    ("view", "turned", "said"),
    [
        ("lateral", {"orbital_deg": 6.0}, "Turn orbital 6.0 degrees to the patient's right"),
        ("lateral", {"wig_wag_deg": -5.0}, "wig-wag 5.0 degrees, the detector to the feet"),
        ("inlet", {"tilt_deg": 9.0}, "tilt 9.0 degrees to the feet"),
        ("outlet", {"tilt_deg": 9.0}, "tilt 9.0 degrees to the feet"),
    ],
)
def test_a_view_that_is_turned_off_fails_and_is_told_the_way_back(
    looks: Looks, view: str, turned: dict[str, float], said: str
) -> None:
    true = looks.arms[view]
    arm = replace(true, **{name: getattr(true, name) + by for name, by in turned.items()})
    found = verdict(looks, task(view), view, arm)
    assert not found.passed
    assert found.words[0] == "That is not true yet."
    assert any(said in word for word in found.words), found.words
    assert found.arm == true


@pytest.mark.parametrize("view", VIEWS)
def test_who_turns_as_told_gets_there(looks: Looks, view: str) -> None:
    (question,) = questions(looks, task(view), np.random.default_rng(5))
    assert not verdict(looks, task(view), view, question.arm).passed, "an exercise does not begin at its answer"
    turns = turns_deg(looks.theatre, view, question.arm, looks.arms[view])
    told = replace(looks.arms[view], **{name: getattr(question.arm, name) + turns[name] for name in TURNS[view]})
    assert verdict(looks, task(view), view, told).passed


def test_a_rolled_inlet_fails_though_its_fronts_meet(looks: Looks) -> None:
    true = looks.arms["inlet"]
    found = verdict(looks, task("inlet"), "inlet", replace(true, orbital_deg=true.orbital_deg + 8.0))
    assert not found.passed
    assert any("turned 8 degrees out of the midline" in word for word in found.words), found.words


def test_a_true_view_of_the_wrong_place_fails(looks: Looks) -> None:
    true = looks.arms["lateral"]
    found = verdict(looks, task("lateral"), "lateral", replace(true, along_mm=true.along_mm + 140.0))
    assert not found.passed
    assert "The picture does not show all that it is for." in found.words
    assert any(re.fullmatch(r"Move the picture 140 mm to the feet\.", word) for word in found.words), found.words


def test_another_view_is_called_that(looks: Looks) -> None:
    found = verdict(looks, task("lateral"), "lateral", MoveArm())
    assert not found.passed
    assert found.value is None
    assert found.words[1].startswith("That is no lateral: its ray lies")


def test_the_same_seed_asks_the_same_and_stays_within_what_the_task_says(looks: Looks) -> None:
    first, again, other = (questions(looks, task("lateral"), np.random.default_rng(seed))[0].arm for seed in (1, 1, 2))
    assert first == again != other
    true = looks.arms["lateral"]
    for name in TURNS["lateral"]:
        assert 7.4 <= abs(getattr(first, name) - getattr(true, name)) <= 15.1
        assert getattr(first, name) == round(getattr(first, name), 1), "as the display has it"


def test_a_view_that_is_not_there_is_refused_before_it_is_asked(looks: Looks) -> None:
    poor = Looks(looks.theatre)
    poor.__dict__["arms"] = {}
    with pytest.raises(AnatomyError, match=r"view inlet: found .*choose another case"):
        questions(poor, task("inlet"), np.random.default_rng(0))
