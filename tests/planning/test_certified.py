"""certified-v1: the contract that ships, what a certificate says, robust plans, obstacles, refusals with reasons."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Certificate, Outcome, Reason
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.error_models import read_error_models
from sjplan.io.limits import read_limits
from sjplan.io.presets import read_preset
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.planning.certified import CERTIFIED_DEFAULTS, CertifiedPlanner
from sjplan.planning.evolve import evolved
from sjplan.planning.finish import Bench
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.refusal import dysmorphism, models_that_fit, relaxations
from sjplan.planning.robust import clearance_sigma_mm, plan_z_score, z_score
from sjplan.planning.workshop import Workshop
from sjplan.safety.breach import moved_solids
from sjplan.safety.judge import judge
from sjplan.safety.measures import signed_clearances, solid_gap_mm
from sjplan.testing.contract import PlannerContract
from sjplan.testing.problems import dishonesty, phantom_problem

SMALL = {
    "crossing_step_mm": 3.0,
    "direction_step_deg": 6.0,
    "pool": 1500,
    "starts": 6,
    "climb_steps": 600,
    "refinements": 30,
    "evolutions": 2,
    "generations": 60,
    "bound_boxes": 20_000,
    "steadying": 60,
}


@pytest.mark.slow
class TestCertifiedPlanner(PlannerContract):
    """Slack beyond the cap is not sought, and 0.1 mm of it is given for length and spread."""

    invariance_tol_mm = 0.11
    enough_slack_mm = CERTIFIED_DEFAULTS["slack_cap_mm"]

    @pytest.fixture
    def planner(self) -> CertifiedPlanner:
        return CertifiedPlanner(**SMALL)


def planned(problem: Problem, **parameters: float) -> Outcome:
    planner = CertifiedPlanner(**{**SMALL, **parameters})
    return planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())


def test_a_certificate_that_contradicts_itself_is_refused() -> None:
    for slack, upper, cap in ((3.0, 2.0, 4.0), (1.0, 5.0, 4.0), (math.nan, 2.0, 3.0)):
        with pytest.raises(GeometryError, match=r"certificate: found .*; wanted slack <= bound <= cap"):
            Certificate(slack, upper, cap)


def test_a_cap_may_be_infinite_and_nothing_else() -> None:
    assert CertifiedPlanner(slack_cap_mm=math.inf).parameters["slack_cap_mm"] == math.inf
    with pytest.raises(GeometryError, match=r"certified-v1.gap_mm: found inf"):
        CertifiedPlanner(gap_mm=math.inf)


@pytest.mark.slow
def test_a_plan_at_the_cap_is_certified_by_the_cap() -> None:
    """Slacks that differ by 0.1 mm count as equal, and the gap says so."""
    problem = phantom_problem()
    outcome = planned(problem, slack_cap_mm=1.0)
    assert outcome.status == "found"
    assert outcome.plan is not None
    assert outcome.certificate is not None
    report = judge(outcome.plan, problem.anatomy, problem.limits)
    assert outcome.certificate.slack_mm == pytest.approx(min(report.slack_mm, 1.0), abs=1e-9)
    assert (outcome.certificate.upper_bound_mm, outcome.certificate.cap_mm) == (1.0, 1.0)
    assert outcome.certificate.gap_mm <= 0.1


@pytest.mark.slow
def test_a_plan_that_keeps_lower_bounds_is_found_where_clearances_do_not_cover_them() -> None:
    """Its certificate is about the limits that were given, not about those that were asked on the way."""
    problem = phantom_problem()
    unsure = replace(problem, anatomy=replace(problem.anatomy, geometry_error_mm=4.5))
    bare = planned(replace(unsure, limits=replace(problem.limits, lower_bound_kinds=())), slack_cap_mm=0.2)
    assert bare.plan is not None
    assert not judge(bare.plan, unsure.anatomy, problem.limits).accepted
    outcome = planned(unsure, slack_cap_mm=0.2)
    assert outcome.plan is not None
    report = judge(outcome.plan, unsure.anatomy, problem.limits)
    assert report.accepted
    assert outcome.certificate is not None
    assert outcome.certificate.slack_mm == pytest.approx(min(report.slack_mm, 0.2), abs=1e-9)
    told: list[float] = []
    steady = CertifiedPlanner(**{**SMALL, "slack_cap_mm": 0.2}).plan(
        replace(unsure, robust_to=read_error_models()["freehand"]),
        rng=np.random.default_rng(0),
        budget=Budget(progress=lambda _what, share: told.append(share)),
    )
    assert steady.plan is not None
    assert judge(steady.plan, unsure.anatomy, problem.limits).accepted
    assert told == sorted(told), "progress never falls back"


@pytest.mark.slow
def test_on_labels_that_may_be_off_the_certificate_speaks_of_the_plan_that_holds_more() -> None:
    problem = phantom_problem()
    limits = replace(problem.limits, sacral_min_mm=15.0, sacral_finding_mm=15.0)
    sure = replace(problem, limits=limits)
    unsure = replace(sure, anatomy=replace(problem.anatomy, surface_error_mm=0.8))
    plans = [planned(case, slack_cap_mm=3.0, bound_boxes=20_000) for case in (sure, unsure)]
    reports = []
    for outcome in plans:
        assert outcome.plan is not None
        assert outcome.certificate is not None
        reports.append(judge(outcome.plan, problem.anatomy, limits))
        assert outcome.certificate.slack_mm == pytest.approx(min(reports[-1].slack_mm, 3.0), abs=1e-9)
        assert reports[-1].accepted
    least = [min(i.sacral_mm for i in report.implants) for report in reports]
    assert least[1] > max(least[0], 15.1)
    assert reports[1].slack_mm >= reports[0].slack_mm - 0.25


@pytest.mark.slow
def test_without_a_cap_the_bound_holds_for_other_plans_too() -> None:
    """A bound above this plan's slack; other seeds, other effort and a cap never find more than it allows."""
    problem = phantom_problem()
    first = planned(problem, slack_cap_mm=math.inf, bound_boxes=120_000)
    assert first.certificate is not None
    assert first.certificate.cap_mm == math.inf
    assert first.certificate.upper_bound_mm > first.certificate.slack_mm
    for seed in range(1, 4):
        other = CertifiedPlanner(**{**SMALL, "slack_cap_mm": math.inf, "bound_boxes": 1}).plan(
            problem, rng=np.random.default_rng(seed), budget=Budget()
        )
        assert other.plan is not None
        slack = judge(other.plan, problem.anatomy, problem.limits).slack_mm
        assert slack <= first.certificate.upper_bound_mm


@pytest.mark.slow
def test_what_an_evolution_leaves_of_the_budget_is_not_overdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    planner = CertifiedPlanner(**SMALL | {"slack_cap_mm": math.inf, "population": 8, "generations": 100_000})
    spent: list[int] = []

    def noted(shop: Workshop, population: int, generations: int, cap_mm: float) -> np.ndarray:
        members = evolved(shop, population, generations, cap_mm)
        spent.append(shop.evaluations)
        return members

    monkeypatch.setattr("sjplan.planning.certified.evolved", noted)
    problem = phantom_problem()
    planner.plan(problem, rng=np.random.default_rng(0), budget=Budget(evaluations=120_000))
    assert spent
    for left in (0, 5):
        budget = Budget(evaluations=spent[0] + left)
        outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=budget)
        assert outcome.evaluations <= spent[0] + left


@pytest.mark.slow
def test_the_pareto_plans_trade_slack_for_length() -> None:
    problem = phantom_problem()
    outcome = planned(problem)
    reports = [judge(plan, problem.anatomy, problem.limits) for plan in outcome.pareto]
    assert all(report.accepted for report in reports)
    assert outcome.pareto[0] == outcome.plan
    slack = [report.slack_mm for report in reports]
    length = [sum(i.sacral_mm for i in report.implants) for report in reports]
    assert length == sorted(length)
    assert len(set(length)) == len(length)
    for n, (s, sacral) in enumerate(zip(slack, length, strict=True)):
        assert not any(s2 > s + 0.1 and l2 > sacral + 0.1 for s2, l2 in zip(slack[n:], length[n:], strict=True))


def _numeric_sigma(bench: Bench, trajectory: Trajectory, structure: str, model_id: str) -> tuple[float, float]:
    """Standard deviation of one clearance under small errors, by drawing; and as computed."""
    model = read_error_models()[model_id]
    small = replace(model, covariance=model.covariance * 1e-4, label_sigma_mm=0.0)
    distance, at, on = signed_clearances(bench.surfaces, _envelope(trajectory))[structure]
    assert distance > 0
    draws = np.random.default_rng(0).standard_normal((400, 5))
    packed, _ = moved_solids(trajectory, small.errors(draws))
    changes = []
    for row in packed:
        tip = row[:3] + row[12] * row[3:6]
        moved = Trajectory(row[:3], tip, trajectory.roll_deg, trajectory.model)
        changes.append(signed_clearances(bench.surfaces, _envelope(moved))[structure][0] - distance)
    return float(np.std(changes)), clearance_sigma_mm(small, trajectory, at, on)


def _envelope(trajectory: Trajectory) -> object:
    from sjplan.geometry.solids import envelope_solid

    return envelope_solid(trajectory)


@pytest.mark.slow
def test_the_deviation_of_a_clearance_is_that_of_draws(bench: Bench, axes: np.ndarray) -> None:
    """Small errors, so that first order is all there is."""
    trajectory = bench.trajectory(1, axes[1], -25.0, 12.0)
    for structure in ("anterior", "foramen_S1_left"):
        drawn, computed = _numeric_sigma(bench, trajectory, structure, "fluoro-planned")
        assert computed == pytest.approx(drawn, rel=0.15)


@pytest.mark.slow
def test_a_robust_plan_has_the_better_z_score(bench: Bench) -> None:
    model = read_error_models()["fluoro-planned"]
    problem = phantom_problem()
    plain, robust = planned(problem), planned(replace(problem, robust_to=model))
    assert dishonesty(problem, robust, "certified-v1") == []
    assert plain.plan is not None
    assert robust.plan is not None
    assert robust.plan.parameters["robust_to"] == "fluoro-planned"
    assert robust.certificate is None, "the certificate speaks about slack"
    z = [plan_z_score(bench, model, outcome.plan.trajectories) for outcome in (plain, robust)]
    assert z[1] > z[0]
    assert z[1] == min(z_score(bench, model, t) for t in robust.plan.trajectories)


@pytest.mark.slow
def test_obstacles_of_the_other_side_are_kept_clear_of() -> None:
    """An implant of the other side across this side's best place moves the plan away; the certificate says so."""
    problem = phantom_problem()
    free = planned(problem)
    assert free.plan is not None
    near = free.plan.trajectories[1]
    shift = 4.0 * near.axis
    obstacle = Trajectory(near.tip_lps_mm + shift, near.tip_lps_mm + shift + 30.0 * near.axis, 0.0, near.model)
    given = planned(replace(problem, obstacles=(obstacle,)))
    assert given.plan is not None
    assert given.certificate is not None
    assert given.certificate.given == "right"
    gaps = [solid_gap_mm(t, obstacle) for t in given.plan.trajectories]
    assert min(gaps) >= problem.limits.solid_gap_min_mm - 1e-6


def narrow_problem(model: ImplantModel) -> Problem:
    anatomy = anatomy_from_labels(build_labels(read_preset("too-narrow"), spacing_mm=2.0)[0])
    return Problem(anatomy, "left", (model,) * 3, read_limits())


@pytest.mark.slow
def test_a_phantom_without_room_is_refused_with_reasons() -> None:
    catalogue = read_implants()
    problem = narrow_problem(catalogue["tri-7"])
    outcome = planned(problem)
    assert outcome.status == "infeasible"
    assert outcome.nearest is not None
    report = judge(outcome.nearest, problem.anatomy, problem.limits)
    worst = {v.constraint for v in report.violations}
    broken = {r.constraint for r in outcome.reasons if not r.constraint.startswith("binding:")}
    assert broken - {"proof"} == worst
    assert outcome.reasons[0].constraint.startswith("binding:")
    relax = relaxations(report)
    assert {r.constraint.removeprefix("relax:") for r in relax} <= worst
    assert all(0 < r.missing < 30 for r in relax)
    fitting = models_that_fit(problem, catalogue, lambda other: planned(other))
    for reason in fitting:
        assert reason.constraint == "other_model"
    shape = dysmorphism(problem.anatomy, "left")
    assert shape is not None
    assert "S1" in shape.text


@pytest.mark.slow
def test_slimmer_models_are_named_where_they_fit() -> None:
    """A model of twice the width does not fit where the usual one does: the usual one is named."""
    problem = phantom_problem()
    rod = problem.models[0]
    giant = replace(rod, id="giant", inscribed_radius_mm=3.0 * rod.inscribed_radius_mm)
    reasons = models_that_fit(replace(problem, models=(giant,) * 3), {"tri-7": rod, "giant": giant}, planned)
    assert [r.constraint for r in reasons] == ["other_model"]
    assert "tri-7" in reasons[0].text


def test_models_thicker_than_one_that_was_refused_are_not_tried() -> None:
    """Of three cylinders of the same lengths the slimmest is asked; one that has other lengths is asked too."""
    problem = phantom_problem()
    rod = problem.models[0]
    thread = replace(read_implants()["thread-10"], lengths_mm=(40.0, 50.0), thread=None)
    models = [replace(thread, id=f"r{r:g}", inscribed_radius_mm=r) for r in (4.5, 4.0, 5.0)]
    short = replace(thread, id="short", inscribed_radius_mm=5.5, lengths_mm=(30.0,))
    tried: list[str] = []

    def refuse(other: Problem) -> Outcome:
        tried.append(other.models[0].id)
        return Outcome("infeasible", reasons=(Reason("passage", 1.0, "mm", "no"),))

    catalogue = {m.id: m for m in (*models, short, rod)}
    assert models_that_fit(problem, catalogue, refuse) == ()
    assert tried == ["r4", "short"]


def test_limits_that_no_length_can_keep_are_refused() -> None:
    rod = read_implants()["tri-7"]
    limits = replace(read_limits(), iliac_min_mm=60.0, sacral_min_mm=30.0)
    with pytest.raises(GeometryError, match=r"limits on length for tri-7: found 90 mm .*; wanted at most"):
        replace(phantom_problem(), limits=limits, models=(rod,) * 3)


@pytest.mark.slow
def test_what_is_narrow_by_construction_is_named_first() -> None:
    """Of a phantom that only its wide foramina make too narrow, they are named first; the same in every run."""
    anatomy = anatomy_from_labels(build_labels(PhantomParameters(size=0.82, foramen_scale=1.5), spacing_mm=2.0)[0])
    problem = Problem(anatomy, "left", (read_implants()["tri-7"],) * 3, read_limits())
    outcome = planned(problem)
    assert outcome.status == "infeasible"
    assert outcome.reasons[0].constraint == "binding:foramen"
    assert "mm in place of -" in outcome.reasons[0].text
    again = planned(problem)
    assert again.reasons == outcome.reasons


@pytest.mark.slow
def test_a_refusal_claims_a_proof_only_where_there_is_one() -> None:
    """Implants as thick as the sacrum are proved to fit nowhere; a proof cut short is none."""
    problem = phantom_problem()
    giant = replace(problem.models[0], id="giant", inscribed_radius_mm=12.0)
    problem = replace(problem, models=(giant,) * 3)
    for boxes, proved in ((400_000, True), (1, False)):
        outcome = planned(problem, bound_boxes=boxes)
        assert outcome.status == "infeasible"
        assert any(r.constraint == "proof" for r in outcome.reasons) == proved
