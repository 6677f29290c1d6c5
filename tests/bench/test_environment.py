"""The environment is honest: what it pays is what the judge says, and the certified plan is worth more than chance."""

import warnings
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sjplan.bench.environment import FLOOR_MM, MODULE_ID, NUMBERS, PinPlacement, score_mm
from sjplan.core.errors import InputError
from sjplan.core.plan import Plan
from sjplan.core.structures import DANGERS
from sjplan.core.trajectory import Trajectory
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.protocol import Budget, Problem
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_problem

SMALL = {"crossing_step_mm": 3.0, "direction_step_deg": 6.0, "pool": 1500, "starts": 6, "climb_steps": 600,
         "refinements": 30, "evolutions": 2, "generations": 60, "bound_boxes": 2000, "steadying": 60}  # fmt: skip


@pytest.fixture(scope="module")
def env(problem: Problem) -> PinPlacement:
    return PinPlacement(problem)


def rough_plan(problem: Problem) -> Plan:
    """Three implants straight through the joint."""
    joint = problem.anatomy.joints[problem.side]
    high = joint.sacral_lps_mm[np.argsort(-joint.sacral_lps_mm[:, 2])]
    places = [high[int(share * len(high))] for share in (0.2, 0.5, 0.8)]
    way = joint.mean_normal
    return Plan(
        problem.side, tuple(Trajectory(x - 28 * way, x + 12 * way, 15.0, problem.models[0]) for x in places), "me"
    )


@pytest.mark.slow
def test_gymnasium_checks_it_without_a_word(problem: Problem) -> None:
    made = gymnasium.make(MODULE_ID, problems=problem)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)
    assert made.spec is not None
    assert (made.spec.id, made.spec.max_episode_steps) == ("sjplan/PinPlacement-v0", 200)


def test_a_seed_says_where_it_begins(env: PinPlacement) -> None:
    first, info = env.reset(seed=4)
    again, same = env.reset(seed=4)
    assert np.array_equal(first, again)
    assert info == same
    assert not np.array_equal(first, env.reset(seed=5)[0])


def test_it_begins_with_axes_through_the_joint(env: PinPlacement, problem: Problem) -> None:
    """Each through a point of the joint, from its upper to its lower part."""
    joint = problem.anatomy.joints["left"]
    middle = 0.5 * (joint.sacral_lps_mm + joint.iliac_lps_mm)
    for seed in range(5):
        env.reset(seed=seed)
        heights = []
        for t in env.plan.trajectories:
            along = (middle - t.entry_lps_mm) @ t.axis
            off = np.linalg.norm(middle - t.entry_lps_mm - along[:, None] * t.axis, axis=1)
            assert off.min() < 1e-6
            heights.append(problem.anatomy.frame.frame_from_lps(middle[off.argmin()])[2])
        assert heights == sorted(heights, reverse=True)


def test_numbers_are_the_judges(env: PinPlacement, problem: Problem) -> None:
    seen, info = env.reset(seed=2)
    report = judge(env.plan, problem.anatomy, problem.limits)
    value = dict(zip(env.names, seen, strict=True))
    for m in report.implants:
        slack = {c.structure: c.slack_mm for c in m.clearances}
        for name in DANGERS:
            assert value[f"{m.slot} slack to {name}"] == pytest.approx(
                np.clip(slack.get(name, 99) / 20, -1, 1), abs=1e-4
            )
        assert value[f"{m.slot} in sacrum"] == pytest.approx(min(m.sacral_mm / 60, 1), abs=1e-6)
    assert value["1 and 3 gap"] == pytest.approx(np.clip(report.pairs[1].gap_mm / 20, -1, 1), abs=1e-4)
    assert info["accepted"] == report.accepted
    assert info["slack_mm"] == pytest.approx(report.slack_mm, abs=2e-3)
    assert value["score"] == pytest.approx(info["score_mm"] / 20, abs=1e-6)


def test_both_sides_are_seen_alike() -> None:
    """The phantom's right side, seen by its own side's names, has its own foramina first."""
    right = PinPlacement(phantom_problem(side="right"))
    right.reset(seed=1)
    own = {c.structure: c.slack_mm for c in right.report.implants[0].clearances}["foramen_S1_right"]
    seen = dict(zip(right.names, right.reset(seed=1)[0], strict=True))["1 slack to foramen_S1_left"]
    assert seen == pytest.approx(np.clip(own / 20, -1, 1), abs=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_plan_is_placed_as_it_is(side: Any) -> None:
    problem = phantom_problem(side=side)
    env, plan = PinPlacement(problem), rough_plan(problem)
    env.reset(options={"plan": plan})
    for there, wanted in zip(env.plan.trajectories, plan.trajectories, strict=True):
        assert there.entry_lps_mm == pytest.approx(wanted.entry_lps_mm, abs=1e-9)
        assert there.tip_lps_mm == pytest.approx(wanted.tip_lps_mm, abs=1e-9)
        assert there.roll_deg == pytest.approx(15.0)
    assert np.abs(env.action_toward(plan)).max() < 1e-6


def test_rewards_add_up_to_the_score_and_steps_are_bounded(env: PinPlacement) -> None:
    _, info = env.reset(seed=3)
    start, paid = info["score_mm"], 0.0
    env.action_space.seed(3)
    for _ in range(4):
        before = env.plan.trajectories
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        paid += reward
        moved = [
            np.linalg.norm(a.entry_lps_mm - b.entry_lps_mm) for a, b in zip(before, env.plan.trajectories, strict=True)
        ]
        assert max(moved) <= 2.0 * np.sqrt(3) + 1e-9
        assert all(t.in_catalogue for t in env.plan.trajectories)
        assert terminated == (info["score_mm"] >= 3.0)
        assert not truncated
    assert start + paid == pytest.approx(info["score_mm"])


def test_the_score_is_below_zero_exactly_where_the_judge_refuses(problem: Problem) -> None:
    report = judge(rough_plan(problem), problem.anatomy, problem.limits)
    assert not report.accepted
    assert FLOOR_MM <= score_mm(report, 3.0) < 0
    clear = replace(report, violations=())
    assert score_mm(clear, 3.0) == pytest.approx(max(report.slack_mm, FLOOR_MM))


@pytest.mark.slow
def test_chance_and_the_certified_plan_bracket_the_reward(env: PinPlacement, problem: Problem) -> None:
    """Led to the certified plan, the environment pays its slack exactly; random moves from the same start pay less."""
    # Sought beyond the environment's cap: a plan just below it may be worth less than a place on the way to it.
    planner = CertifiedPlanner(**SMALL, slack_cap_mm=env.cap_mm + 1.0)
    outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert outcome.plan is not None
    slack = min(judge(outcome.plan, problem.anatomy, problem.limits).slack_mm, env.cap_mm)

    def paid(seed: int, plan: Plan | None, steps: int) -> tuple[float, float]:
        start, total = env.reset(seed=seed)[1]["score_mm"], 0.0
        env.action_space.seed(seed)
        for _ in range(steps):
            action = env.action_space.sample() if plan is None else env.action_toward(plan)
            reward, terminated = env.step(action)[1:3]
            total += reward
            if terminated:
                break
        return start, total

    for seed in (0, 1):
        start, led = paid(seed, outcome.plan, 60)
        assert start + led == pytest.approx(slack, abs=2e-3)
        _, by_chance = paid(seed, None, 12)
        assert by_chance < led


def test_text_says_what_the_judge_says(problem: Problem) -> None:
    env = PinPlacement(problem, render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    assert text is not None
    assert text.startswith("left: not accepted, score -")
    assert all(v.text in text for v in env.report.violations)


def test_what_cannot_be_used_is_refused(env: PinPlacement, problem: Problem) -> None:
    plan = rough_plan(problem)
    with pytest.raises(InputError, match="problems: found obstacles"):
        PinPlacement(replace(problem, obstacles=plan.trajectories))
    with pytest.raises(InputError, match=r"problems: found \[2, 3\] implants"):
        PinPlacement([problem, phantom_problem(models=("tri-7",) * 2)])
    with pytest.raises(InputError, match="cap_mm: found 0"):
        PinPlacement(problem, cap_mm=0.0)
    with pytest.raises(InputError, match=r"action: found shape \(3,\); wanted \(21,\) finite numbers"):
        env.step(np.zeros(3, np.float32))
    with pytest.raises(InputError, match="action: found NaN"):
        env.step(np.full(3 * len(NUMBERS), np.nan, np.float32))
    with pytest.raises(InputError, match="plan: found 2 implants, left; wanted a plan of this problem"):
        env.reset(options={"plan": replace(plan, trajectories=plan.trajectories[:2])})
    with pytest.raises(InputError, match="options: problem: found 1; wanted 0 to 0"):
        env.reset(options={"problem": 1})
    far = replace(plan.trajectories[0], entry_lps_mm=plan.trajectories[0].entry_lps_mm + 200.0)
    with pytest.raises(InputError, match="plan: found an implant far off the joint"):
        env.reset(options={"plan": replace(plan, trajectories=(far, *plan.trajectories[1:]))})
