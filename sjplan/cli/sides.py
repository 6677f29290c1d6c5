"""One side of a plan: a planner proposes, the judge measures, and what both said is kept together."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from sjplan.core.errors import AnatomyError, InputError, SjplanError
from sjplan.core.plan import Outcome, Plan, Reason, Side, other_side

if TYPE_CHECKING:
    import numpy as np

    from sjplan.anatomy.types import Anatomy
    from sjplan.core.error_model import ErrorModel
    from sjplan.core.implant import ImplantModel
    from sjplan.planning.protocol import Budget, Planner, Problem
    from sjplan.safety.types import BreachReport, MarginReport

SIDE_STREAM = {"left": 0, "right": 1}
"""Second word of each side's random seed: a side's plan is the same whether it is planned alone or with the other."""

BREACH_STREAM = 1
"""Third word of the seed of breach probabilities, so that they share no numbers with the search."""


@dataclass(frozen=True, slots=True)
class SideResult:
    """What came out for one side: the outcome, and the judge's measure of every plan in it."""

    side: Side
    outcome: Outcome
    margins: MarginReport | None = None
    nearest_margins: MarginReport | None = None
    fallback_margins: MarginReport | None = None
    pareto_margins: tuple[MarginReport, ...] = ()
    breach: BreachReport | None = None

    @property
    def found(self) -> bool:
        """Whether an accepted plan came out of a completed search."""
        return self.outcome.status == "found"

    @property
    def shown(self) -> tuple[Plan | None, MarginReport | None]:
        """The plan to draw and its margins: the accepted one, else the nearest (which is not accepted)."""
        if self.outcome.plan is not None:
            return self.outcome.plan, self.margins
        return self.outcome.nearest, self.nearest_margins


def chosen_sides(side: str) -> tuple[Side, ...]:
    """The sides that `left`, `right` or `both` stand for.

    Examples
    --------
    >>> chosen_sides("both"), chosen_sides("right")
    (('left', 'right'), ('right',))
    """
    if side == "both":
        return ("left", "right")
    return ("left",) if side == "left" else ("right",)


def asked(planner: Planner, problem: Problem, rng: np.random.Generator, budget: Budget) -> Outcome:
    """A planner's answer; one that fails is named, whoever wrote it.

    Raises
    ------
    InputError
        If it raises, or answers with something else than an outcome.
    """
    what, fix = f"planner {planner.spec.id}", "mend the planner (sjplan check-planner), or choose another"
    try:
        outcome = planner.plan(problem, rng=rng, budget=budget)
    except (SjplanError, MemoryError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        found = f"{type(error).__name__}: {error} ({PurePath(last.filename).name}, line {last.lineno})"
        raise InputError(what, found=found, wanted="an outcome", fix=fix) from error
    if not isinstance(outcome, Outcome):
        raise InputError(what, found=f"a {type(outcome).__name__}", wanted="an outcome", fix=fix)
    return outcome


def plan_side(planner: Planner, problem: Problem, *, seed: int, budget: Budget, input_sha256: str) -> SideResult:
    """Plan one side and judge whatever the planner answered.

    A plan that the judge does not accept is not handed on as accepted, whatever the planner said of it.
    """
    import numpy as np

    from sjplan.safety.judge import judge

    rng = np.random.default_rng([seed, SIDE_STREAM[problem.side]])
    outcome = asked(planner, problem, rng, budget)

    def signed(plan: Plan | None) -> Plan | None:
        return None if plan is None else replace(plan, seed=seed, input_sha256=input_sha256)

    def measured(plan: Plan | None) -> MarginReport | None:
        return None if plan is None else judge(plan, problem.anatomy, problem.limits)

    outcome = replace(
        outcome,
        plan=signed(outcome.plan),
        nearest=signed(outcome.nearest),
        fallback=signed(outcome.fallback),
        pareto=tuple(replace(plan, seed=seed, input_sha256=input_sha256) for plan in outcome.pareto),
    )
    margins = measured(outcome.plan)
    if margins is not None and not margins.accepted:
        outcome, margins = _rejected(outcome, margins), None
    nearest, fallback = measured(outcome.nearest), measured(outcome.fallback)
    if fallback is not None and not fallback.accepted:
        outcome, fallback = replace(outcome, fallback=None), None
    traded = [(p, judge(p, problem.anatomy, problem.limits)) for p in outcome.pareto]
    traded = [(p, report) for p, report in traded if report.accepted]
    outcome = replace(outcome, pareto=tuple(p for p, _ in traded))
    return SideResult(problem.side, outcome, margins, nearest, fallback, tuple(report for _, report in traded))


def kept_apart(
    results: dict[Side, SideResult], problems: Mapping[Side, Problem], planned: Callable[[Problem], SideResult]
) -> dict[Side, SideResult]:
    """The results; where implants of the two sides come too near, the side with more slack is planned again.

    It then has the other side's implants as obstacles. Where that gives no accepted plan, both stay as they were.
    """
    from sjplan.safety.judge import side_conflicts

    left, right = (results[side].margins if side in results else None for side in ("left", "right"))
    if left is None or right is None or not side_conflicts(left, right, problems["left"].limits):
        return results
    again: Side = "left" if left.slack_mm >= right.slack_mm else "right"
    kept = results[other_side(again)].outcome.plan
    assert kept is not None
    answer = planned(replace(problems[again], obstacles=kept.trajectories))
    return {**results, again: answer} if answer.margins is not None else results


def explained(
    result: SideResult,
    problem: Problem,
    catalogue: Mapping[str, ImplantModel],
    planned: Callable[[Problem], SideResult],
) -> SideResult:
    """A refusal with what would do: limits to relax, slimmer models that fit, the shape of the way into S1."""
    if result.outcome.status != "infeasible":
        return result
    from sjplan.planning.refusal import dysmorphism, models_that_fit, relaxations

    reasons = [*result.outcome.reasons]
    if result.nearest_margins is not None:
        reasons += relaxations(result.nearest_margins)
    reasons += models_that_fit(problem, catalogue, lambda other: planned(other).outcome)
    shape = dysmorphism(problem.anatomy, problem.side)
    return replace(result, outcome=replace(result.outcome, reasons=(*reasons, *([shape] if shape else []))))


def with_breach(result: SideResult, anatomy: Anatomy, error_model: ErrorModel, seed: int) -> SideResult:
    """The result with the breach probabilities of its accepted plan, if there is one.

    The draws hang on the seed and the side alone, so that plans of several planners are compared on equal terms.
    """
    if result.margins is None:
        return result
    import numpy as np

    from sjplan.safety.breach import breach_report
    from sjplan.safety.surfaces import measuring_surfaces

    rng = np.random.default_rng([seed, SIDE_STREAM[result.side], BREACH_STREAM])
    surfaces = measuring_surfaces(anatomy, result.side)
    return replace(result, breach=breach_report(result.margins, surfaces, error_model, rng))


def _rejected(outcome: Outcome, margins: MarginReport) -> Outcome:
    """The planner called a plan safe and the judge does not: it becomes the nearest plan, with the judge's reasons."""
    reasons = tuple(
        Reason(v.constraint, v.missing, v.unit, f"the planner's plan was rejected by the judge: {v.text}")
        for v in margins.violations
    )
    return replace(
        outcome, status="infeasible", plan=None, nearest=outcome.plan, reasons=reasons, certificate=None, pareto=()
    )


def refused(side: Side, error: SjplanError) -> SideResult:
    """A side that could not be planned at all, because its anatomy does not allow it."""
    reason = Reason(constraint="anatomy", missing=0.0, unit="", text=str(error))
    return SideResult(side, Outcome("invalid_input", reasons=(reason,)))


def plannable(anatomy: Anatomy, side: Side) -> AnatomyError | None:
    """Why a side cannot be planned, or None where it can."""
    from sjplan.anatomy.build import require_plannable

    try:
        require_plannable(anatomy, side)
    except AnatomyError as error:
        return error
    return None
