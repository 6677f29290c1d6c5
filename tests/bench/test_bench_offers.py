"""What a planner shows on its way is judged afterwards; what is no plan does not count."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from odd_planners import straight

from sjplan.bench.offers import KEPT, Offers
from sjplan.core.plan import Plan
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.testing.problems import phantom_problem


@pytest.fixture(scope="module")
def problem() -> Problem:
    return phantom_problem()


@pytest.fixture(scope="module")
def safe(problem: Problem) -> Plan:
    plan = load("raster-v1").plan(problem, rng=np.random.default_rng(0), budget=Budget()).plan
    assert plan is not None
    return plan


def test_the_first_plan_that_the_judge_accepts_counts(problem: Problem, safe: Plan) -> None:
    offers = Offers()
    offers.note(straight(problem, "p"), 5)
    offers.note(safe, 70, 2.0)
    offers.note(safe, 90, 3.0)
    row = offers.judged(problem, measuring_surfaces(problem.anatomy, problem.side))
    curve = row["anytime"]
    assert [(count, accepted) for _, count, _, accepted in curve] == [(5, False), (70, True), (90, True)]
    assert [seconds for seconds, *_ in curve[1:]] == [2.0, 3.0]
    assert row["first_safe_s"] == 2.0
    assert curve[1][2] == judge(safe, problem.anatomy, problem.limits).slack_mm


def test_what_is_no_plan_for_the_problem_does_not_count(problem: Problem, safe: Plan) -> None:
    offers, broken = Offers(), straight(problem, "p")
    object.__setattr__(broken.trajectories[0], "tip_lps_mm", np.full(3, np.nan))
    first, *others = safe.trajectories
    slimmer = replace(first.model, id="slimmer", inscribed_radius_mm=0.5 * first.model.inscribed_radius_mm)
    nothing: Any = (
        None,
        "plan",
        broken,
        replace(safe, trajectories=safe.trajectories[:2]),
        replace(safe, side="right"),
        replace(safe, trajectories=(replace(first, model=slimmer), *others)),
    )
    for plan in nothing:
        offers.note(plan, 1)
    row = offers.judged(problem, measuring_surfaces(problem.anatomy, problem.side))
    assert row == {"first_safe_s": None, "anytime": None}


def test_a_planner_that_shows_too_much_is_thinned_out(problem: Problem, safe: Plan) -> None:
    offers = Offers()
    for n in range(10_000):
        offers.note(safe, n)
    assert len(offers.seen) <= KEPT
    counts = [evaluations for _, evaluations, _ in offers.seen]
    assert counts[0] == 0
    assert counts == sorted(set(counts))
