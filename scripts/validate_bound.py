"""Ask a brute-force oracle on phantoms of a cohort, and hold the certificates of certified-v1 against what it finds.

    python scripts/validate_bound.py [--phantoms 200] [--out docs/results/bound.json] [--fresh]

Each phantom is asked on one side, left and right in turn. A row is wrong where the oracle's plan (or its best set of
those that the bound has to cover) has more slack than a certificate allows, or more than the certified plan by
more than that certificate's gap. The planner searches less than usual, and the proof is given few boxes: what it says
has to hold all the same. A third proof is not told of the plan: its floor lies a millimetre below the oracle's, so that
a bound that is too low cannot hide behind a good plan. Goes on where an interrupted run stopped; exit code 1 if any
row of the file is wrong. The tables in docs/planning.md are rendered by scripts/tabulate_planners.py.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.plan import Side
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.presets import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.build import build_labels
from sjplan.planning.field import SideFrame
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.planning.upper_bound import UpperBound
from sjplan.safety.judge import judge
from sjplan.testing.oracle import COARSE, OracleAnswer, ask_oracle

SEED, COHORT, SPACING_MM = 0, "adults", 2.0
CAPS_MM = {"3": 3.0, "none": 99.0}
LESS = {
    "crossing_step_mm": 3.0,
    "direction_step_deg": 6.0,
    "pool": 1500,
    "starts": 8,
    "climb_steps": 600,
    "refinements": 20,
    "evolutions": 1,
    "generations": 40,
    "bound_boxes": 90_000,
}
"""What is asked of the planner: less than its defaults."""

BLIND_MM, BLIND_BOXES = 1.0, 120_000
TOLERANCE_MM = 1e-6
SETTINGS = {
    "implant": "tri-7", "cohort": COHORT, "spacing_mm": SPACING_MM, "raster": COARSE._asdict(), "planner": LESS,
    "caps_mm": CAPS_MM, "blind": {"below_oracle_mm": BLIND_MM, "boxes": BLIND_BOXES},
}  # fmt: skip


def certified(problem: Problem, cap_mm: float) -> dict[str, Any]:
    """Status of certified-v1 with one cap, the judged slack of its plan, what it certifies, and seconds."""
    started = time.perf_counter()
    planner = load("certified-v1", **LESS, slack_cap_mm=cap_mm)
    outcome = planner.plan(problem, rng=np.random.default_rng(SEED), budget=Budget())
    result: dict[str, Any] = {"status": outcome.status, "seconds": round(time.perf_counter() - started, 2)}
    result["proved_infeasible"] = any(r.constraint == "proof" for r in outcome.reasons)
    if outcome.plan is not None and outcome.certificate is not None:
        report = judge(outcome.plan, problem.anatomy, problem.limits)
        result |= {"accepted": report.accepted, "slack_mm": report.slack_mm}
        result |= {"certified_mm": outcome.certificate.slack_mm, "upper_mm": outcome.certificate.upper_bound_mm}
    return result


def wrong(oracle: OracleAnswer, answers: dict[str, dict[str, Any]], blind_mm: float) -> list[str]:
    """What of one phantom contradicts a certificate, as sentences; nothing where all is well."""
    found: list[str] = []
    for cap, answer in answers.items():
        most, loose = min(oracle.slack_mm, CAPS_MM[cap]), min(oracle.loose_mm, CAPS_MM[cap])
        if "upper_mm" not in answer:
            if oracle.plan is not None:
                found.append(f"cap {cap}: {answer['status']}, the oracle has a plan with {most:.3f} mm")
            if answer["proved_infeasible"] and loose >= 0.0:
                found.append(f"cap {cap}: proved infeasible, the oracle has a set with {loose:.3f} mm")
            continue
        upper, slack = answer["upper_mm"], min(answer["slack_mm"], CAPS_MM[cap])
        gap = upper - answer["certified_mm"]
        if not answer["accepted"]:
            found.append(f"cap {cap}: the judge refuses the plan")
        if loose > upper + TOLERANCE_MM:
            found.append(f"cap {cap}: the oracle's {loose:.6f} mm beat the bound {upper:.6f} mm")
        if slack < most - gap - TOLERANCE_MM:
            found.append(f"cap {cap}: the oracle's {most:.6f} mm beat {slack:.6f} mm by more than the gap {gap:.6f} mm")
    best = max([oracle.loose_mm, *(a.get("slack_mm", -math.inf) for a in answers.values())])
    if best > blind_mm + TOLERANCE_MM:
        found.append(f"a plan with {best:.6f} mm beat {blind_mm:.6f} mm, proved without knowing it")
    return found


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def row(key: str, index: int, side: Side) -> dict[str, Any]:
    anatomy = anatomy_from_labels(build_labels(draw(read_cohort(COHORT), index, SEED), spacing_mm=SPACING_MM)[0])
    problem = Problem(anatomy, side, (read_implants()["tri-7"],) * 3, read_limits())
    started = time.perf_counter()
    oracle = ask_oracle(problem, COARSE)
    seconds = round(time.perf_counter() - started, 2)
    answers = {cap: certified(problem, cap_mm) for cap, cap_mm in CAPS_MM.items()}
    floor_mm = max(oracle.loose_mm - BLIND_MM, 0.0)
    blind = UpperBound(problem, floor_mm, SideFrame(anatomy.frame, side)).prove(floor_mm, BLIND_BOXES, lambda _: False)
    return {
        "run": key,
        "oracle_mm": finite(oracle.slack_mm),
        "oracle_loose_mm": finite(oracle.loose_mm),
        "axes": oracle.axes,
        "measured": oracle.measured,
        "sets": oracle.sets,
        "oracle_seconds": seconds,
        "certified": answers,
        "blind_upper_mm": blind.upper_mm,
        "wrong": wrong(oracle, answers, blind.upper_mm),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=200, help=f"so many of the cohort {COHORT}, from the first on")
    parser.add_argument("--out", type=Path, default=Path("docs/results/bound.json"))
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    rows = {} if arguments.fresh else read_rows(arguments.out, "run", SETTINGS)
    for index in range(arguments.phantoms):
        side = get_args(Side)[index % 2]
        key = f"{COHORT}-{index:03} {side}"
        if key not in rows:
            rows[key] = row(key, index, side)
            write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=SETTINGS)
            print(key, rows[key]["oracle_mm"], rows[key]["wrong"] or "agrees", flush=True)
    bad = [key for key, found in rows.items() if found["wrong"]]
    sets = sum(found["sets"] for found in rows.values())
    print(f"{len(rows)} phantoms, {sets} sets: {len(bad)} contradict a certificate {' '.join(bad)}".rstrip())
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
