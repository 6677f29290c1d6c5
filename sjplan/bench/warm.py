"""Kernels are compiled, or loaded, before a run is timed: no planner pays for being the first in its process."""

from __future__ import annotations

import contextlib
from typing import Final

import numpy as np

from sjplan.bench.planners import load_planner
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import BUILT_IN

EVALUATIONS: Final = 100_000
"""Of the planner that is asked beforehand: enough to come to all its steps, about a second (default)."""

_warm: set[str] = set()


def warmed(planner: str, problem: Problem) -> bool:
    """Ask a planner that ships once in this process and look away; whether it was asked now.

    Others are not asked: what they do before their time begins would be time that they get for nothing.
    """
    if planner not in BUILT_IN or planner in _warm:
        return False
    _warm.add(planner)
    with contextlib.suppress(Exception):  # the run itself will say what is wrong
        load_planner(planner).plan(problem, rng=np.random.default_rng(0), budget=Budget(evaluations=EVALUATIONS))
    return True
