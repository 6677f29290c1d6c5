"""Whether an answer fits the problem that was asked, and whether it is honest; what contracts and benchmarks share."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import get_args

import numpy as np

from sjplan.core.plan import Outcome, Plan, Status
from sjplan.core.tolerances import JUDGE_TOL_MM
from sjplan.planning.protocol import Problem
from sjplan.safety.judge import judge
from sjplan.safety.measures import solid_gap_mm


def fingerprint(*values: object) -> str:
    """SHA-256 over everything that values hold, arrays byte by byte; for "unchanged" and "the same answer".

    An outcome's `seconds` are left out: they differ from run to run.

    Examples
    --------
    >>> fingerprint([1, 2]) == fingerprint([1, 2]), fingerprint(np.zeros(2)) == fingerprint(np.zeros(3))
    (True, False)
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, value: object) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    elif dataclasses.is_dataclass(value):
        digest.update(type(value).__name__.encode())
        for field in dataclasses.fields(value):
            if not (isinstance(value, Outcome) and field.name == "seconds"):
                digest.update(field.name.encode())
                _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            digest.update(f"key {key}".encode())
            _feed(digest, value[key])
    elif isinstance(value, (tuple, list)):
        digest.update(f"{len(value)} items".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, (set, frozenset)):
        _feed(digest, sorted(map(repr, value)))
    else:
        digest.update(repr(value).encode())


def arrays(value: object) -> Iterator[np.ndarray]:
    """Every array that dataclasses, mappings, tuples and lists hold.

    Examples
    --------
    >>> [a.shape for a in arrays({"a": np.zeros(2), "b": [np.zeros((1, 3)), "no array"]})]
    [(2,), (1, 3)]
    """
    if isinstance(value, np.ndarray):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from arrays(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays(item)


def dishonesty(problem: Problem, outcome: object, planner_id: str) -> list[str]:
    """What is wrong with an answer, as sentences; empty for an honest one.

    An honest answer to a valid problem has a legal status; a plan goes with `found` and `best_effort` only, fits the
    problem (side, models, catalogue lengths, cranial to caudal), is made of finite numbers, accepted by the judge and
    clear of the problem's obstacles; `infeasible` gives reasons; `nearest` is not accepted; `fallback` is an accepted
    plan with two implants; a certificate claims no more slack than the judge measures; every plan of `pareto` is
    accepted.
    """
    if not isinstance(outcome, Outcome):
        return [f"the answer is a {type(outcome).__name__}, wanted an Outcome"]
    wrong: list[str] = []
    if outcome.status not in get_args(Status) or outcome.status == "invalid_input":
        wrong.append(f"status {outcome.status!r} for a valid problem")
    if not outcome.evaluations >= 0 or not (0 <= outcome.seconds < math.inf):
        wrong.append(f"{outcome.evaluations} evaluations in {outcome.seconds} s")
    if outcome.status == "infeasible" and not outcome.reasons:
        wrong.append("infeasible without a reason")
    for reason in outcome.reasons:
        if not reason.constraint or not reason.text or not reason.missing >= 0:
            wrong.append(f"an empty reason: {reason}")
    offered = [("the plan", outcome.plan), ("the nearest plan", outcome.nearest), ("the fallback", outcome.fallback)]
    offered += [(f"pareto plan {n}", plan) for n, plan in enumerate(outcome.pareto, 1)]
    for what, plan in offered:
        if plan is not None:
            wrong += _wrong_plan(what, plan, problem, outcome, planner_id)
    return wrong


def _wrong_plan(what: str, plan: object, problem: Problem, outcome: Outcome, planner_id: str) -> list[str]:
    """What is wrong with one plan of an answer."""
    if not isinstance(plan, Plan):
        return [f"{what} is a {type(plan).__name__}, wanted a Plan"]
    if not all(np.isfinite([*t.entry_lps_mm, *t.tip_lps_mm, t.roll_deg]).all() for t in plan.trajectories):
        return [f"{what} holds numbers that are not finite"]
    report = judge(plan, problem.anatomy, problem.limits)
    if plan is outcome.fallback:
        wrong = [] if report.accepted else ["the fallback is not accepted"]
        if len(plan.trajectories) != 2 or problem.count != 3:
            wrong.append("a fallback is a two-implant plan where three were asked for")
        return wrong
    wrong = misfits(what, plan, problem, planner_id)
    if plan is outcome.nearest:
        if report.accepted and not _hits(what, plan, problem):
            wrong.append("the nearest plan is accepted, and should have been the plan")
        return wrong
    wrong += [f"{what} is called {outcome.status}, but {v.text}" for v in report.violations]
    wrong += _hits(what, plan, problem)
    claimed = None if plan is not outcome.plan or outcome.certificate is None else outcome.certificate.slack_mm
    if claimed is not None and claimed > report.slack_mm + JUDGE_TOL_MM:
        wrong.append(f"the certificate claims {claimed:.3f} mm of slack, the judge measures {report.slack_mm:.3f} mm")
    return wrong


def _hits(what: str, plan: Plan, problem: Problem) -> list[str]:
    """Obstacles that a plan comes too near to."""
    limit = problem.limits.solid_gap_min_mm
    gaps = [
        (slot, solid_gap_mm(t, obstacle))
        for slot, t in enumerate(plan.trajectories, 1)
        for obstacle in problem.obstacles
    ]
    return [
        f"{what}: implant {slot} is {gap:.2f} mm from an obstacle, at least {limit:g} mm wanted"
        for slot, gap in gaps
        if gap < limit - JUDGE_TOL_MM
    ]


def misfits(what: str, plan: Plan, problem: Problem, planner_id: str) -> list[str]:
    """Where a plan is none for the problem: its side, who signed it, its models, lengths that are not sold."""
    wrong = []
    if plan.side != problem.side:
        wrong.append(f"{what} is for the {plan.side} side, asked was the {problem.side} one")
    if plan.planner != planner_id:
        wrong.append(f"{what} is signed {plan.planner!r}, the planner is {planner_id!r}")
    models = tuple(t.model for t in plan.trajectories)
    if models != problem.models:
        wrong.append(f"{what} holds {[m.id for m in models]}, asked was {[m.id for m in problem.models]}")
    wrong += [
        f"{what}: implant {slot} is {t.length_mm:.3f} mm long, {t.model.id} is not"
        for slot, t in enumerate(plan.trajectories, 1)
        if not t.in_catalogue
    ]
    return wrong
