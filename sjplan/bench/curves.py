"""Curves of an experiment: performance profiles, and what each planner had by a given time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np

from sjplan.bench.statistics import Indices, best_by, performance_profile
from sjplan.bench.tables import Runs, TableRow
from sjplan.core.arrays import Array

STEPS: Final = 61
"""Points of a curve."""

FLOOR_S: Final = 0.001
"""Times below are not told apart."""

MOST_BEHIND_MM: Final = 3.0
"""End of the slack profile: the default cap."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One curve a planner over common steps.

    Parameters
    ----------
    name : str
        What is shown.
    steps : (m,) float
        Millimetres, factors or seconds.
    values : (planners, m) float
        Shares, or millimetres (nan where there is no value).
    n : int
        Problems, or runs of each planner.
    """

    name: str
    steps: Array
    values: Array
    n: int


def profiles(runs: Runs) -> tuple[Curve, Curve]:
    """Performance profiles (Dolan and More 2002) on problems that every planner ran: of slack and of time.

    Slack: how many millimetres a planner's worst slack lies behind the best planner's, which is the difference of their
    regrets (regrets may be zero, where a ratio means nothing). Time: how many times as long as the fastest it took. A
    run without an accepted plan is infinitely far behind in both.
    """
    ran = np.isfinite(runs.by_problem(np.ones(len(runs.planner)))).all(axis=1)
    accepted = runs.by_problem(runs.accepted.astype(float))[ran] == 1.0
    behind = np.where(accepted, -runs.by_problem(runs.slack_mm)[ran], np.inf)
    seconds = np.where(accepted, runs.by_problem(runs["seconds"])[ran], np.inf)
    lengths = np.linspace(0.0, MOST_BEHIND_MM, STEPS)
    finite = np.maximum(seconds[np.isfinite(seconds)], FLOOR_S)
    most = max(2.0, float(finite.max() / finite.min())) if len(finite) else 2.0
    factors = np.geomspace(1.0, most, STEPS)
    empty = np.zeros((len(runs.planners), STEPS))
    by_slack = performance_profile(behind, lengths, "difference", floor=-np.inf) if ran.any() else empty
    by_time = performance_profile(seconds, factors, "ratio", floor=FLOOR_S) if ran.any() else empty
    many = int(ran.sum())
    return Curve("mm of slack behind the best", lengths, by_slack, many), Curve(
        "times as long as the fastest", factors, by_time, many
    )


def anytime(runs: Runs) -> tuple[Curve, Curve]:
    """What runs had by a time: the share with an accepted plan, and the median of their best accepted worst slack.

    From the plans that planners offered on the way, judged, and their answers at the end. A run that has no accepted
    plan yet counts as less than any slack: the median begins where more than half of the runs have one.
    """
    run, at, slack = _events(runs)
    if len(at) == 0:
        steps = np.geomspace(FLOOR_S, 1.0, STEPS)
    else:
        steps = np.geomspace(max(FLOOR_S, float(at.min())), max(2 * FLOOR_S, float(at.max())) * (1 + 1e-9), STEPS)
    share, middle = np.zeros((len(runs.planners), STEPS)), np.full((len(runs.planners), STEPS), np.nan)
    of = runs.planner[run]
    for k in range(len(runs.planners)):
        number = np.cumsum(runs.of(k)) - 1
        mine = best_by(number[run[of == k]], at[of == k], slack[of == k], steps, int(number[-1]) + 1)
        share[k] = np.isfinite(mine).mean(axis=0)
        ordered = np.sort(mine, axis=0)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        middle[k] = np.where(np.isfinite(low), 0.5 * (np.where(np.isfinite(low), low, 0.0) + high), np.nan)
    n = int(np.bincount(runs.planner).max())
    return Curve("share of runs with an accepted plan", steps, share, n), Curve(
        "median worst slack (mm)", steps, middle, n
    )


def _events(runs: Runs) -> tuple[Indices, Array, Array]:
    """Accepted plans: of which run, when (s), with what worst slack up to the cap."""
    cap = np.nan_to_num(runs["cap_mm"], nan=np.inf)
    run, at, slack = [], [], []
    for n, text in enumerate(runs["anytime"]):
        for seconds, _, worst, accepted in json.loads(text) if text else ():
            if accepted and worst is not None:
                run.append(n)
                at.append(float(seconds))
                slack.append(min(float(worst), cap[n]))
    last = np.flatnonzero(runs.accepted & np.isfinite(runs["seconds"]) & np.isfinite(runs.slack_mm))
    return (np.concatenate([np.array(run, dtype=np.intp), last]), np.concatenate([at, runs["seconds"][last]]),
            np.concatenate([slack, runs.slack_mm[last]]))  # fmt: skip


def curve_rows(runs: Runs, curves: tuple[Curve, ...]) -> list[TableRow]:
    """Curves as rows of a table: one row a step, one column a planner."""
    return [
        {"curve": curve.name, "step": float(step), "n": curve.n}
        | {name: _value(curve.values[k, m]) for k, name in enumerate(runs.planners)}
        for curve in curves
        for m, step in enumerate(curve.steps)
    ]


def _value(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
