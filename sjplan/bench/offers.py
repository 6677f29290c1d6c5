"""Plans that a planner shows on its way: noted with their time, judged when it has answered."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from sjplan.bench.rows import Row
from sjplan.core.errors import SjplanError
from sjplan.core.plan import Plan
from sjplan.planning.answers import misfits
from sjplan.planning.protocol import Problem
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import MeasuringSurfaces

KEPT: Final = 64
"""Plans of one run that are judged, at most; of a planner that shows more, every second one is let go."""


Answered = tuple[Plan, float, bool]


@dataclass(slots=True)
class Offers:
    """What one run has shown: seconds since it began, evaluations so far, the plan."""

    seen: list[tuple[float, int, Plan]] = field(default_factory=list)
    _start: float = field(default_factory=time.perf_counter)

    def note(self, plan: Plan, evaluations: int = 0, seconds: float | None = None) -> None:
        """Take down a plan, shown now or after so many `seconds`; looking at it is for later, when no planner waits."""
        since = time.perf_counter() - self._start if seconds is None else seconds
        self.seen.append((since, evaluations, plan))
        if len(self.seen) > KEPT:
            del self.seen[1::2]

    def judged(self, problem: Problem, surfaces: MeasuringSurfaces, answered: Answered | None = None) -> Row:
        """Columns `first_safe_s` and `anytime`; what is no plan for the problem does not count.

        Parameters
        ----------
        problem : Problem
            What was asked.
        surfaces : MeasuringSurfaces
            Of the problem's anatomy and side.
        answered : Answered, optional
            The plan that was answered, with its worst slack and whether it is accepted: it is not judged again.
        """
        curve: list[list[Any]] = []
        for seconds, evaluations, plan in self.seen:
            if answered is not None and plan is answered[0]:
                slack: tuple[float, bool] | None = answered[1:]
            else:
                slack = _slack(plan, problem, surfaces)
            if slack is not None:
                count = evaluations if isinstance(evaluations, int) else 0
                curve.append([round(seconds, 6), count, *slack])
        safe = [seconds for seconds, _, _, accepted in curve if accepted]
        return {"first_safe_s": min(safe, default=None), "anytime": curve or None}


def _slack(plan: object, problem: Problem, surfaces: MeasuringSurfaces) -> tuple[float, bool] | None:
    """Worst slack, and whether all limits hold; None for what the judge cannot measure."""
    try:
        # Whoever signs it: the id is for answers.
        if not isinstance(plan, Plan) or misfits("it", plan, problem, plan.planner):
            return None
        ends = [(t.entry_lps_mm, t.tip_lps_mm, t.roll_deg) for t in plan.trajectories]
        if not all(np.isfinite(np.concatenate([entry, tip, [roll]])).all() for entry, tip, roll in ends):
            return None
        report = judge(plan, problem.anatomy, problem.limits, surfaces)
    except (SjplanError, AttributeError, TypeError, ValueError):
        return None
    return (float(report.slack_mm), report.accepted) if math.isfinite(report.slack_mm) else None
