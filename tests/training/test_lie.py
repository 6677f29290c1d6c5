"""Patients who lie turned: the numbers of a straight one do not do, and all that is drawn comes again."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.io.exercises import read_exercises
from sjplan.training import actions as act
from sjplan.training.exercise import answer, begin
from sjplan.training.lie import Lie, lie_from
from sjplan.training.moves import pose
from sjplan.training.process import Looks, arm_for
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre
from sjplan.xray.carm import ray_direction
from sjplan.xray.types import CArm

TURNED = Lie(roll_deg=-6.0, tilt_deg=4.0, oblique_deg=3.0)
EXERCISES = read_exercises()


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (90.0, 0.0, 0.0), (12.0, -30.0, 5.0), (97.0, 20.0, -11.0)])
def test_room_and_patient_are_each_others_inverse_and_nothing_is_stretched(angles: tuple[float, ...]) -> None:
    middle, carm = np.array([3.0, -20.0, 100.0]), CArm(*angles, (40.0, 10.0, 60.0))
    there = TURNED.in_room(carm, middle)
    back = TURNED.in_patient(there, middle)
    for name in ("orbital_deg", "tilt_deg", "wig_wag_deg"):
        assert getattr(back, name) == pytest.approx(getattr(carm, name), abs=1e-9)
    assert back.isocentre_lps_mm == pytest.approx(carm.isocentre_lps_mm)
    assert ray_direction(there) == pytest.approx(TURNED.rotation @ ray_direction(carm))
    far = np.linalg.norm(carm.isocentre_lps_mm - middle)
    assert np.linalg.norm(there.isocentre_lps_mm - middle) == pytest.approx(far)


def test_an_arm_that_is_turned_like_the_patient_takes_the_picture_of_a_straight_one(theatre: Theatre) -> None:
    ready = theatre.scope
    lying = theatre.lying(TURNED)
    assert lying.scope is ready, "nothing heavy is made twice"
    straight, turned = act.MoveArm(), arm_for(lying, theatre.start)
    assert turned is not None
    assert turned.orbital_deg == pytest.approx(TURNED.roll_deg)
    first, second = (
        place.radiograph(pose(place, arm), (), (), "fluoroscopy", np.random.default_rng(0), 64).signal
        for place, arm in ((theatre, straight), (lying, turned))
    )
    assert first is not None
    assert second == pytest.approx(first, rel=1e-3)
    # Rolled to the right, so that their left comes up: what stood in the middle in depth is seen farther to a side.
    assert ray_direction(pose(lying, straight))[0] == pytest.approx(np.sin(np.deg2rad(6.0)), abs=0.005)


@pytest.mark.parametrize("name", ["true-lateral", "inlet", "outlet"])
def test_true_views_are_true_however_the_patient_lies(theatre: Theatre, looks: Looks, name: str) -> None:
    for seed in range(10):
        attempt = begin(EXERCISES[name], theatre, seed, looks=looks)
        assert answer(attempt, 0, attempt.looks.arms[attempt.questions[0].view]).passed
        assert not answer(attempt, 0, attempt.questions[0].arm).passed


def test_no_lateral_is_found_by_the_numbers_of_a_straight_patient(theatre: Theatre, looks: Looks) -> None:
    for seed in range(60):
        attempt = begin(EXERCISES["true-lateral"], theatre, seed, looks=looks)
        true = attempt.looks.arms["lateral"]
        typed = replace(true, orbital_deg=90.0, tilt_deg=0.0, wig_wag_deg=0.0)  # the picture in the right place, even
        assert not answer(attempt, 0, typed).passed, (seed, attempt.theatre.lie)


def test_the_same_seed_lays_the_same_patient_and_a_log_replays_it(theatre: Theatre, looks: Looks) -> None:
    exercise = EXERCISES["true-lateral"]
    first, second = (begin(exercise, theatre, 5, looks=looks) for _ in range(2))
    assert first.theatre.lie == second.theatre.lie is not None
    assert begin(exercise, theatre, 6, looks=looks).theatre.lie != first.theatre.lie
    session = first.session(pixels=64)
    for action in (*first.opening, act.Shoot()):
        session.step(action)
    again = replayed(theatre, session.header, session.events)
    again.pixels = 64
    assert again.state.fingerprint == session.state.fingerprint
    assert np.array_equal(again.image().signal, session.image().signal)  # type: ignore[arg-type]
    assert again.header == session.header
    straight = replayed(theatre, {k: v for k, v in session.header.items() if k != "lie"}, [])
    assert straight.theatre is theatre


def test_a_log_of_a_straight_patient_says_nothing_of_it(theatre: Theatre) -> None:
    assert "lie" not in Session(theatre, 1).header


@pytest.mark.parametrize(
    ("plain", "found"),
    [
        ([1, 2, 3], "session log lie: found"),
        ({"roll_deg": 1.0}, "session log lie: found"),
        ({"roll_deg": 99.0, "tilt_deg": 0.0, "oblique_deg": 0.0}, "lie roll_deg: found 99.0; wanted -30 to 30 degrees"),
        ({"roll_deg": "x", "tilt_deg": 0.0, "oblique_deg": 0.0}, "lie roll_deg: found 'x'"),
        ({"roll_deg": 0.0, "tilt_deg": float("nan"), "oblique_deg": 0.0}, "lie tilt_deg: found nan"),
    ],
)
def test_what_is_no_lie_is_refused(plain: object, found: str) -> None:
    with pytest.raises(InputError, match=found):
        lie_from(plain)
