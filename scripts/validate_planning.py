"""Plan both sides of every real pelvis, and search every refused side again, slowly and finely.

    python scripts/validate_planning.py [--data FOLDER] [--only z001 41 ...] [--out docs/results/real_pelves.json]

Goes on where an interrupted run stopped; `--fresh` starts over. The table in docs/real_pelves.md is rendered from the
file by scripts/tabulate_real_pelves.py.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from real_pelves import asked

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.plan import Outcome, Side
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.results import read_rows, write_rows
from sjplan.io.volumes import read_labels
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.safety.judge import judge

SEED = 0
SLOW: dict[str, float | int | str | bool] = {
    "crossing_step_mm": 1.0,
    "direction_step_deg": 2.5,
    "pool": 12000,
    "starts": 96,
    "climb_steps": 6000,
    "refinements": 600,
}
"""The slow, finer search with the same limits, for sides that were refused."""


def plan_side(anatomy: Anatomy, side: Side, parameters: dict[str, float | int | str | bool]) -> tuple[Outcome, float]:
    model = read_implants()["tri-7"]
    problem = Problem(anatomy, side, (model,) * 3, read_limits())
    started = time.perf_counter()
    outcome = load("raster-v1", **parameters).plan(problem, rng=np.random.default_rng(SEED), budget=Budget())
    return outcome, time.perf_counter() - started


def row(name: str, side: Side, anatomy: Anatomy) -> dict[str, Any]:
    outcome, seconds = plan_side(anatomy, side, {})
    result: dict[str, Any] = {"case": f"{name} {side}", "status": outcome.status, "seconds": round(seconds, 2)}
    if outcome.plan is None:
        slow, slow_seconds = plan_side(anatomy, side, SLOW)
        result["slow_search"] = {"status": slow.status, "seconds": round(slow_seconds, 1)}
        result["reasons"] = [r.text for r in outcome.reasons]
        result["fallback"] = outcome.fallback is not None
    plan = outcome.plan or outcome.nearest
    if plan is not None:
        report = judge(plan, anatomy, read_limits())
        worst = min(report.implants, key=lambda i: i.slack_mm)
        result |= {
            "accepted": report.accepted,
            "slack_mm": round(report.slack_mm, 3),
            "binding": worst.binding.structure,
            "margin_mm": round(report.margin_mm, 3),
            "lengths_mm": [round(i.trajectory.length_mm) for i in report.implants],
            "sacral_mm": [round(i.sacral_mm, 1) for i in report.implants],
            "iliac_mm": [round(i.iliac_mm, 1) for i in report.implants],
            "articular": [i.crosses_articular for i in report.implants],
            "spacing_mm": [round(p.spacing_mm, 1) for p in report.pairs if p.j == p.i + 1],
            "gap_mm": round(min(p.gap_mm for p in report.pairs), 2),
            "angle_deg": round(max(p.angle_deg for p in report.pairs), 1),
            "reserve_mm": [round(i.overshoot_reserve_mm, 1) for i in report.implants],
            "findings": sorted({f.code for f in report.findings}),
        }
    return result


def main() -> None:
    arguments, wanted = asked(str(__doc__), "docs/results/real_pelves.json")
    settings = {"planner": "raster-v1", "implant": "tri-7", "slow_search": SLOW}
    rows = {} if arguments.fresh else read_rows(arguments.out, "case", settings)
    for name, file in wanted.items():
        sides: tuple[Side, ...] = ("left", "right")
        if all(f"{name} {side}" in rows for side in sides):
            continue
        started = time.perf_counter()
        anatomy = anatomy_from_labels(read_labels(file))
        anatomy_seconds = round(time.perf_counter() - started, 2)
        for side in sides:
            key = f"{name} {side}"
            rows[key] = row(name, side, anatomy) | {"anatomy_seconds": anatomy_seconds}
            write_rows(arguments.out, [rows[k] for k in sorted(rows)], seed=SEED, settings=settings)
            print(key, rows[key]["status"], rows[key].get("slack_mm"), f"{rows[key]['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
