"""How many boxes, and seconds, the proof of certified-v1 takes to bound the slack of a side so far above a known plan.

    python scripts/bench_proof.py NAME SIDE SLACK_MM [--above 2 0.5 0.25] [--boxes 3000000] [--cap MM]

NAME is a real pelvis such as vsd-z001, or a phantom of the cohort such as adults-009. SLACK_MM is the worst slack of
the best plan known; the proof knows no more of that plan.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path
from typing import get_args

from real_pelves import cases
from validate_planners import COHORT, SEED, phantom_anatomy

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.plan import Side
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import draw, read_cohort
from sjplan.io.volumes import read_labels
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Problem
from sjplan.planning.upper_bound import UpperBound


def anatomy_of(name: str, data: Path) -> Anatomy:
    if name.startswith(f"{COHORT}-"):
        return phantom_anatomy(draw(read_cohort(COHORT), int(name.rsplit("-", 1)[1]), SEED))
    return anatomy_from_labels(read_labels(cases(data)[name]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("side", choices=get_args(Side))
    parser.add_argument("slack_mm", type=float)
    parser.add_argument("--above", nargs="+", type=float, default=[2.0, 0.5, 0.25], help="targets above it, in mm")
    parser.add_argument("--boxes", type=int, default=3_000_000, help="the most that may be looked at")
    parser.add_argument("--cap", type=float, default=math.inf, help="slack above which nothing is of interest, in mm")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    arguments = parser.parse_args()
    anatomy = anatomy_of(arguments.name, arguments.data)
    problem = Problem(anatomy, arguments.side, (read_implants()["tri-7"],) * 3, read_limits())
    frame = SideFrame(anatomy.frame, arguments.side)
    UpperBound(problem, arguments.slack_mm, frame).prove(arguments.slack_mm, 100_000, lambda _: False)
    for above in arguments.above:
        proof, started = UpperBound(problem, arguments.slack_mm, frame), time.perf_counter()
        bound = proof.prove(arguments.slack_mm + above, arguments.boxes, lambda _: False, arguments.cap)
        said = "cut short" if bound.cut else "proved"
        seconds, reached = time.perf_counter() - started, bound.upper_mm - arguments.slack_mm
        asked = f"{arguments.name} {arguments.side} {arguments.slack_mm:g} + {above:g} mm"
        print(f"{asked}: {said} {reached:.2f} above, {bound.boxes} boxes, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
