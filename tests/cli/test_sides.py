"""Two sides of one plan: where their implants come too near, one side is planned again."""

from dataclasses import replace

import pytest

from sjplan.cli.sides import SideResult, kept_apart, plan_side
from sjplan.core.arrays import Array
from sjplan.core.plan import Outcome, Plan
from sjplan.core.trajectory import Trajectory
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.protocol import Budget, Problem
from sjplan.safety.judge import judge, side_conflicts
from sjplan.testing.problems import phantom_problem

SMALL = {
    "crossing_step_mm": 3.0, "direction_step_deg": 6.0, "pool": 1500, "starts": 6, "climb_steps": 600,
    "refinements": 30, "evolutions": 1, "generations": 40, "bound_boxes": 1000,
}  # fmt: skip


def planned(problem: Problem) -> SideResult:
    return plan_side(CertifiedPlanner(**SMALL), problem, seed=0, budget=Budget(), input_sha256="")


def reaching(result: SideResult, problem: Problem, slot: int, point: Array) -> SideResult:
    """The result with one implant that reaches to a point: no planner's answer."""
    assert result.outcome.plan is not None
    trajectories = list(result.outcome.plan.trajectories)
    old = trajectories[slot]
    trajectories[slot] = Trajectory(old.entry_lps_mm, point, old.roll_deg, old.model)
    plan: Plan = replace(result.outcome.plan, trajectories=tuple(trajectories))
    return SideResult(result.side, Outcome("found", plan=plan), judge(plan, problem.anatomy, problem.limits))


@pytest.mark.slow
def test_sides_that_conflict_are_planned_apart() -> None:
    problems = {side: phantom_problem(side=side) for side in ("left", "right")}
    problems["right"] = replace(problems["right"], anatomy=problems["left"].anatomy)
    results = {side: planned(problem) for side, problem in problems.items()}
    assert kept_apart(results, problems, planned) is results, "plans that keep apart stay as they are"
    limits = problems["left"].limits
    left = results["left"].outcome.plan
    assert left is not None
    results["right"] = reaching(results["right"], problems["right"], 1, left.trajectories[1].tip_lps_mm)
    margins = [results[side].margins for side in ("left", "right")]
    assert margins[0] is not None
    assert margins[1] is not None
    assert side_conflicts(margins[0], margins[1], limits)
    apart = kept_apart(results, problems, planned)
    again = "left" if margins[0].slack_mm >= margins[1].slack_mm else "right"
    assert again == "left"
    assert apart["right"] is results["right"], "the side with less slack stays"
    assert apart["left"].margins is not None
    assert margins[1] is not None
    assert not side_conflicts(apart["left"].margins, margins[1], limits)
    assert apart["left"].outcome.certificate is not None
    assert apart["left"].outcome.certificate.given == "right"
