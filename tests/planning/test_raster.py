"""raster-v1 as a user meets it: parameters, rules, plans of the presets, refusals."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.arrays import Array
from sjplan.core.errors import GeometryError
from sjplan.core.limits import Limits
from sjplan.core.plan import Plan, Side
from sjplan.core.structures import limit_kind
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import read_preset
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.planning.finish import RESERVE
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.raster import DEFAULTS, RasterPlanner, RasterSearch
from sjplan.planning.rules import pair_rules, slot_rules
from sjplan.planning.workshop import Judged
from sjplan.safety.judge import judge
from sjplan.safety.types import MarginReport, Violation
from sjplan.testing.problems import dishonesty, impossible_problem, phantom_problem


def test_unknown_parameter_names_the_known_ones() -> None:
    with pytest.raises(
        GeometryError, match=r"raster-v1 parameter: found 'crossing_step'; wanted crossing_step_mm, .*pool"
    ):
        RasterPlanner(crossing_step=2.0)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [("crossing_step_mm", 0.0, "a number > 0"), ("direction_step_deg", -1.0, "a number > 0"),
     ("slack_cap_mm", float("nan"), "a number > 0"), ("midline_reserve_mm", float("inf"), "a number > 0"),
     ("pool", 0.5, "a count, 1 or more"), ("climb_steps", 0, "a count, 1 or more")],
)  # fmt: skip
def test_parameter_that_makes_no_sense(name: str, value: float, wanted: str) -> None:
    with pytest.raises(GeometryError, match=f"raster-v1.{name}: found .*; wanted {wanted}"):
        RasterPlanner(**{name: value})


def test_given_parameters_stand_in_place_of_defaults() -> None:
    assert RasterPlanner(starts=5).parameters == {**DEFAULTS, "starts": 5}
    assert RasterPlanner().parameters == dict(RasterPlanner.spec.parameters)


def test_rules_of_the_slots(problem: Problem) -> None:
    """Tips stay lateral of S1, then of S1 and S2, as the judge wants it; a little more is kept in reserve."""
    anatomy, limits, rod = problem.anatomy, problem.limits, problem.models[0]
    first, second, third = (slot_rules(anatomy, "left", limits, slot, rod) for slot in (1, 2, 3))
    s1, s2 = (anatomy.foramen(level, "left") for level in ("S1", "S2"))
    assert s1 is not None
    assert s2 is not None
    assert first.tip_lateral_mm == 0.0
    assert second.tip_lateral_mm == s1.most_lateral_mm + RESERVE
    assert third.tip_lateral_mm == max(s1.most_lateral_mm, s2.most_lateral_mm) + RESERVE
    assert first.sacral_min_mm == limits.sacral_min_mm + RESERVE
    assert first.radius_mm == rod.circumscribed_radius_mm == 6.0


def test_implants_stay_above_the_last_foramen_found(problem: Problem) -> None:
    """With S4 found there is no floor; without it, the last level found is the floor."""
    anatomy = problem.anatomy
    fewer = replace(anatomy, foramina=tuple(f for f in anatomy.foramina if f.level in ("S1", "S2")))
    fourth = tuple(replace(f, level="S4") for f in anatomy.foramina if f.level == "S3")
    whole = replace(anatomy, foramina=(*(f for f in anatomy.foramina if f.level != "S4"), *fourth))
    assert whole.levels("left")[-1] == "S4"
    assert slot_rules(whole, "left", problem.limits, 3, problem.models[2]).lowest_mm < -1e5
    s2 = fewer.foramen("S2", "left")
    assert s2 is not None
    height = fewer.frame.frame_from_lps(s2.lumen_lps_mm)[:, 2].mean()
    assert slot_rules(fewer, "left", problem.limits, 3, problem.models[2]).lowest_mm == pytest.approx(height + RESERVE)


def test_rules_of_pairs() -> None:
    """Two triangles, face against corner: 6 + 3.5 mm, 3 mm of gap and a reserve of 0.1 between axes."""
    limits, implants = read_limits(), read_implants()
    triangles = pair_rules(limits, [implants["tri-7"]] * 3, 0.1)
    assert triangles.axis_gap_mm == pytest.approx(12.6)
    assert triangles.spacing_mm == pytest.approx(13.0 + RESERVE)
    assert np.degrees(np.arccos(triangles.cosine)) == pytest.approx(19.9)
    assert pair_rules(limits, [implants["screw-7.3"]] * 2, 0.0).axis_gap_mm == pytest.approx(2 * 3.65 + 3.0)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["left", "right"])
def test_default_phantom_is_planned_with_the_wished_slack(side: Side) -> None:
    problem = phantom_problem(side=side)
    outcome = RasterPlanner().plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert dishonesty(problem, outcome, "raster-v1") == []
    assert outcome.status == "found"
    assert outcome.plan is not None
    assert dict(outcome.plan.parameters) == DEFAULTS
    report = judge(outcome.plan, problem.anatomy, problem.limits)
    assert report.slack_mm >= DEFAULTS["slack_cap_mm"] - 0.15
    assert all(i.tip_to_midline_mm >= DEFAULTS["midline_reserve_mm"] for i in report.implants)


WIDE_FORAMINA = PhantomParameters(size=0.82, foramen_scale=1.5, interforaminal_mm=44.0)
"""Foramina wide and far out, where the paths lie: of what is narrow here they take most room, by 2 mm. Wide alone (the
inner edges where they always are) the front of this small sacrum takes as much."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("narrow", "binds"), [(read_preset("too-narrow"), "binding:"), (WIDE_FORAMINA, "binding:foramen")]
)
def test_phantom_without_room_is_refused_with_millimetres(narrow: PhantomParameters, binds: str) -> None:
    anatomy = anatomy_from_labels(build_labels(narrow, spacing_mm=2.0)[0])
    rod = read_implants()["tri-7"]
    problem = Problem(anatomy, "left", (rod,) * 3, read_limits())
    planner = RasterPlanner(crossing_step_mm=3.0, direction_step_deg=6.0, starts=6, climb_steps=600, refinements=30)
    outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert dishonesty(problem, outcome, "raster-v1") == []
    assert outcome.status == "infeasible"
    assert outcome.nearest is not None
    report = judge(outcome.nearest, anatomy, problem.limits)
    binding = [r for r in outcome.reasons if r.constraint.startswith("binding:")]
    assert outcome.reasons[: len(binding)] == tuple(binding)
    assert binding[0].constraint.startswith(binds)
    assert {r.constraint for r in outcome.reasons if r not in binding} == {v.constraint for v in report.violations}
    for reason, violation in ((r, v) for r in outcome.reasons for v in report.violations if r.text == v.text):
        assert reason.missing == pytest.approx(abs(violation.value - violation.limit), abs=1e-9)
    assert any(r.unit == "mm" and 0 < r.missing < 20 and f"{r.unit}" in r.text for r in outcome.reasons)
    if outcome.fallback is not None:
        assert len(outcome.fallback.trajectories) == 2


@pytest.mark.slow
def test_time_that_ends_in_the_middle_is_no_error(problem: Problem) -> None:
    """Whenever the clock ends the search, the answer is honest; only a search that was not cut may say `found`."""
    for seconds in (0.5, 1.5):
        budget = Budget(seconds=seconds)
        outcome = RasterPlanner(refinements=20).plan(problem, rng=np.random.default_rng(0), budget=budget)
        assert dishonesty(problem, outcome, "raster-v1") == []
        assert outcome.status in ("found", "best_effort", "timeout")


QUICK = RasterPlanner(
    slack_cap_mm=0.2, crossing_step_mm=3.0, direction_step_deg=6.0, starts=6, climb_steps=600, refinements=30
)
"""Content with 0.2 mm of slack, so that 1 and 2 mm of clearance leave little for lower bounds."""


@pytest.fixture
def unsure(problem: Problem) -> Problem:
    """Dangers may lie 4.5 mm nearer than they seem."""
    return replace(problem, anatomy=replace(problem.anatomy, geometry_error_mm=4.5))


@pytest.mark.slow
def test_a_lower_bound_is_planned_for_where_clearances_do_not_cover_it(unsure: Problem) -> None:
    def planned(limits: Limits, shown: list[Plan]) -> Plan:
        budget = Budget(listener=lambda plan, _spent: shown.append(plan))
        outcome = QUICK.plan(replace(unsure, limits=limits), rng=np.random.default_rng(0), budget=budget)
        assert outcome.status == "found"
        assert outcome.plan is not None
        return outcome.plan

    no_bounds = planned(replace(unsure.limits, lower_bound_kinds=()), [])
    broken = {v.constraint for v in judge(no_bounds, unsure.anatomy, unsure.limits).violations}
    assert "lower_bound:anterior" in broken
    assert all(name.startswith("lower_bound:") for name in broken)
    shown: list[Plan] = []
    report = judge(planned(unsure.limits, shown), unsure.anatomy, unsure.limits)
    assert report.accepted
    clear = [c for implant in report.implants for c in implant.clearances]
    assert min(c.lower_bound_mm for c in clear if limit_kind(c.structure) in unsure.limits.lower_bound_kinds) > 0.0
    assert any(judge(plan, unsure.anatomy, unsure.limits).accepted for plan in shown), "whoever listens hears of it"


@pytest.mark.slow
def test_a_refusal_for_a_lower_bound_names_it_first(unsure: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clearance binds a plan that keeps all of them."""
    monkeypatch.setattr("sjplan.planning.raster.RasterSearch._askings", lambda _: [])
    outcome = QUICK.plan(unsure, rng=np.random.default_rng(0), budget=Budget())
    assert dishonesty(unsure, outcome, "raster-v1") == []
    assert outcome.status == "infeasible"
    assert outcome.reasons
    assert all(r.constraint.startswith("lower_bound:") for r in outcome.reasons)


@pytest.mark.slow
def test_where_clearances_cover_the_bound_nothing_is_searched_again(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan is accepted, or fails by more than a bound: the limits asked for stay the problem's own."""
    monkeypatch.setattr("sjplan.planning.raster.RasterSearch.ask", pytest.fail)
    for case, status in ((problem, "found"), (impossible_problem(), "infeasible")):
        assert QUICK.plan(case, rng=np.random.default_rng(0), budget=Budget()).status == status


def off_by(problem: Problem, error_mm: float) -> Problem:
    """The same problem on labels that may be off, and on which a length in the sacrum costs slack."""
    limits = replace(problem.limits, sacral_min_mm=15.0, sacral_finding_mm=15.0)
    return replace(problem, anatomy=replace(problem.anatomy, surface_error_mm=error_mm), limits=limits)


def planned_and_judged(problem: Problem, **settings: float) -> tuple[Plan, MarginReport]:
    planner = RasterPlanner(**{**QUICK.parameters, **settings})
    outcome = planner.plan(problem, rng=np.random.default_rng(0), budget=Budget())
    assert outcome.status == "found"
    assert outcome.plan is not None
    return outcome.plan, judge(outcome.plan, problem.anatomy, problem.limits)


@pytest.mark.slow
@pytest.mark.parametrize("cap_mm", [2.0, 3.0])
def test_where_labels_may_be_off_a_plan_holds_more_than_its_limits(problem: Problem, cap_mm: float) -> None:
    """A quarter or an eighth of the error, for 0.25 mm of slack at the most."""
    limits = off_by(problem, 0.0).limits
    _, sure = planned_and_judged(off_by(problem, 0.0), slack_cap_mm=cap_mm)
    _, unsure = planned_and_judged(off_by(problem, 0.8), slack_cap_mm=cap_mm)
    assert min(i.sacral_mm for i in sure.implants) < limits.sacral_min_mm + 0.1
    assert min(i.sacral_mm for i in unsure.implants) >= limits.sacral_min_mm + 0.1
    assert min(i.iliac_mm for i in unsure.implants) >= limits.iliac_min_mm + 0.1
    assert max(i.protrusion_mm for i in unsure.implants) <= limits.protrusion_max_mm - 0.1
    assert max(i.joint_normal_angle_deg for i in unsure.implants) <= limits.joint_normal_angle_max_deg - 0.1
    assert min(unsure.slack_mm, cap_mm) >= min(sure.slack_mm, cap_mm) - 0.25
    assert unsure.accepted


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "cap_mm"), [(4, 0.5), (5, 1.5), (0, 0.5)])
def test_little_sacrum_is_given_for_a_reserve(problem: Problem, seed: int, cap_mm: float) -> None:
    """What one implant gains is not taken from the others: 2 mm of what the wish counts, and a fifth of all."""
    limits = replace(problem.limits, lower_bound_kinds=())
    reports = []
    for error_mm in (0.0, 2.0):
        anatomy = replace(problem.anatomy, surface_error_mm=error_mm, geometry_error_mm=2.9)
        case = replace(problem, limits=limits, anatomy=anatomy)
        planner = RasterPlanner(**{**QUICK.parameters, "slack_cap_mm": cap_mm})
        plan = planner.plan(case, rng=np.random.default_rng(seed), budget=Budget()).plan
        assert plan is not None
        reports.append(judge(plan, case.anatomy, limits))
    before, after = ([i.sacral_mm for i in report.implants] for report in reports)
    wish_mm = limits.sacral_finding_mm
    assert sum(min(mm, wish_mm) for mm in after) >= sum(min(mm, wish_mm) for mm in before) - 2.0
    assert sum(after) >= 0.8 * sum(before)


@pytest.mark.slow
@pytest.mark.parametrize("share", [-1.0, 40.0])
def test_what_cannot_be_held_or_brings_nothing_changes_no_plan(
    problem: Problem, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is the very one that labels without an error get: no length in the catalogue holds 32 mm more."""
    monkeypatch.setattr("sjplan.planning.raster._LIKELY_SHARES", (share,))
    plain, _ = planned_and_judged(off_by(problem, 0.0))
    unsure, _ = planned_and_judged(off_by(problem, 0.8))
    for a, b in zip(plain.trajectories, unsure.trajectories, strict=True):
        assert np.array_equal(a.entry_lps_mm, b.entry_lps_mm)
        assert np.array_equal(a.tip_lps_mm, b.tip_lps_mm)


@pytest.mark.slow
def test_a_budget_that_pays_for_the_search_alone_leaves_the_reserve_out(problem: Problem) -> None:
    """What was found stays found, with as little as is left."""
    case = off_by(problem, 0.8)
    whole = QUICK.plan(replace(case, anatomy=problem.anatomy), rng=np.random.default_rng(0), budget=Budget())
    told: list[float] = []
    budget = Budget(evaluations=whole.evaluations + 2000, progress=lambda _what, share: told.append(share))
    outcome = QUICK.plan(case, rng=np.random.default_rng(0), budget=budget)
    assert dishonesty(case, outcome, "raster-v1") == []
    assert outcome.status == "found"
    assert outcome.evaluations == whole.evaluations
    assert told == sorted(told)


@dataclass(slots=True, eq=False)
class Offered(RasterSearch):
    """A search that is offered made candidates in place of those it would find near the plan."""

    offers: list[Judged] = field(default_factory=list)

    def _near(self, axes: Array) -> list[Judged]:
        return self.offers


def moved(plan: Plan, ventral_mm: float) -> Plan:
    """The same implants a little farther from the back."""
    shift = np.array([0.0, -ventral_mm, 0.0])
    return replace(
        plan,
        trajectories=tuple(
            replace(t, entry_lps_mm=t.entry_lps_mm + shift, tip_lps_mm=t.tip_lps_mm + shift) for t in plan.trajectories
        ),
    )


def holding_more(report: MarginReport, more: float, priced: MarginReport | None = None) -> MarginReport:
    """The report with so many mm more in both bones and of the head, and as many degrees less; nothing violated.

    Clearances are those of `priced`, if it is given.
    """
    implants = tuple(
        replace(
            i,
            sacral_mm=i.sacral_mm + more,
            iliac_mm=i.iliac_mm + more,
            protrusion_mm=i.protrusion_mm - more,
            joint_normal_angle_deg=i.joint_normal_angle_deg - more,
            clearances=other.clearances,
        )
        for i, other in zip(report.implants, (priced or report).implants, strict=True)
    )
    return replace(report, implants=implants, violations=())


def shop_and_plan(problem: Problem, obstacles: tuple[Trajectory, ...] = ()) -> tuple[Offered, Judged]:
    """A search on labels that may be off by 1.6 mm, and a plan found on labels that are not."""
    case = replace(off_by(problem, 1.6), obstacles=obstacles)
    found = planned_and_judged(off_by(problem, 0.0), slack_cap_mm=3.0)
    parameters = {**DEFAULTS, "slack_cap_mm": 8.0}
    return Offered.prepare(case, parameters, np.random.default_rng(0), Budget(), RasterPlanner.spec.id), found


def dearer(shop: Offered, found: Judged, mm: float) -> Judged:
    """The plan moved until its worst slack is less by so much and little more, as the judge says."""
    for n in (n for far in range(160) for n in (far, -far)):
        plan = moved(found[0], 0.025 * n)
        report = judge(plan, shop.problem.anatomy, shop.problem.limits)
        if mm < found[1].slack_mm - report.slack_mm < mm + 0.1:
            return plan, report
    raise AssertionError("no move costs so much")


@pytest.mark.slow
def test_a_reserve_is_bought_only_where_the_price_is_right(problem: Problem) -> None:
    """Candidates that are refused, dear, short of sacrum or of articular crossings, or hold no more change nothing."""
    shop, found = shop_and_plan(problem)
    own, cheap = shop.bench, moved(found[0], 0.02)
    better = holding_more(found[1], 0.6)
    dear, dear_report = dearer(shop, found, 0.3)
    short = Violation("sacral_length", (1,), 9.5, 10.0, 0.5, "mm", "implant 1 holds 9.5 mm of the sacrum")
    fewer = replace(better, implants=tuple(replace(i, crosses_articular=False) for i in better.implants))
    shop.offers = [
        (cheap, replace(better, violations=(short,))),
        (cheap, fewer),
        (cheap, found[1]),
        (dear, better),
        (cheap, holding_more(found[1], 0.6, dear_report)),
    ]
    assert shop.surer(found, 0.85) is found
    shop.offers.append((cheap, better))
    bought, _ = shop.surer(found, 0.85)
    assert bought.trajectories == cheap.trajectories
    assert bought.parameters["reserve"] == pytest.approx(0.4)
    assert 0.0 <= float(bought.parameters["reserve_paid_mm"]) <= 0.1
    assert shop.bench is own
    assert not shop.cut


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before_mm", "after_mm", "bought"),
    [
        ((40.0, 20.0, 20.0), (30.0, 17.1, 17.1), True),
        ((40.0, 20.0, 20.0), (28.0, 18.0, 17.5), False),
        ((20.0, 20.0, 20.0), (17.0, 17.1, 20.0), True),
        ((20.0, 20.0, 20.0), (16.9, 16.9, 20.0), False),
        ((16.5, 20.0, 20.0), (17.9, 16.1, 17.0), True),
    ],
)  # fmt: skip
def test_a_reserve_takes_a_fifth_of_the_sacrum_at_the_most(
    problem: Problem, before_mm: tuple[float, ...], after_mm: tuple[float, ...], bought: bool
) -> None:
    """All implants together; and of what the wish counts, 18 mm of each here, no more than 2 mm."""
    shop, found = shop_and_plan(problem)
    limits = replace(shop.problem.limits, sacral_finding_mm=18.0)
    shop.problem = replace(shop.problem, limits=limits)

    def holding(report: MarginReport, lengths_mm: tuple[float, ...], head_mm: float) -> MarginReport:
        lengths = zip(report.implants, lengths_mm, strict=True)
        return replace(report, implants=tuple(replace(i, sacral_mm=mm, protrusion_mm=head_mm) for i, mm in lengths))

    before = found[0], holding(found[1], before_mm, limits.protrusion_max_mm)
    better = holding(holding_more(found[1], 0.6), after_mm, limits.protrusion_max_mm - 1.0)
    shop.offers = [(moved(found[0], 0.02), better)]
    assert (shop.surer(before, 0.85) is not before) == bought


@pytest.mark.slow
def test_a_price_of_two_tenths_is_paid_for_more_and_for_less_it_is_not(problem: Problem) -> None:
    shop, found = shop_and_plan(problem)
    plan, report = dearer(shop, found, 0.1)
    shop.offers = [(plan, holding_more(found[1], 0.05, report))]
    assert shop.surer(found, 0.85) is found
    shop.offers = [(plan, holding_more(found[1], 1.0, report))]
    bought, _ = shop.surer(found, 0.85)
    assert bought.trajectories == plan.trajectories
    lost_mm = found[1].slack_mm - report.slack_mm
    assert lost_mm <= float(bought.parameters["reserve_paid_mm"]) <= lost_mm + 0.15


@pytest.mark.slow
def test_no_clearance_from_the_other_side_is_given_for_a_reserve(problem: Problem) -> None:
    """The judge of one side knows none of those implants: here they are nearest, and nearer than the other limits."""
    plan, report = planned_and_judged(off_by(problem, 0.0), slack_cap_mm=3.0)
    beside = tuple(moved(plan, -22.0).trajectories)
    shop, found = shop_and_plan(problem, beside)
    nearer = moved(plan, -0.4)
    assert shop.bench.slack_mm(plan.trajectories[0]) < report.slack_mm - 0.1
    shop.offers = [(nearer, holding_more(report, 1.0))]
    assert shop.surer(found, 0.85) is found
    shop.offers = [(moved(plan, 0.2), holding_more(report, 1.0))]
    assert shop.surer(found, 0.85)[0].trajectories == shop.offers[0][0].trajectories


@pytest.mark.slow
@pytest.mark.parametrize("geometry_mm", [1.8, 2.5])
def test_a_reserve_costs_no_more_where_bounds_ask_for_clearance(problem: Problem, geometry_mm: float) -> None:
    """What the search asks for more than the limits say does not hide what a reserve takes from them."""
    reports = []
    for error_mm in (0.0, 1.6):
        anatomy = replace(problem.anatomy, geometry_error_mm=geometry_mm, surface_error_mm=error_mm)
        case = replace(problem, anatomy=anatomy)
        outcome = RasterPlanner(**QUICK.parameters).plan(case, rng=np.random.default_rng(0), budget=Budget())
        assert outcome.plan is not None
        reports.append(judge(outcome.plan, case.anatomy, case.limits))
        assert reports[-1].accepted
    cap_mm = float(DEFAULTS["slack_cap_mm"])
    sure, unsure = (min(r.slack_mm, cap_mm) for r in reports)
    assert unsure >= sure - 0.25


@pytest.mark.slow
def test_time_that_ends_in_the_reserve_leaves_a_complete_search_complete(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    climbed = RasterSearch._climbed

    def ended(shop: RasterSearch, *given: Any) -> Any:
        if shop.bench.stricter_by:
            shop.cut = True
        return climbed(shop, *given)

    monkeypatch.setattr(RasterSearch, "_climbed", ended)
    outcome = QUICK.plan(off_by(problem, 0.8), rng=np.random.default_rng(0), budget=Budget())
    assert outcome.status == "found"
