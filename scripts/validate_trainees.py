"""Let virtual trainees operate, score them, and ask whether the score tells the skilled from the unskilled.

    python scripts/validate_trainees.py [--operations 30] [--workers 2] [--out FILE] [--fresh]

On the contract's phantom, one side, three implants by the plan of raster-v1. Rows go to docs/results/trainees.json;
scripts/tabulate_training.py renders the tables. Goes on where an interrupted run stopped.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.core.plan import Plan
from sjplan.io.cases import Case
from sjplan.io.presets import read_preset
from sjplan.io.results import read_rows, write_rows
from sjplan.io.scoring import read_scoring
from sjplan.planning.protocol import Budget
from sjplan.planning.raster import RasterPlanner
from sjplan.testing.problems import phantom_anatomy, phantom_labels, phantom_problem
from sjplan.training.score import score
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre, open_theatre
from sjplan.training.trainees import TRAINEES, operate, trainee

SEED: Final = 0
OUT: Final = Path("docs/results/trainees.json")


@lru_cache(maxsize=1)
def prepared() -> tuple[Theatre, Plan]:
    """The operating room and the plan that everybody has in mind, once in each process."""
    theatre = open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())
    found = RasterPlanner().plan(phantom_problem(), rng=np.random.default_rng(SEED), budget=Budget(seconds=600.0))
    assert found.plan is not None
    return theatre, found.plan


def operation(name: str, seed: int) -> dict[str, Any]:
    """One operation, scored."""
    theatre, plan = prepared()
    session = operate(Session(theatre, seed, images=False), trainee(name), plan, seed)
    sheet = score(session, read_scoring(), {plan.side: plan})
    return {
        "run": f"{name} {seed}",
        "trainee": name,
        "skill": trainee(name).skill,
        "rating": round(sheet.rating, 3),
        "breach_mm": round(sheet.breach_mm, 3),
        "grade": sheet.grades["sjplan"],
        "implants": len(session.state.implants),
        "breached_implants": sum(
            any(c.distance_mm < 0.0 for c in i.clearances) for r in sheet.reports.values() for i in r.implants
        ),
        "values": {m.name: None if m.value is None else round(m.value, 3) for m in sheet.measures},
        "worth": {m.name: None if m.worth is None else round(m.worth, 4) for m in sheet.measures},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operations", type=int, default=30, help="of each trainee")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--fresh", action="store_true")
    chosen = parser.parse_args()
    scoring = read_scoring()
    settings = {
        "case": read_preset("default").as_dict(),
        "planner": "raster-v1",
        "scoring": {name: asdict(measure) for name, measure in scoring.measures.items()},
        "trainees": {name: asdict(one) | {"looks": list(one.looks)} for name, one in TRAINEES.items()},
    }
    rows = {} if chosen.fresh else read_rows(chosen.out, "run", settings)
    wanted = [(name, seed) for name in TRAINEES for seed in range(chosen.operations) if f"{name} {seed}" not in rows]
    os.environ |= dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with ProcessPoolExecutor(chosen.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = [pool.submit(operation, name, seed) for name, seed in wanted]
        for run in as_completed(runs):
            row = run.result()
            rows[row["run"]] = row
            ordered = sorted(
                rows.values(), key=lambda r: (list(TRAINEES).index(r["trainee"]), int(r["run"].split()[1]))
            )
            write_rows(chosen.out, ordered, seed=SEED, settings=settings)
            print(row["run"], row["rating"], row["grade"], flush=True)


if __name__ == "__main__":
    main()
