"""One pin, and whole operations: what passes, and every reason why something does not."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.core.exercise import Exercise
from sjplan.core.plan import Plan, Side
from sjplan.core.shown import cut, raised
from sjplan.io.exercises import read_exercises
from sjplan.safety.measures import implant_margins
from sjplan.training.exercise import Attempt, answer, begin
from sjplan.training.given import earlier
from sjplan.training.pin import Pin
from sjplan.training.process import Looks
from sjplan.training.questions import Verdict
from sjplan.training.score import deepest_breach
from sjplan.training.session import Session
from sjplan.training.state import Implanted

EXERCISES = read_exercises()


def pin_on(looks: Looks, plan: Plan, by_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), deep_mm: float = 0.0) -> Pin:
    """A pin on the axis of the first implant, moved, its tip at the implant's."""
    path = plan.trajectories[0]
    skin = looks.theatre.tissue.skin_on_line(path.entry_lps_mm + by_mm, path.axis)
    assert skin is not None
    depth = float((path.tip_lps_mm + by_mm - skin) @ path.axis)
    return Pin(plan.side, skin, path.axis, depth + deep_mm)


@pytest.fixture(scope="module")
def revision(looks: Looks, plans: Mapping[Side, Plan]) -> Attempt:
    return of("revision", looks, plans)


def with_pin(looks: Looks, pin: Pin | None, seconds: float = 600.0) -> Verdict:
    attempt = begin(EXERCISES["one-pin"], looks.theatre, 1, looks=looks)
    session = attempt.session(images=False)
    session.state = replace(session.state, pin=pin, seconds=seconds)
    return answer(attempt, 0, session)


def placed(plan: Plan, *slots: int) -> tuple[Implanted, ...]:
    return tuple(earlier(plan.side, plan.trajectories[slot], 3.0) for slot in slots)


def after(attempt: Attempt, *implants: Implanted, finished: bool = True, seconds: float = 2400.0) -> Session:
    """An operation that left these."""
    session = attempt.session(images=False)
    session.state = replace(
        session.state, implants=implants, finished=finished, seconds=seconds, shots=24, fluoroscopy_s=30.0
    )
    return session


def of(name: str, looks: Looks, plans: Mapping[Side, Plan], before: Session | None = None) -> Attempt:
    return begin(EXERCISES[name], looks.theatre, 1, plans=plans, looks=looks, before=before)


def test_a_pin_where_the_plan_has_it_passes_with_the_plans_figures(looks: Looks, planned: Plan) -> None:
    found = with_pin(looks, pin_on(looks, planned))
    assert found.passed
    assert found.words[0] == "Right."
    margin = implant_margins(looks.theatre.surfaces("left"), 1, planned.trajectories[0], looks.theatre.limits).margin_mm
    assert found.value == pytest.approx(margin, abs=2.5), "the length is the nearest to the pin's own depth"


@pytest.mark.parametrize(
    ("by_mm", "deep_mm", "said"),
    [
        ((0.0, 0.0, 14.0), 0.0, "An implant over it would lie"),
        ((0.0, 0.0, 0.0), -18.0, "mm of sacrum; 15 mm are asked for"),
        ((0.0, 0.0, 0.0), -60.0, "tap it on"),
    ],
)
def test_a_pin_that_is_not_where_it_should_be_fails_and_is_told_why(
    looks: Looks, planned: Plan, by_mm: tuple[float, float, float], deep_mm: float, said: str
) -> None:
    found = with_pin(looks, pin_on(looks, planned, by_mm, deep_mm))
    assert not found.passed
    assert any(said in word for word in found.words), found.words


def test_no_pin_the_other_side_a_broken_one_and_too_long_all_fail(
    looks: Looks, planned: Plan, plans: Mapping[Side, Plan]
) -> None:
    right, good = pin_on(looks, plans["right"]), pin_on(looks, planned)
    for pin, seconds, said in (
        (None, 60.0, "No pin is in the patient"),
        (right, 60.0, "The pin is on the right, asked was the left."),
        (replace(good, broken=True), 60.0, "The pin is broken."),
        (good, 2400.0, "It took 40 minutes; 30 pass."),
    ):
        found = with_pin(looks, pin, seconds)
        assert not found.passed
        assert any(said in word for word in found.words), (said, found.words)


def test_the_plan_itself_passes_and_what_is_missing_or_too_late_does_not(
    looks: Looks, plans: Mapping[Side, Plan]
) -> None:
    attempt, plan = of("one-side", looks, plans), plans["left"]
    whole = answer(attempt, 0, after(attempt, *placed(plan, 0, 1, 2)))
    assert whole.passed
    assert whole.sheet is not None
    assert whole.value == whole.sheet.rating > 75.0
    assert whole.words[0] == f"Rated {cut(whole.value, 0)} of 100; 75 pass."
    part = answer(attempt, 0, after(attempt, *placed(plan, 0, 1)))
    assert not part.passed
    assert "2 of 3 implants are in on the left." in part.words
    going_on = answer(attempt, 0, after(attempt, *placed(plan, 0, 1, 2), finished=False))
    assert not going_on.passed
    assert "The operation is not finished." in going_on.words
    hurried = of("against-time", looks, plans)
    assert answer(hurried, 0, after(hurried, *placed(plan, 0, 1, 2), seconds=1799.0)).passed
    late = answer(hurried, 0, after(hurried, *placed(plan, 0, 1, 2), seconds=1900.0))
    assert not late.passed
    assert "It took 32 minutes; 30 pass." in late.words


def test_both_sides_are_wanted(looks: Looks, plans: Mapping[Side, Plan]) -> None:
    attempt = of("both-sides", looks, plans)
    one = answer(attempt, 0, after(attempt, *placed(plans["left"], 0, 1, 2)))
    assert not one.passed
    assert "0 of 3 implants are in on the right." in one.words


def test_a_revision_begins_with_one_out_and_passes_only_without_it(
    looks: Looks, plans: Mapping[Side, Plan], revision: Attempt
) -> None:
    attempt = revision
    given, theatre = attempt.questions[0].given, looks.theatre
    depths = [
        deepest_breach((implant_margins(theatre.surfaces("left"), 1, one.trajectory, theatre.limits),))[0]
        for one in given
    ]
    assert depths[:2] == [0.0, 0.0]
    assert 2.0 <= depths[2] <= 6.0, "the last one is out, as deep as was said"
    session = after(attempt, *given)
    left_in = answer(attempt, 0, session)
    assert not left_in.passed
    assert "The implant that was to be replaced is still in place." in left_in.words
    assert any("Implant" in word and f"lies {raised(depths[2])} mm" in word for word in left_in.words), left_in.words
    slots = [n for n, path in enumerate(plans["left"].trajectories) if not any(
        np.allclose(path.tip_lps_mm, one.trajectory.tip_lps_mm) for one in given[:2])]  # fmt: skip
    assert len(slots) == 1
    session = attempt.session(images=False)
    session.state = replace(
        session.state, implants=(*session.given[:2], *placed(plans["left"], *slots)), finished=True, shots=8,
        seconds=900.0,
    )  # fmt: skip
    done = answer(attempt, 0, session)
    assert done.passed, done.words


def test_the_second_stage_begins_with_what_the_first_left(looks: Looks, plans: Mapping[Side, Plan]) -> None:
    first = of("both-sides-staged", looks, plans)
    assert (first.stage, first.questions[0].sides) == (0, ("left",))
    left = after(first, *placed(plans["left"], 0, 1, 2))
    assert answer(first, 0, left).passed
    second = of("both-sides-staged", looks, plans, before=left)
    assert (second.stage, second.questions[0].sides) == (1, ("right",))
    session = second.session(images=False)
    assert session.state.implants == left.state.implants
    assert not answer(second, 0, session).passed
    session.state = replace(
        session.state, implants=(*session.given, *placed(plans["right"], 0, 1, 2)), finished=True, shots=24,
        seconds=2400.0,
    )  # fmt: skip
    assert answer(second, 0, session).passed
    with pytest.raises(InputError, match="first session: found not finished"):
        of("both-sides-staged", looks, plans, before=after(first, finished=False))
    with pytest.raises(InputError, match="it is not staged"):
        of("one-side", looks, plans, before=left)


def test_a_session_that_began_otherwise_is_no_answer(looks: Looks, revision: Attempt) -> None:
    with pytest.raises(InputError, match="session: found 0 implants at its start; wanted the 3"):
        answer(revision, 0, Session(looks.theatre, 1, images=False))


def test_a_plan_is_asked_for_where_one_is_needed(looks: Looks, plans: Mapping[Side, Plan]) -> None:
    exercise: Exercise = EXERCISES["one-side"]
    with pytest.raises(InputError, match="plan of the left side: found none"):
        begin(exercise, looks.theatre, 1, looks=looks)
    short = replace(plans["left"], trajectories=plans["left"].trajectories[:2])
    with pytest.raises(InputError, match="found 2 implants; wanted 3"):
        begin(exercise, looks.theatre, 1, plans={"left": short}, looks=looks)
