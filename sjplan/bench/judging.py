"""What an answer is worth, by the judge alone: `measures` turns an outcome into the judged columns of its row."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final, get_args

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.bench.cases import settings_of
from sjplan.bench.rows import Row
from sjplan.bench.runs import Run
from sjplan.core.error_model import ErrorModel
from sjplan.core.errors import SjplanError
from sjplan.core.plan import Outcome, Plan, Side, Status
from sjplan.core.structures import limit_kind
from sjplan.core.trajectory import Trajectory
from sjplan.phantom.truth.clearance import TrueSurfaces, implant_clearance_mm
from sjplan.planning.answers import fingerprint, misfits
from sjplan.planning.protocol import Problem
from sjplan.safety.breach import breach_report
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import MeasuringSurfaces, measuring_surfaces
from sjplan.safety.types import MarginReport

DECIMALS: Final = 6
"""Of judged numbers: a nanometre."""

BREACH_SEED: Final = 0
"""Every plan gets the same draws, so that breach probabilities are compared on equal terms."""

TRUE_DEPTH_ERROR_MM: Final = 0.3
"""To which depths of overlaps are refined in the truth: finer takes a minute for some implants."""

VITAL: Final = ("foramen", "canal", "anterior")
"""Kinds of structures whose breach counts as one: nerves and vessels."""

BEATEN_MM: Final = 1e-6
"""A plan that has so much more slack than its certified bound proves the bound wrong."""

_surfaces: list[tuple[Anatomy, MeasuringSurfaces]] = []
"""Of the anatomy measured last, by side: preparing them takes longer than measuring."""


class Rejected(SjplanError):
    """An answer that is none: of another kind, for another problem, not finite, or made by changing the problem."""


def problem_print(problem: Problem) -> str:
    """A problem's fingerprint, to be taken before a planner has it and given to `require_unchanged` after."""
    return fingerprint(problem)


def require_unchanged(problem: Problem, before: str) -> None:
    """Reject a planner that has changed its problem.

    Raises
    ------
    Rejected
        If anything in the problem is another than before. Nothing that shares arrays with it may be used again.
    """
    if fingerprint(problem) != before:
        raise Rejected("the planner", found="a problem that is another than before", wanted="an unchanged problem")


def measures(
    run: Run,
    problem: Problem,
    outcome: object,
    *,
    bound_mm: float | None,
    truth: TrueSurfaces | None,
    planner_id: str | None = None,
) -> Row:
    """The judged columns of a run's row.

    Measured is the plan of an outcome, else its nearest one; only the first can be accepted.

    Parameters
    ----------
    run : Run
        What was asked.
    problem : Problem
        As the planner had it.
    outcome : object
        What the planner gave back.
    bound_mm : float or None
        Certified upper bound of the worst slack; None where regret is not asked for.
    truth : TrueSurfaces or None
        Of the phantom; None for other cases and where the true margin is not asked for.
    planner_id : str, optional
        Id that the planner gives itself, with which it has to sign its plans; the run's planner if not given.

    Returns
    -------
    Row
        By column; what has no value is left out.

    Raises
    ------
    Rejected
        For an answer that is none; the text says why.
    """
    answer = _answer(run, problem, outcome, planner_id or run.planner.planner)
    row: Row = {"status": answer.status, "evaluations": answer.evaluations, "false_accept": False}
    if bound_mm is not None:
        row["bound_mm"] = _rounded(bound_mm)
    plan = answer.plan or answer.nearest
    if plan is None:
        return row
    surfaces = surfaces_of(problem.anatomy, problem.side)
    report = judge(plan, problem.anatomy, problem.limits, surfaces)
    row |= _of_report(report) | {"plan": plan_values(plan)}
    if answer.plan is None:
        return row
    row |= {"accepted": report.accepted, "false_accept": not report.accepted}
    if report.accepted and bound_mm is not None:
        row |= _regret(report.slack_mm, bound_mm, run.cap_mm)
    error_model = settings_of(run).error_model
    if error_model is not None:
        row |= _breach(report, surfaces, error_model)
    if truth is not None:
        row |= _truth(truth, problem.side, plan)
    return row


def surfaces_of(anatomy: Anatomy, side: Side) -> MeasuringSurfaces:
    """Prepared surfaces of one side; those of the anatomy asked for last are kept."""
    if _surfaces and _surfaces[0][0] is not anatomy:
        _surfaces.clear()
    for _, found in _surfaces:
        if found.side == side:
            return found
    _surfaces.append((anatomy, measuring_surfaces(anatomy, side)))
    return _surfaces[-1][1]


def plan_values(plan: Plan) -> list[dict[str, Any]]:
    """A plan's implants in plain values, cranial to caudal."""
    return [
        {
            "model": t.model.id,
            "length_mm": _rounded(t.length_mm),
            "entry_lps_mm": [_rounded(v) for v in t.entry_lps_mm],
            "tip_lps_mm": [_rounded(v) for v in t.tip_lps_mm],
            "roll_deg": _rounded(t.roll_deg),
        }
        for t in plan.trajectories
    ]


def _answer(run: Run, problem: Problem, outcome: object, planner_id: str) -> Outcome:
    """The outcome, if it is an answer to this problem."""
    if not isinstance(outcome, Outcome):
        raise Rejected("the answer", found=f"{type(outcome).__name__} {outcome!r}"[:120], wanted="an Outcome")
    if outcome.status not in get_args(Status) or outcome.status == "invalid_input":
        raise Rejected("status", found=f"{outcome.status!r}"[:80], wanted="found, best_effort, infeasible or timeout")
    if (outcome.plan is not None) != (outcome.status in ("found", "best_effort")):
        found = f"{outcome.status} with{'' if outcome.plan is not None else 'out'} a plan"
        raise Rejected("the answer", found=found, wanted="a plan exactly for found and best_effort")
    _check_evaluations(run, outcome.evaluations)
    plan = None if outcome.plan is None else _own("the plan", outcome.plan, problem, planner_id)
    nearest = None if outcome.nearest is None else _own("the nearest plan", outcome.nearest, problem, planner_id)
    return Outcome(outcome.status, plan=plan, nearest=nearest, evaluations=int(outcome.evaluations))


def _check_evaluations(run: Run, evaluations: object) -> None:
    if not isinstance(evaluations, int | np.integer) or isinstance(evaluations, bool) or evaluations < 0:
        raise Rejected("evaluations", found=f"{evaluations!r}"[:80], wanted="a whole number, 0 or more")
    most = run.budget.evaluations
    if most is not None and evaluations > most:
        raise Rejected("evaluations", found=f"{evaluations}", wanted=f"at most {most}, the budget")


def _own(what: str, plan: object, problem: Problem, planner_id: str) -> Plan:
    """A plan built anew from the answer's values, so that what is judged keeps every rule of its types."""
    if not isinstance(plan, Plan):
        raise Rejected(what, found=f"{type(plan).__name__}", wanted="a Plan")
    trajectories = []
    for slot, t in enumerate(plan.trajectories, 1):
        try:
            trajectories.append(Trajectory(t.entry_lps_mm, t.tip_lps_mm, t.roll_deg, t.model))
        except Exception as error:  # whatever stands in a planner's answer in place of numbers
            said = f"{error.what}: {error.found}" if isinstance(error, SjplanError) else str(error)
            found = f"{type(error).__name__}: {said}"[:200]
            raise Rejected(f"{what}: implant {slot}", found=found, wanted="finite ends and roll") from error
    own = replace(plan, trajectories=tuple(trajectories))
    wrong = misfits(what, own, problem, planner_id)
    if wrong:
        raise Rejected("the answer", found="; ".join(wrong), wanted="a plan for the problem that was asked")
    return own


def _of_report(report: MarginReport) -> Row:
    """What the judge measures, smallest over the implants."""
    binding = min((i.binding for i in report.implants), key=lambda c: c.slack_mm)
    lower = [c.lower_bound_mm for i in report.implants for c in i.clearances if limit_kind(c.structure) in VITAL]
    pairs = report.pairs
    return {
        "slack_mm": _rounded(report.slack_mm),
        "margin_mm": _rounded(report.margin_mm),
        "lower_bound_mm": _rounded(min(lower)) if lower else None,
        "binding": binding.structure,
        "articular": sum(i.crosses_articular for i in report.implants),
        "iliac_mm": _rounded(min(i.iliac_mm for i in report.implants)),
        "sacral_mm": _rounded(min(i.sacral_mm for i in report.implants)),
        "length_mm": _rounded(sum(i.trajectory.length_mm for i in report.implants)),
        "spacing_mm": _rounded(min(p.spacing_mm for p in pairs)) if pairs else None,
        "angle_deg": _rounded(max(p.angle_deg for p in pairs)) if pairs else None,
    }


def _regret(slack_mm: float, bound_mm: float, cap_mm: float) -> Row:
    """By how much a better plan could at most have more slack, both cut at the cap; and a bound that does not hold."""
    most = min(slack_mm, cap_mm)
    bound = min(bound_mm, cap_mm)
    row: Row = {"regret_mm": _rounded(bound - most)}
    if most > bound + BEATEN_MM:
        text = (
            f"bound: found a plan with a worst slack of {most:.4f} mm; wanted at most {bound:.4f} mm, which is proved"
        )
        row |= {"error_type": "BoundBeaten", "error_message": text}
    return row


def _breach(report: MarginReport, surfaces: MeasuringSurfaces, model: ErrorModel) -> Row:
    found = breach_report(report, surfaces, model, np.random.default_rng(BREACH_SEED)).construct
    return {"breach_probability": found.value, "breach_low": found.low, "breach_high": found.high}


def _truth(truth: TrueSurfaces, side: Side, plan: Plan) -> Row:
    """The true margin with its error, and whether a true solid is in a vital structure beyond the error."""
    found = [
        c for t in plan.trajectories for c in implant_clearance_mm(truth, side, t, depth_error_mm=TRUE_DEPTH_ERROR_MM)
    ]
    margin = min(c.envelope_mm for c in found)
    low = min(c.envelope_mm - c.envelope_error_mm for c in found)
    high = min(c.envelope_mm + c.envelope_error_mm for c in found)
    vital = [c for c in found if limit_kind(c.structure) in VITAL]
    return {
        "true_margin_mm": _rounded(margin),
        "true_error_mm": _rounded(max(margin - low, high - margin)),
        "true_breach": any(c.distance_mm + c.error_mm < 0 for c in vital),
    }


def _rounded(value: float) -> float | None:
    """A number as rows take it; None for one that is not finite."""
    number = float(value)
    return round(number, DECIMALS) + 0.0 if math.isfinite(number) else None
