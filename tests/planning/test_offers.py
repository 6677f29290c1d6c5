"""Plans shown on the way: better and better, for the problem that was asked, and no answer is another for it."""

import numpy as np
import pytest

from sjplan.core.plan import Plan
from sjplan.planning.answers import fingerprint, misfits
from sjplan.planning.protocol import Budget
from sjplan.planning.raster import RasterPlanner, RasterSearch
from sjplan.planning.registry import load
from sjplan.planning.workshop import missing_mm
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_problem


@pytest.mark.parametrize(("planner_id", "most"), [("random-v1", 601_000), ("rule-v1", 1000), ("raster-v1", 700_000)])
def test_whoever_listens_changes_nothing_and_hears_of_better_plans(planner_id: str, most: int) -> None:
    problem, heard = phantom_problem(), list[tuple[Plan, int]]()
    listened = Budget(evaluations=most, listener=lambda plan, evaluations: heard.append((plan, evaluations)))
    answers = [
        load(planner_id).plan(problem, rng=np.random.default_rng(0), budget=budget)
        for budget in (Budget(evaluations=most), listened)
    ]
    assert fingerprint(answers[0]) == fingerprint(answers[1])
    assert heard
    worth = []
    for plan, evaluations in heard:
        assert misfits("a plan on the way", plan, problem, planner_id) == []
        assert 0 < evaluations <= most
        report = judge(plan, problem.anatomy, problem.limits)
        worth.append(report.slack_mm if report.accepted else -missing_mm(report))
    counts = [evaluations for _, evaluations in heard]
    assert counts == sorted(counts)
    assert max(worth) >= worth[0]


def test_plans_for_another_question_are_not_shown() -> None:
    heard: list[Plan] = []
    budget = Budget(evaluations=700_000, listener=lambda plan, evaluations: heard.append(plan))
    planner = RasterPlanner()
    rng = np.random.default_rng(0)
    shop = RasterSearch.prepare(phantom_problem(), planner.parameters, rng, budget, planner.spec.id)
    fewer = shop.two_implants()
    assert fewer is not None
    assert len(fewer.trajectories) == 2
    assert heard == []
