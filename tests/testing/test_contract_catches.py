"""The contract goes red on planners that lie, overspend, wander or meddle; and green on one that only remembers."""

import pickle
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from sjplan.core.errors import GeometryError
from sjplan.core.plan import Certificate, Outcome, Reason
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.planning.raster import RasterPlanner
from sjplan.testing.contract import Glimpse, Heard, PlannerContract
from sjplan.testing.problems import (
    Motion,
    dishonesty,
    fingerprint,
    impossible_problem,
    phantom_labels,
    phantom_problem,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def problem() -> Problem:
    return phantom_problem()


@pytest.fixture(scope="module")
def honest(problem: Problem) -> Outcome:
    """A true answer, made once."""
    planner = RasterPlanner(crossing_step_mm=3.0, direction_step_deg=6.0, starts=6, climb_steps=600, refinements=20)
    outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert outcome.status == "found"
    return outcome


@dataclass
class Canned:
    """Gives a remembered answer, and does something else beside."""

    answer: Outcome
    beside: Callable[[Problem, np.random.Generator, Budget], Outcome | None] | None = None
    spec: PlannerSpec = field(default=PlannerSpec("raster-v1", "remembers one answer"))

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        other = self.beside(problem, rng, budget) if self.beside is not None else None
        return self.answer if other is None else other


@dataclass
class Forgets(Canned):
    """Comes back from a worker as somebody else."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = {**state, "spec": PlannerSpec("other-v1", "remembers one answer")}


class Unkept(PlannerContract):
    """The contract as an object; asked anew each time."""

    def glimpse(self, planner: Any) -> Glimpse:
        return self._seen(planner)

    def answer(self, planner: Any, problem: Problem) -> tuple[Outcome, Heard]:
        heard: Heard = []
        budget = Budget(progress=lambda what, fraction: heard.append((what, fraction)))
        return self.fresh(planner, problem, budget), heard


CONTRACT = Unkept()


def test_one_that_remembers_passes(honest: Outcome) -> None:
    planner = Canned(honest)
    CONTRACT.test_spec_is_valid(planner)
    CONTRACT.test_easy_problem_is_solved(planner, "left")
    CONTRACT.test_plan_says_who_made_it(planner)
    CONTRACT.test_same_seed_same_answer(planner)
    for test in ("problem_is_left_alone", "nothing_is_printed", "global_randomness_is_left_alone", "spec_stays"):
        getattr(CONTRACT, f"test_{test}")(planner)
    CONTRACT.test_nothing_is_left_running(planner)
    CONTRACT.test_answer_does_not_depend_on_what_was_asked_before(planner)


def test_honest_answer_has_nothing_wrong(problem: Problem, honest: Outcome) -> None:
    assert dishonesty(problem, honest, "raster-v1") == []


def test_every_lie_is_named(problem: Problem, honest: Outcome) -> None:
    plan = honest.plan
    assert plan is not None
    first, *rest = plan.trajectories
    far = replace(first, entry_lps_mm=first.entry_lps_mm - 9 * first.axis, tip_lps_mm=first.tip_lps_mm - 9 * first.axis)
    short = replace(first, tip_lps_mm=first.tip_lps_mm - 0.5 * first.axis)
    why = (Reason("clearance:canal", 1.0, "mm", "1 mm is missing"),)
    pair = replace(plan, trajectories=plan.trajectories[:2])

    def wrong(outcome: Outcome) -> str:
        return "; ".join(dishonesty(problem, outcome, "raster-v1"))

    assert "lateral protrusion" in wrong(replace(honest, plan=replace(plan, trajectories=(far, *rest))))
    assert "mm long, tri-7 is not" in wrong(replace(honest, plan=replace(plan, trajectories=(short, *rest))))
    assert "not in order" in wrong(replace(honest, plan=replace(plan, trajectories=plan.trajectories[::-1])))
    assert "signed 'other-v1'" in wrong(replace(honest, plan=replace(plan, planner="other-v1")))
    assert "asked was" in wrong(replace(honest, plan=pair))
    assert "for the right side" in wrong(replace(honest, plan=replace(plan, side="right")))
    assert wrong(Outcome("infeasible")) == "infeasible without a reason"
    assert "should have been the plan" in wrong(Outcome("infeasible", reasons=why, nearest=plan))
    assert "two-implant plan" in wrong(Outcome("infeasible", reasons=why, fallback=plan))
    assert "an empty reason" in wrong(Outcome("infeasible", reasons=(Reason("x", -1.0, "mm", "less than none"),)))
    assert "status 'invalid_input'" in wrong(Outcome("invalid_input"))
    assert "status 'done'" in wrong(Outcome("done"))  # type: ignore[arg-type]


def test_refusing_an_easy_problem_is_caught() -> None:
    refusal = Outcome("infeasible", reasons=(Reason("mood", 1.0, "mm", "no"),))
    with pytest.raises(AssertionError, match="an easy problem without a budget ended infeasible: no"):
        CONTRACT.test_easy_problem_is_solved(Canned(refusal), "left")
    with pytest.raises(AssertionError, match="because the budget ended"):
        CONTRACT.test_tiny_budget_is_no_error(Canned(refusal), "evaluations")


def test_soft_limits_may_be_refused_but_have_to_show_the_plan(honest: Outcome, problem: Problem) -> None:
    """The capability "soft-limits" forgives a refusal of an easy problem, and nothing else."""
    spec = PlannerSpec("raster-v1", "states one plan", frozenset({"soft-limits"}))
    refusal = Outcome("infeasible", reasons=(Reason("mood", 1.0, "mm", "no"),))
    with pytest.raises(AssertionError, match="an easy problem without a budget ended infeasible: no"):
        CONTRACT.test_easy_problem_is_solved(Canned(refusal, spec=spec), "left")
    assert honest.plan is not None
    first, *rest = honest.plan.trajectories
    far = replace(first, entry_lps_mm=first.entry_lps_mm - 9 * first.axis, tip_lps_mm=first.tip_lps_mm - 9 * first.axis)
    shown = replace(refusal, nearest=replace(honest.plan, trajectories=(far, *rest)))
    CONTRACT.test_easy_problem_is_solved(Canned(shown, spec=spec), "left")
    with pytest.raises(AssertionError, match="an easy problem without a budget ended infeasible: no"):
        CONTRACT.test_easy_problem_is_solved(Canned(shown), "left")


def test_a_plan_for_the_impossible_is_caught(honest: Outcome) -> None:
    with pytest.raises(AssertionError, match="the plan is called found, but"):
        CONTRACT.test_impossible_problem_is_refused(Canned(honest))


def test_other_randomness_is_caught(honest: Outcome) -> None:
    asked = iter(range(10))
    wanders = Canned(honest, lambda p, rng, b: replace(honest, evaluations=honest.evaluations + next(asked)))
    with pytest.raises(AssertionError, match="two different answers"):
        CONTRACT.test_same_seed_same_answer(wanders)


def test_meddling_is_caught(honest: Outcome) -> None:
    """Arrays are read-only; a mapping inside the anatomy still is not."""

    def meddle(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        problem.anatomy.landmarks["mark"] = np.zeros(3)  # type: ignore[index]

    try:
        with pytest.raises(AssertionError, match="changed its problem"):
            CONTRACT.test_problem_is_left_alone(Canned(honest, meddle))
    finally:
        phantom_problem().anatomy.landmarks.pop("mark")  # type: ignore[attr-defined]


def test_making_arrays_writable_is_caught(honest: Outcome) -> None:
    """Even where nothing is written."""
    array = phantom_problem().anatomy.frame.axes

    def unlock(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        array.setflags(write=True)

    try:
        with pytest.raises(AssertionError, match="made 1 arrays of its problem writable"):
            CONTRACT.test_problem_is_left_alone(Canned(honest, unlock))
    finally:
        array.setflags(write=False)


def test_bad_manners_are_caught(honest: Outcome) -> None:
    def prints(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        print("generation 1")

    def draws(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        np.random.random()  # noqa: NPY002

    def seeds(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        random.seed(7)

    with pytest.raises(AssertionError, match=r"the planner printed 'generation 1\\n': use budget.report"):
        CONTRACT.test_nothing_is_printed(Canned(honest, prints))
    for meddles in (draws, seeds):
        with pytest.raises(AssertionError, match="global generator"):
            CONTRACT.test_global_randomness_is_left_alone(Canned(honest, meddles))
    changing = Canned(honest)
    changing.beside = lambda p, rng, b: setattr(changing, "spec", PlannerSpec("other-v1", "was raster-v1"))
    with pytest.raises(AssertionError, match="changed its spec"):
        CONTRACT.test_spec_stays(changing)


def test_what_is_left_running_is_caught(honest: Outcome) -> None:
    end = threading.Event()

    def starts(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        threading.Thread(target=end.wait, name="searching on").start()

    try:
        with pytest.raises(AssertionError, match="left running: searching on"):
            CONTRACT.test_nothing_is_left_running(Canned(honest, starts))
    finally:
        end.set()


def test_memory_of_other_questions_is_caught(honest: Outcome) -> None:
    asked: list[str] = []

    def remembers(problem: Problem, rng: np.random.Generator, budget: Budget) -> Outcome | None:
        asked.append(problem.side)
        return replace(honest, evaluations=1) if "right" in asked and problem.side == "left" else None

    with pytest.raises(AssertionError, match="another question in between changed the answer"):
        CONTRACT.test_answer_does_not_depend_on_what_was_asked_before(Canned(honest, remembers))


def test_what_cannot_be_sent_is_caught(honest: Outcome) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        CONTRACT.test_it_can_be_sent_to_another_process(Canned(honest, lambda p, rng, b: None))
    with pytest.raises(AssertionError, match="another spec comes back"):
        CONTRACT.test_it_can_be_sent_to_another_process(Forgets(honest))
    CONTRACT.test_it_can_be_sent_to_another_process(Canned(honest))


def test_sleeping_through_the_budget_is_caught(honest: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONTRACT.__class__, "overrun_s", 0.2)

    def sleeps(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        if budget.seconds is not None:
            time.sleep(budget.seconds + 0.5)

    quick = replace(honest, seconds=0.0)
    with pytest.raises(AssertionError, match=r"s after its seconds were over; 0.2 s are allowed"):
        CONTRACT.test_seconds_are_kept(Canned(quick, sleeps))
    with pytest.raises(AssertionError, match=r"it says 50.00 s, and took 0.0"):
        CONTRACT.test_seconds_are_kept(Canned(replace(honest, seconds=50.0)))
    CONTRACT.test_seconds_are_kept(Canned(quick))


def test_a_hasty_plan_for_the_impossible_is_caught(honest: Outcome) -> None:
    with pytest.raises(AssertionError, match="the plan is called found, but"):
        CONTRACT.test_impossible_problem_under_a_tiny_budget(Canned(honest))


def test_running_into_obstacles_is_caught(honest: Outcome) -> None:
    with pytest.raises(AssertionError, match=r"implant 1 is -.* mm from an obstacle, at least 3 mm wanted"):
        CONTRACT.test_obstacles_are_kept_clear_of(Canned(honest))


def test_what_is_no_outcome_is_named(problem: Problem, honest: Outcome) -> None:
    """None, a dictionary, a plan that is none, numbers that are none: sentences, never an exception."""
    plan = honest.plan
    assert plan is not None
    assert dishonesty(problem, None, "raster-v1") == ["the answer is a NoneType, wanted an Outcome"]
    assert dishonesty(problem, {"status": "found"}, "raster-v1") == ["the answer is a dict, wanted an Outcome"]
    text = Outcome("found", plan="implants")  # type: ignore[arg-type]
    assert dishonesty(problem, text, "raster-v1") == ["the plan is a str, wanted a Plan"]
    hollow = replace(plan.trajectories[0])
    object.__setattr__(hollow, "tip_lps_mm", np.full(3, np.nan))
    broken = replace(honest, plan=replace(plan, trajectories=(hollow, *plan.trajectories[1:])))
    assert dishonesty(problem, broken, "raster-v1") == ["the plan holds numbers that are not finite"]


def test_certificates_and_pareto_plans_are_measured_too(problem: Problem, honest: Outcome) -> None:
    plan = honest.plan
    assert plan is not None
    boast = replace(honest, certificate=Certificate(slack_mm=9.0, upper_bound_mm=9.5, cap_mm=10.0))
    assert any("the certificate claims 9.000 mm of slack" in w for w in dishonesty(problem, boast, "raster-v1"))
    worse = replace(plan, trajectories=plan.trajectories[::-1])
    offered = dishonesty(problem, replace(honest, pareto=(worse,)), "raster-v1")
    assert any(w.startswith("pareto plan 1 is called found, but") for w in offered)
    assert dishonesty(problem, replace(honest, pareto=(plan,)), "raster-v1") == []


def test_spending_beyond_the_budget_is_caught(honest: Outcome) -> None:
    with pytest.raises(AssertionError, match="were allowed"):
        CONTRACT.test_evaluations_are_capped(Canned(honest), 0.5)
    claims = Canned(honest, lambda p, rng, b: None if b.evaluations is None else replace(honest, evaluations=1))
    with pytest.raises(AssertionError, match="cut short, and called found"):
        CONTRACT.test_evaluations_are_capped(claims, 0.5)
    with pytest.raises(AssertionError, match="went on after its budget"):
        CONTRACT.test_tiny_budget_is_no_error(Canned(honest), "seconds")


@pytest.mark.parametrize(
    ("heard", "match"),
    [([], "no progress"), ([("", 0.5)], "without words"), ([("more", 1.2)], "progress 1.2"),
     ([("a", 0.5), ("b", 0.4)], "fell back")],
)  # fmt: skip
def test_bad_progress_is_caught(honest: Outcome, heard: list[tuple[str, float]], match: str) -> None:
    def speak(problem: Problem, rng: np.random.Generator, budget: Budget) -> None:
        for what, fraction in heard:
            budget.report(what, fraction)

    with pytest.raises(AssertionError, match=match):
        CONTRACT.test_progress_is_a_fraction(Canned(honest, speak))


@pytest.mark.parametrize(
    ("spec", "match"),
    [(PlannerSpec("Raster", "no version"), "wanted a form like name-v1"), (PlannerSpec("a-v1", " "), "empty"),
     (PlannerSpec("a-v1", "two\nlines"), "more than one line"),
     (PlannerSpec("a-v1", "x", parameters={"steps": [1]}), "is a list"),
     (PlannerSpec("a-v1", "x", parameters={"steps": float("inf")}), "is inf")],
)  # fmt: skip
def test_bad_spec_is_caught(honest: Outcome, spec: PlannerSpec, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        CONTRACT.test_spec_is_valid(Canned(honest, spec=spec))


def test_motions_keep_voxels_and_swap_names() -> None:
    labels = phantom_labels()
    mirrored = Motion.mirror().labels(labels)
    assert mirrored.label is labels.label
    assert mirrored.grid.corners_lps_mm()[:, 0] == pytest.approx(-labels.grid.corners_lps_mm()[:, 0])
    left = {i for i, name in labels.names.items() if name == "hip_left"}
    assert {i for i, name in mirrored.names.items() if name == "hip_right"} == left
    assert Motion.turn(0, 0, 90).points([1.0, 0.0, 0.0]) == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)
    assert Motion.turn(90, 0, 0).vectors([0.0, 1.0, 0.0]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)
    with pytest.raises(GeometryError, match="matrix"):
        Motion(2 * np.eye(3), np.zeros(3))


def test_fingerprint_sees_every_bit_but_the_clock(problem: Problem, honest: Outcome) -> None:
    assert fingerprint(replace(honest, seconds=1.0)) == fingerprint(honest)
    plan = honest.plan
    assert plan is not None
    nudged = replace(plan.trajectories[0], roll_deg=plan.trajectories[0].roll_deg + 1e-12)
    other = replace(honest, plan=replace(plan, trajectories=(nudged, *plan.trajectories[1:])))
    assert fingerprint(other) != fingerprint(honest)
    assert fingerprint(problem) != fingerprint(impossible_problem())
    assert fingerprint({"a", "b", "c"}) == fingerprint({"c", "b", "a"}) != fingerprint({"a", "b"})
