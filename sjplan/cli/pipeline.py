"""From a case to a judged plan file: the story that `plan` and `demo` tell, without its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sjplan.cli.intake import CaseArguments, error_model_for, models_for, plannable_anatomy, read_case
from sjplan.cli.progress import Report, part_of
from sjplan.cli.sides import (
    SideResult,
    chosen_sides,
    explained,
    kept_apart,
    plan_side,
    plannable,
    refused,
    with_breach,
)
from sjplan.cli.views import carm_numbers
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from sjplan.anatomy.types import Anatomy
    from sjplan.core.error_model import ErrorModel
    from sjplan.core.implant import ImplantModel
    from sjplan.core.limits import Limits
    from sjplan.io.cases import Case
    from sjplan.io.planfile import PlanFile
    from sjplan.planning.protocol import Planner
    from sjplan.xray.types import CArm


DEFAULT_ERROR_MODEL: Final = "fluoro-planned"
"""Breach probabilities are those of this error model where no other is asked for."""

TRIAL_EVALUATIONS: Final = 500_000
"""What a planner may spend on finding out whether another model would fit: about one pass of its search."""

INTAKE_SHARE: Final = 0.35
"""Share of a plan's work after which its input can no longer be refused: reading and anatomy."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be planned, in the words of the command line."""

    case: CaseArguments
    side: str = "both"
    count: int = 3
    implant: str | None = None
    planner: str | None = None
    limits: Path | None = None
    catalogue: Path | None = None
    seed: int = 0
    budget_s: float | None = None
    error_model: str = DEFAULT_ERROR_MODEL
    errors: Path | None = None
    slack_cap: str | None = None
    robust: bool = False


@dataclass(frozen=True, slots=True)
class PlanRun:
    """Everything that came out; `name` is what a person calls the case."""

    name: str
    case: Case
    anatomy: Anatomy
    views: dict[str, CArm]
    limits: Limits
    catalogue: dict[str, ImplantModel]
    results: tuple[SideResult, ...]
    plan_file: PlanFile
    models: tuple[ImplantModel, ...]

    @property
    def exit_code(self) -> int:
        """0 only if every side is found."""
        return 0 if all(result.found for result in self.results) else 1


def run_plan(request: PlanRequest, report: Report) -> PlanRun:
    """Read, find the anatomy, plan and judge each side, and put it all into a plan file.

    Parameters
    ----------
    request : PlanRequest
        What is to be planned.
    report : callable
        Told what goes on, and the share that is done.

    Raises
    ------
    SjplanError
        For bad input, and where no side that was asked for can be planned.
    """
    from sjplan.io.cases import require_labels
    from sjplan.io.catalogue import read_implants
    from sjplan.io.limits import read_limits
    from sjplan.views.patient import views_of_anatomy

    # Whatever can be wrong with the words is found out before any volume is read.
    catalogue, limits = read_implants(request.catalogue), read_limits(request.limits)
    models = models_for(request.implant, request.count, catalogue)
    error_model = error_model_for(request.error_model, request.errors)
    planner = planner_for(request)
    for model in models:
        limits.check_lengths(model.id, model.lengths_mm)
    case = read_case(request.case, part_of(report, 0.0, 0.1))
    anatomy = plannable_anatomy(require_labels(case), part_of(report, 0.1, INTAKE_SHARE))
    views = views_of_anatomy(anatomy)
    results = _plan_sides(request, case, anatomy, models, limits, catalogue, planner, error_model, report)
    plan_file = _plan_file(request, case, anatomy, limits, views, planner, results)
    return PlanRun(request.case.name, case, anatomy, views, limits, catalogue, results, plan_file, models)


def planner_for(request: PlanRequest) -> Planner:
    """The planner asked for, with the cap asked for.

    Raises
    ------
    SjplanError
        For a planner that does not exist, one that has no cap or cannot make robust plans where that is asked for,
        and for a cap that is neither a length nor none.
    """
    from sjplan.bench.planners import load_planner
    from sjplan.planning.registry import DEFAULT_PLANNER

    name, parameters = request.planner or DEFAULT_PLANNER, dict[str, float]()
    if request.slack_cap is not None:
        parameters["slack_cap_mm"] = _cap_mm(request.slack_cap)
    planner = load_planner(name)
    for option, asked, able in (
        ("--slack-cap", request.slack_cap is not None, "slack_cap_mm" in planner.spec.parameters),
        ("--robust", request.robust, "robust" in planner.spec.capabilities),
    ):
        if asked and not able:
            fix = f"leave out {option} or --planner"
            raise InputError(option, found=f"planner {name}", wanted="a planner that can (certified-v1)", fix=fix)
    return load_planner(name, **parameters) if parameters else planner


def _cap_mm(text: str) -> float:
    if text == "none":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise InputError("--slack-cap", found=repr(text), wanted="a length in mm above 0, or none")
    return value


def _plan_sides(
    request: PlanRequest,
    case: Case,
    anatomy: Anatomy,
    models: tuple[ImplantModel, ...],
    limits: Limits,
    catalogue: dict[str, ImplantModel],
    planner: Planner,
    error_model: ErrorModel,
    report: Report,
) -> tuple[SideResult, ...]:
    from sjplan.planning.protocol import Budget, Problem

    sides = chosen_sides(request.side)
    refusals = {side: error for side in sides if (error := plannable(anatomy, side)) is not None}
    if len(refusals) == len(sides):
        raise next(iter(refusals.values()))
    sha256, robust_to = case.sha256.get("labels", ""), error_model if request.robust else None
    problems = {
        side: Problem(anatomy, side, models, limits, case.ct, robust_to=robust_to)
        for side in sides
        if side not in refusals
    }
    shares = {side: (n / len(sides), (n + 1) / len(sides)) for n, side in enumerate(sides)}

    def planned(problem: Problem, evaluations: int | None = None) -> SideResult:
        start, end = (INTAKE_SHARE + (1 - INTAKE_SHARE) * share for share in shares[problem.side])
        heard = part_of(report, start, end, f"{problem.side}: ")
        budget = Budget(seconds=request.budget_s, evaluations=evaluations, progress=heard)
        return plan_side(planner, problem, seed=request.seed, budget=budget, input_sha256=sha256)

    results = {side: planned(problem) for side, problem in problems.items()}
    results = kept_apart(results, problems, planned)
    done = {
        side: explained(result, problems[side], catalogue, partial(planned, evaluations=TRIAL_EVALUATIONS))
        for side, result in results.items()
    }
    done = {side: with_breach(result, anatomy, error_model, request.seed) for side, result in done.items()}
    return tuple(done[side] if side in done else refused(side, refusals[side]) for side in sides)


def _plan_file(
    request: PlanRequest,
    case: Case,
    anatomy: Anatomy,
    limits: Limits,
    views: dict[str, CArm],
    planner: Planner,
    results: tuple[SideResult, ...],
) -> PlanFile:
    from sjplan.anatomy.quality import quality_findings
    from sjplan.io.cases import require_labels
    from sjplan.io.planfile import new_plan_file, side_entry
    from sjplan.safety.judge import side_conflicts

    entries = [
        side_entry(
            r.outcome,
            r.side,
            planner.spec.id,
            r.margins,
            r.nearest_margins,
            r.fallback_margins,
            breach=r.breach,
            pareto_reports=r.pareto_margins,
            views={name: carm_numbers(carm) for name, carm in views.items()},
            parameters=getattr(planner, "parameters", None),
        )
        for r in results
    ]
    by_side = {r.side: r.margins for r in results if r.margins is not None}
    conflicts = side_conflicts(by_side["left"], by_side["right"], limits) if len(by_side) == 2 else ()
    findings = (*quality_findings(require_labels(case), anatomy), *anatomy.findings, *conflicts)
    return new_plan_file(case, entries, seed=request.seed, findings=findings)
