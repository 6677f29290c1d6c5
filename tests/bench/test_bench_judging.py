"""Judging: measured by the judge alone, honest about bounds; answers that are none are rejected, with reasons."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sjplan.bench.bounds import SCHEMA, bound_name, bound_of, made_bound
from sjplan.bench.cases import truth_of
from sjplan.bench.judging import Rejected, measures, problem_print, require_unchanged
from sjplan.bench.plan_runs import runs_of
from sjplan.bench.rows import checked
from sjplan.bench.runs import Run
from sjplan.core.errors import InputError
from sjplan.core.plan import Outcome, Plan
from sjplan.core.trajectory import Trajectory
from sjplan.io.benchfiles import read_bench
from sjplan.io.catalogue import read_implants
from sjplan.planning.answers import dishonesty
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_problem

PLANNER = "evolution-v1"


def run_of(planner: str = PLANNER, **changes: Any) -> Run:
    (run,) = [
        r
        for r in runs_of(read_bench("smoke"))
        if r.case.key == "default" and r.planner.name == planner and r.side == "left"
    ]
    return dataclasses.replace(run, **{"settings_sha256": "", **changes})


@pytest.fixture(scope="module")
def problem() -> Problem:
    return phantom_problem()


@pytest.fixture(scope="module")
def found(problem: Problem) -> Outcome:
    budget = Budget(evaluations=1_000_000)
    return load(PLANNER).plan(problem, rng=np.random.default_rng(0), budget=budget)


def row_of(problem: Problem, outcome: object, bound_mm: float | None = 3.0, **changes: Any) -> dict[str, Any]:
    row = measures(run_of(**changes), problem, outcome, bound_mm=bound_mm, truth=None)
    return checked({"run": "r", "case_key": "default", "side": "left", "planner": PLANNER, "seed": 0, **row})


def test_what_is_measured_is_what_the_judge_says(problem: Problem, found: Outcome) -> None:
    assert found.plan is not None
    report = judge(found.plan, problem.anatomy, problem.limits)
    row = row_of(problem, found)
    assert row["accepted"] is True
    assert row["false_accept"] is False
    assert row["slack_mm"] == pytest.approx(report.slack_mm, abs=1e-6)
    assert row["margin_mm"] == pytest.approx(report.margin_mm, abs=1e-6)
    assert row["binding"] == min((i.binding for i in report.implants), key=lambda c: c.slack_mm).structure
    assert row["regret_mm"] == pytest.approx(3.0 - min(report.slack_mm, 3.0), abs=1e-6)
    assert row["spacing_mm"] == pytest.approx(min(p.spacing_mm for p in report.pairs), abs=1e-6)
    assert row["lower_bound_mm"] > 0
    assert row["evaluations"] == found.evaluations
    assert row["breach_probability"] is None, "no error model was named"
    again = [
        Trajectory(p["entry_lps_mm"], p["tip_lps_mm"], p["roll_deg"], read_implants()[p["model"]]) for p in row["plan"]
    ]
    stored = dataclasses.replace(found.plan, trajectories=tuple(again))
    assert judge(stored, problem.anatomy, problem.limits).slack_mm == pytest.approx(report.slack_mm, abs=1e-4)


def test_a_plan_that_the_judge_refuses_is_a_false_accept(problem: Problem, found: Outcome) -> None:
    assert found.plan is not None
    first = found.plan.trajectories[0]
    out = -6.0 * first.axis
    loose = Trajectory(first.entry_lps_mm + out, first.tip_lps_mm + out, first.roll_deg, first.model)
    plan = dataclasses.replace(found.plan, trajectories=(loose, *found.plan.trajectories[1:]))
    row = row_of(problem, dataclasses.replace(found, plan=plan, certificate=None, pareto=()))
    assert row["status"] == "found"
    assert (row["accepted"], row["false_accept"], row["regret_mm"]) == (False, True, None)


def test_a_refusal_has_the_measures_of_its_nearest_plan_and_accepts_nothing(problem: Problem) -> None:
    outcome = load("rule-v1").plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert outcome.nearest is not None
    row = checked(
        {"run": "r", "case_key": "c", "side": "left", "planner": "rule-v1", "seed": 0}
        | measures(run_of("rule-v1"), problem, outcome, bound_mm=3.0, truth=None)
    )
    report = judge(outcome.nearest, problem.anatomy, problem.limits)
    assert row["slack_mm"] == pytest.approx(report.slack_mm, abs=1e-6)
    assert (row["status"], row["accepted"], row["false_accept"], row["regret_mm"]) == ("infeasible", None, False, None)
    assert len(row["plan"]) == 3


def test_a_bound_that_a_plan_beats_is_told_loudly(problem: Problem, found: Outcome) -> None:
    row = row_of(problem, found, bound_mm=1.0)
    assert row["error_type"] == "BoundBeaten"
    assert "wanted at most 1.0000 mm, which is proved" in row["error_message"]
    assert row["regret_mm"] < 0
    assert row_of(problem, found, bound_mm=None)["regret_mm"] is None
    capped = row_of(problem, found, bound_mm=1.0, cap_mm=1.0)
    assert capped["error_type"] is None, "slack beyond the cap counts no further, for plan and bound alike"
    assert capped["regret_mm"] == 0.0


def test_breach_probabilities_are_those_of_the_named_model(problem: Problem, found: Outcome) -> None:
    wide, narrow = (row_of(problem, found, error_model=name) for name in ("freehand", "navigated"))
    for row in (wide, narrow):
        assert row["breach_low"] <= row["breach_probability"] <= row["breach_high"]
    assert wide["breach_probability"] > narrow["breach_probability"]
    assert row_of(problem, found, error_model="freehand") == wide, "every plan gets the same draws"


def other(found: Outcome, **changes: Any) -> Outcome:
    assert found.plan is not None
    return dataclasses.replace(found, plan=dataclasses.replace(found.plan, **changes), certificate=None, pareto=())


def forced(value: Any, **changes: Any) -> Any:
    """A copy of a frozen value with fields that its constructor would refuse."""
    copy = object.__new__(type(value))
    for field in dataclasses.fields(value):
        object.__setattr__(copy, field.name, changes.get(field.name, getattr(value, field.name)))
    return copy


def bent(found: Outcome, **changes: Any) -> Outcome:
    assert found.plan is not None
    first, *others = found.plan.trajectories
    return other(found, trajectories=(forced(first, **changes), *others))


def shorter(found: Outcome) -> Outcome:
    assert found.plan is not None
    first, *others = found.plan.trajectories
    cut = Trajectory(first.entry_lps_mm, first.tip_lps_mm - 1.5 * first.axis, first.roll_deg, first.model)
    return other(found, trajectories=(cut, *others))


def screws(found: Outcome) -> Outcome:
    assert found.plan is not None
    screw = read_implants()["screw-7.3"]
    return other(found, trajectories=tuple(dataclasses.replace(t, model=screw) for t in found.plan.trajectories))


NONE_AT_ALL: dict[str, tuple[Callable[[Outcome], object], str]] = {
    "nothing": (lambda o: None, "NoneType.*wanted an Outcome"),
    "garbage": (lambda o: {"status": "found"}, "dict"),
    "something alike": (lambda o: SimpleNamespace(status="found", plan=o.plan), "SimpleNamespace"),
    "a status of its own": (lambda o: forced(o, status="perfect"), "status: found 'perfect'"),
    "invalid input": (lambda o: Outcome("invalid_input"), "invalid_input"),
    "found without a plan": (lambda o: forced(o, plan=None), "found without a plan"),
    "infeasible with a plan": (lambda o: forced(o, status="infeasible"), "infeasible with a plan"),
    "too many evaluations": (lambda o: dataclasses.replace(o, evaluations=10**9), "1000000000.*at most 2000000"),
    "negative evaluations": (lambda o: dataclasses.replace(o, evaluations=-1), "evaluations: found -1"),
    "no number of evaluations": (lambda o: forced(o, evaluations="many"), "evaluations: found 'many'"),
    "the other side": (lambda o: other(o, side="right"), "for the right side, asked was the left"),
    "someone else's": (lambda o: other(o, planner="certified-v1"), "signed 'certified-v1'"),
    "other models": (screws, "screw-7.3"),
    "a length that is not sold": (shorter, "implant 1 is .* mm long"),
    "two of three": (lambda o: other(o, trajectories=o.plan.trajectories[:2]), "holds"),  # type: ignore[union-attr]
    "no plan": (lambda o: forced(o, plan=[1, 2, 3]), "the plan: found list"),
    "no trajectories": (lambda o: other(o, trajectories=(1, 2, 3)), "the plan: implant 1: found AttributeError"),
    "not a number": (lambda o: bent(o, roll_deg=float("nan")), "implant 1: found GeometryError: roll_deg.*nan"),
    "an infinite tip": (
        lambda o: bent(o, tip_lps_mm=np.array([np.inf, 0, 0])),
        "implant 1: found GeometryError.*tip_lps_mm",
    ),
    "a shapeless tip": (lambda o: bent(o, tip_lps_mm=np.zeros(2)), "implant 1.*tip_lps_mm"),
    "a tip of words": (lambda o: bent(o, tip_lps_mm="there"), "implant 1"),
    "a nearest plan of the other side": (
        lambda o: Outcome("timeout", nearest=dataclasses.replace(o.plan, side="right")),  # type: ignore[type-var]
        "the nearest plan is for the right side",
    ),
}


@pytest.mark.parametrize("name", NONE_AT_ALL)
def test_answers_that_are_none_are_rejected(name: str, problem: Problem, found: Outcome) -> None:
    make, message = NONE_AT_ALL[name]
    with pytest.raises(Rejected, match=message) as caught:
        row_of(problem, make(found))
    assert "\n" not in str(caught.value)


def test_an_honest_answer_by_the_contract_is_never_rejected(problem: Problem, found: Outcome) -> None:
    assert dishonesty(problem, found, PLANNER) == []
    assert row_of(problem, found)["error_type"] is None


def test_a_planner_signs_with_the_id_that_it_gives_itself(problem: Problem, found: Outcome) -> None:
    mine = other(found, planner="mine-v1")
    run = run_of()
    assert measures(run, problem, mine, bound_mm=None, truth=None, planner_id="mine-v1")["accepted"]
    with pytest.raises(Rejected, match="signed 'mine-v1'"):
        measures(run, problem, mine, bound_mm=None, truth=None)


def test_a_changed_problem_is_noticed(problem: Problem) -> None:
    anatomy = problem.anatomy
    joint = anatomy.joints[problem.side]
    gap = np.array(joint.gap_mm)
    loose = forced(joint, gap_mm=gap)
    mine = dataclasses.replace(problem, anatomy=forced(anatomy, joints={**anatomy.joints, problem.side: loose}))
    before = problem_print(mine)
    assert problem_print(mine) == before
    require_unchanged(mine, before)
    gap[0] += 1e-9
    with pytest.raises(Rejected, match="a problem that is another than before"):
        require_unchanged(mine, before)
    gap[0] -= 1e-9
    assert problem_print(dataclasses.replace(mine, side="right")) != before
    easier = dict(mine.limits.clearance_mm)
    mine = dataclasses.replace(mine, limits=dataclasses.replace(mine.limits, clearance_mm=easier))
    before = problem_print(mine)
    easier["foramen"] = 0.0
    with pytest.raises(Rejected):
        require_unchanged(mine, before)


def test_a_plan_beside_the_pelvis_is_measured_and_refused(problem: Problem, found: Outcome) -> None:
    assert found.plan is not None
    away = np.array([0.0, 500.0, 0.0])
    moved = tuple(
        Trajectory(t.entry_lps_mm + away, t.tip_lps_mm + away, t.roll_deg, t.model) for t in found.plan.trajectories
    )
    row = row_of(problem, other(found, trajectories=moved))
    assert row["false_accept"] is True
    assert row["iliac_mm"] == 0.0
    assert row["spacing_mm"] is None, "they cross no joint"


def test_a_kept_bound_is_read_and_one_of_the_future_is_refused(problem: Problem, tmp_path: Path) -> None:
    run = run_of()
    file = tmp_path / f"{bound_name(run, problem)}.json"
    file.write_text(json.dumps({"schema": SCHEMA, "bound_mm": 2.5}), encoding="utf-8")
    assert bound_of(run, problem, tmp_path) == 2.5
    file.write_text(json.dumps({"schema": "sjplan.bench-bound/9", "bound_mm": 2.5}), encoding="utf-8")
    with pytest.raises(InputError, match="bench-bound/9"):
        bound_of(run, problem, tmp_path)


@pytest.mark.slow
def test_a_bound_holds_and_is_made_again_where_its_file_is_torn(
    problem: Problem, found: Outcome, tmp_path: Path
) -> None:
    run = run_of()
    bound = bound_of(run, problem, tmp_path)
    assert found.plan is not None
    assert min(judge(found.plan, problem.anatomy, problem.limits).slack_mm, 3.0) <= bound <= run.cap_mm
    (file,) = tmp_path.iterdir()
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[:20], encoding="utf-8")
    assert bound_of(run, problem, tmp_path) == bound
    assert file.read_text(encoding="utf-8") == whole, "the same again, to the last bit"


def test_bounds_are_named_by_what_they_are_of(problem: Problem) -> None:
    run = run_of()
    strict = dataclasses.replace(problem, limits=dataclasses.replace(problem.limits, sacral_min_mm=12.0))
    screw = dataclasses.replace(problem, models=(read_implants()["screw-7.3"],) * 3)
    names = {bound_name(run, p) for p in (problem, strict, screw)}
    names |= {bound_name(run_of(cap_mm=4.0), problem), bound_name(run_of(side="right"), problem)}
    assert len(names) == 5
    assert bound_name(run_of(seed=5, truth=True, budget=run.budget), problem) == bound_name(run, problem)


@pytest.mark.slow
def test_a_bound_below_the_cap_is_above_what_others_find(problem: Problem) -> None:
    cap = 8.0
    made = made_bound(problem, cap, boxes=400_000)
    assert 0 < made["boxes"] <= 400_000
    assert made["slack_mm"] < made["bound_mm"] < cap
    planner = load(PLANNER, slack_cap_mm=cap)
    outcome = planner.plan(problem, rng=np.random.default_rng(1), budget=Budget(evaluations=100_000))
    assert outcome.plan is not None
    assert judge(outcome.plan, problem.anatomy, problem.limits).slack_mm <= made["bound_mm"]


@pytest.mark.slow
def test_the_true_margin_of_a_phantom_is_measured_on_its_shapes(problem: Problem, found: Outcome) -> None:
    run = run_of(truth=True)
    truth = truth_of(run.case)
    assert truth is not None
    assert truth_of(run.case) is truth, "prepared once"
    row = measures(run, problem, found, bound_mm=None, truth=truth)
    assert row["true_breach"] is False
    assert 0 < row["true_error_mm"] < 0.1
    assert row["true_margin_mm"] + row["true_error_mm"] > row["margin_mm"] - problem.anatomy.geometry_error_mm
    assert isinstance(found.plan, Plan)
    first, *others = found.plan.trajectories
    into = np.array([0.0, -12.0, 0.0])
    in_front = Trajectory(first.entry_lps_mm + into, first.tip_lps_mm + into, first.roll_deg, first.model)
    row = measures(run, problem, other(found, trajectories=(in_front, *others)), bound_mm=None, truth=truth)
    assert row["true_breach"] is True
    assert row["true_margin_mm"] < 0
    assert row["false_accept"] is True
