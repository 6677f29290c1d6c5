"""The certified upper bound of each problem's worst slack: made once an experiment, the same on every machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.bench.cases import ROOMS, anatomy_name
from sjplan.bench.made_of import name_of
from sjplan.bench.runs import Run
from sjplan.core.errors import InputError
from sjplan.io.atomic import write_text
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.upper_bound import UpperBound

SCHEMA: Final = "sjplan.bench-bound/1"

SEARCH_EVALUATIONS: Final = 3_000_000
"""What the search for a good plan may spend: a bound is sharp where the plan below it is good."""

GAP_MM: Final = 0.1
"""The proof stops where a better plan could have so much more slack at most."""

SEED: Final = 0


def bound_of(run: Run, problem: Problem, folder: Path) -> float:
    """A proved upper bound (mm, at most the cap) of the worst slack that any plan for a run's problem can have.

    A good plan is searched for first; where it reaches the cap, the cap is the bound. Else boxes of axes are searched
    until none can hold a plan with more slack, or `run.bound_boxes` have been looked at. Seconds play no part.

    Parameters
    ----------
    run : Run
        Names case, side, cap and boxes.
    problem : Problem
        The same, built.
    folder : path
        Where bounds are kept, one file each; made where it is missing.

    Raises
    ------
    InputError
        If the folder cannot be written, or a kept bound has another schema.
    """
    path = Path(folder) / f"{bound_name(run, problem)}.json"
    kept = _read(path)
    if kept is None:
        kept = {
            "schema": SCHEMA,
            "case": run.case.key,
            "side": run.side,
            **made_bound(problem, run.cap_mm, run.bound_boxes),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(kept, allow_nan=False) + "\n")
    return float(kept["bound_mm"])


def bound_name(run: Run, problem: Problem) -> str:
    """Name of a bound among those that are kept."""
    models = [[m.id, m.section, m.inscribed_radius_mm, m.corner_radius_mm, m.lengths_mm] for m in problem.models]
    effort = [SEARCH_EVALUATIONS, run.bound_boxes, GAP_MM, SEED]
    what = [anatomy_name(run.case), run.side, models, asdict(problem.limits), run.cap_mm, effort]
    return name_of(what, *ROOMS, "safety", "planning")


def made_bound(problem: Problem, cap_mm: float, boxes: int) -> dict[str, Any]:
    """A bound made now: `bound_mm`, the worst slack of the plan found (None for none), boxes, whether it was cut."""
    planner = CertifiedPlanner(slack_cap_mm=cap_mm, bound_boxes=1)
    outcome = planner.plan(problem, rng=np.random.default_rng(SEED), budget=Budget(evaluations=SEARCH_EVALUATIONS))
    slack = None if outcome.certificate is None else outcome.certificate.slack_mm
    if slack is not None and slack >= cap_mm - GAP_MM:
        return {"bound_mm": cap_mm, "slack_mm": slack, "boxes": 0, "cut": False}
    floor = max(slack or 0.0, 0.0)
    proof = UpperBound(problem, floor, SideFrame(problem.anatomy.frame, problem.side))
    bound = proof.prove(floor + (GAP_MM if slack is not None else 0.0), boxes, lambda _: False, cap_mm)
    return {"bound_mm": min(bound.upper_mm, cap_mm), "slack_mm": slack, "boxes": bound.boxes, "cut": bound.cut}


def _read(path: Path) -> dict[str, Any] | None:
    """A kept bound; None where there is none, or a file that is not whole."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict):
        return None
    if kept.get("schema") != SCHEMA:
        raise InputError(
            str(path), found=f"schema {kept.get('schema')!r}", wanted=SCHEMA, fix="delete the file: it is made again"
        )
    value = kept.get("bound_mm")
    return kept if isinstance(value, int | float) and value - value == 0 else None
