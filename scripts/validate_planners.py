"""Ask every planner for both sides of every real pelvis, and one of each phantom of a cohort; judge what it answers.

    python scripts/validate_planners.py [--planners raster-v1 greedy-v1 ...] [--caps 3 none] [--only vsd-z001 ...]
                                        [--phantoms N] [--data FOLDER] [--out docs/results/planners.json] [--fresh]

Goes on where an interrupted run stopped; `--fresh` asks again what is named. Rows of planners that are not named stay.
The tables in docs/planning.md are rendered from the file by scripts/tabulate_planners.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from real_pelves import cases

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.plan import Outcome, Side
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load, planners
from sjplan.safety.judge import judge

SEED = 0
COHORT, PHANTOM_SPACING_MM = "adults", 1.0
CAPS_MM = {"3": 3.0, "none": 99.0}
"""Caps by name: without one, more slack than there is bone is asked for."""

BUDGET_S = 20.0
"""Seconds that planners with a certificate get for one side."""

SHORT_MM = 10.0
"""A distal implant with less length than this in the sacrum is short (BMC19)."""

BOLDER_RULE = "rule-v1@foramen_margin_mm=2"
"""The textbook with tips as near to a foramen as the limit on foramina lets them be."""

PLANNERS = (
    "certified-v1",
    "raster-v1",
    "greedy-v1",
    "weighted-v1",
    "rule-v1",
    BOLDER_RULE,
    "random-v1",
    "evolution-v1",
)
CAP_IS_NO_GOAL = ("weighted-v1", "rule-v1", BOLDER_RULE)
"""Planners that do not stop at the cap: for the weighted sum it is the millimetre that is worth all of safety."""


def sources(arguments: argparse.Namespace) -> Iterator[tuple[str, tuple[Side, ...], Callable[[], Anatomy]]]:
    """Every case by name, with the sides to ask for (of phantoms left and right in turn) and what makes its anatomy."""
    both = get_args(Side)
    for name, file in cases(arguments.data).items():
        if not arguments.only or name in arguments.only:
            yield name, both, lambda file=file: anatomy_from_labels(read_labels(file))
    cohort = read_cohort(COHORT) if arguments.phantoms else None
    for index in range(arguments.phantoms):
        assert cohort is not None
        drawn = draw(cohort, index, SEED)
        yield f"{COHORT}-{index:03}", (both[index % 2],), lambda p=drawn: phantom_anatomy(p)


def phantom_anatomy(parameters: PhantomParameters) -> Anatomy:
    return anatomy_from_labels(build_labels(parameters, spacing_mm=PHANTOM_SPACING_MM)[0])


def plain(value: Any) -> Any:
    """A certificate as JSON takes it; None where there is none."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def measures(outcome: Outcome, anatomy: Anatomy) -> dict[str, Any]:
    """What the judge says of the plan, or of the nearest one where none is accepted."""
    plan = outcome.plan or outcome.nearest
    if plan is None:
        return {"accepted": False}
    report = judge(plan, anatomy, read_limits())
    return {
        "accepted": report.accepted,
        "slack_mm": round(report.slack_mm, 3),
        "sacral_mm": [round(i.sacral_mm, 1) for i in report.implants],
        "lengths_mm": [round(i.trajectory.length_mm) for i in report.implants],
        "articular": [i.crosses_articular for i in report.implants],
        "distal_short": report.implants[-1].sacral_mm < SHORT_MM,
        "middle_articular": report.implants[1].crosses_articular,
        "lies_bare": sum(f.code == "lies-bare" for f in report.findings),
        "broken": sorted({v.constraint for v in report.violations}),
    }


def row(key: str, anatomy: Anatomy, side: Side, planner: str, cap: str) -> dict[str, Any]:
    planner_id, _, given = planner.partition("@")
    parameters = {"slack_cap_mm": CAPS_MM[cap]} if "slack_cap_mm" in planners()[planner_id].parameters else {}
    parameters |= {name: float(value) for name, _, value in (word.partition("=") for word in given.split(",") if word)}
    model = read_implants()["tri-7"]
    problem = Problem(anatomy, side, (model,) * 3, read_limits())
    started = time.perf_counter()
    budget = Budget(seconds=BUDGET_S) if "certificate" in planners()[planner_id].capabilities else Budget()
    outcome = load(planner_id, **parameters).plan(problem, rng=np.random.default_rng(SEED), budget=budget)
    result = {"run": key, "planner": planner, "cap": cap, "status": outcome.status}
    result |= {"seconds": round(time.perf_counter() - started, 2), "evaluations": outcome.evaluations}
    certificate = plain(getattr(outcome, "certificate", None))
    return result | measures(outcome, anatomy) | ({"certificate": certificate} if certificate is not None else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--planners",
        nargs="+",
        default=list(PLANNERS),
        help="ids, with parameters as ID@NAME=VALUE,...; rows of others stay",
    )
    parser.add_argument("--caps", nargs="+", default=["3"], choices=list(CAPS_MM), help="caps on the worst slack (mm)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("docs/results/planners.json"))
    parser.add_argument("--only", nargs="*", default=None, help="names such as vsd-z001 jhu-41")
    parser.add_argument("--phantoms", type=int, default=0, help=f"so many phantoms of the cohort {COHORT}, a side each")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    settings = {"implant": "tri-7", "cohort": COHORT, "phantom_spacing_mm": PHANTOM_SPACING_MM, "caps_mm": CAPS_MM}
    rows = read_rows(arguments.out, "run", settings)
    done: set[str] = set() if arguments.fresh else set(rows)
    for name, sides, make in sources(arguments):
        wanted = [
            (f"{name} {side} {planner} cap {cap}", side, planner, cap)
            for cap in arguments.caps
            for side in sides
            for planner in arguments.planners
            if not (cap == "none" and planner in CAP_IS_NO_GOAL)
        ]
        wanted = [w for w in wanted if w[0] not in done]
        anatomy = make() if wanted else None
        for key, side, planner, cap in wanted:
            assert anatomy is not None
            rows[key] = row(key, anatomy, side, planner, cap)
            write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)
            print(key, rows[key]["status"], rows[key].get("slack_mm"), f"{rows[key]['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
