"""What the benchmark's own machinery costs: beside planners of known length, on one core and on two; and its memory.

    python scripts/bench_bench.py [--runs 60] [--quick 1000] [--spacing 1.0] [--out docs/results/bench_speed.json]

The planner here computes for as long as it is told and answers with three parallel implants, which are judged as any
plan is. Overhead is what a run takes beyond planning and judging; what judging takes stands beside it. A rate is taken
between the first and the last row, so that it holds for long experiments; the thousand quick runs are timed from start
to end, starting included. Run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from sjplan.bench.judging import measures
from sjplan.bench.parts import read_parts
from sjplan.bench.plan_runs import runs_of
from sjplan.bench.runner import BenchRequest, Progress, host, run_bench
from sjplan.bench.worker import Desk
from sjplan.core.plan import Outcome, Plan, Reason
from sjplan.core.trajectory import Trajectory
from sjplan.io.benchfiles import read_bench
from sjplan.io.results import write_rows
from sjplan.planning.protocol import Budget, PlannerSpec, Problem

OUT = Path("docs/results/bench_speed.json")
LONG_MS, QUICK_MS = 500.0, 50.0
REAL = ("certified-v1", "raster-v1", "random-v1")
"""Planners whose processes are weighed."""


class Busy:
    """Computes for so many milliseconds of processor time."""

    spec = PlannerSpec("busy-v1", "computes for as long as it is told")

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Compute, then answer."""
        until = time.thread_time() + self.ms / 1000.0
        while time.thread_time() < until:
            pass
        anatomy, sign = problem.anatomy, 1.0 if problem.side == "left" else -1.0
        middle = anatomy.joints[problem.side].sacral_lps_mm.mean(axis=0)
        medial = -sign * anatomy.frame.left
        entries = [middle + 16.0 * (1 - n) * anatomy.frame.cranial - 30.0 * medial for n in range(problem.count)]
        implants = tuple(
            Trajectory(entry, entry + model.lengths_mm[0] * medial, 0.0, model)
            for entry, model in zip(entries, problem.models, strict=True)
        )
        plan = Plan(problem.side, implants, self.spec.id)
        reason = Reason("search", 0.0, "mm", "nothing was searched")
        return Outcome("infeasible", nearest=plan, reasons=(reason,), evaluations=1)


def bench_file(folder: Path, planners: list[str], seeds: int, spacing_mm: float, *, bound: bool = False) -> Path:
    """A bench file of the default phantom, one side, so many seeds."""
    file = folder / "bench.toml"
    file.write_text(
        f'schema = "sjplan.bench-file/1"\nname = "speed"\nsides = "left"\nseeds = {list(range(seeds))}\n'
        f"bound = {str(bound).lower()}\n[[budgets]]\nevaluations = 1_000_000\nmemory_limit_mb = 4000.0\n"
        + "".join(f"[[planners]]\n{planner}\n" for planner in planners)
        + f'[[cases]]\npresets = ["default"]\nspacing_mm = {spacing_mm}\n',
        encoding="utf-8",
    )
    return file


def timed(bench: Path, out: Path, workers: int) -> tuple[float, float, int]:
    """Seconds in all, seconds between the first and the last row, and rows that came in those."""
    heard: list[Progress] = []
    begun = time.perf_counter()
    run_bench(BenchRequest(str(bench), out, workers), heard.append, print)
    whole = time.perf_counter() - begun
    some = [p for p in heard if p.session]
    return whole, some[-1].seconds - some[0].seconds, some[-1].session - some[0].session


def busy(ms: float) -> list[str]:
    return [f'planner = "{Path(__file__).stem}:Busy"\nname = "busy"\nparameters = {{ms = {ms}}}']


def rates(folder: Path, runs: int, quick: int) -> list[dict[str, Any]]:
    """Overhead at half a second a run, by workers; and the time that many quick runs take."""
    rows = []
    made = bench_file(folder, busy(1.0), 1, 2.0)
    run_bench(BenchRequest(str(made), folder / "warm", 1), lambda progress: None, print)
    for workers in (1, 2):
        bench = bench_file(folder, busy(LONG_MS), runs, 2.0)
        out = with_anatomies(folder, f"long-{workers}")
        _, seconds, count = timed(bench, out, workers)
        planning = sum(row["seconds"] for row in read_parts(out).rows.values()) / runs
        judging = judging_s(folder)
        overhead = (seconds * workers / count - judging) / planning - 1.0
        rows.append({"what": f"half a second a run, {workers} workers", "runs_a_second": round(count / seconds, 3),
                     "planning_s": round(planning, 4), "judging_s": round(judging, 4),
                     "overhead_percent": round(100.0 * overhead, 2)})  # fmt: skip
        print(rows[-1], flush=True)
    rows.append({"what": "two cores against one",
                 "ratio": round(rows[1]["runs_a_second"] / rows[0]["runs_a_second"], 3)})  # fmt: skip
    bench = bench_file(folder, busy(QUICK_MS), quick, 2.0)
    whole, _, _ = timed(bench, with_anatomies(folder, "quick"), 2)
    rows.append({"what": f"{quick} runs of {QUICK_MS:g} ms, 2 workers", "seconds": round(whole, 2)})
    print(*rows[2:], sep="\n", flush=True)
    return rows


def judging_s(folder: Path) -> float:
    """Median time of judging the plan of one run."""
    (run,) = runs_of(read_bench(bench_file(folder, busy(1.0), 1, 2.0)))
    prepared = Desk(folder / "warm").prepare(run)
    outcome = Busy(1.0).plan(prepared.problem, rng=np.random.default_rng(0), budget=Budget())
    took = []
    for _ in range(9):
        begun = time.perf_counter()
        measures(run, prepared.problem, outcome, bound_mm=None, truth=None, planner_id=Busy.spec.id)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def with_anatomies(folder: Path, name: str) -> Path:
    """A new experiment's folder with the anatomy that is made."""
    out = folder / name
    (out / "anatomies").mkdir(parents=True)
    for file in (folder / "warm" / "anatomies").iterdir():
        (out / "anatomies" / file.name).hardlink_to(file)
    return out


def memory(folder: Path, spacing_mm: float) -> dict[str, Any]:
    """Largest memory of a worker that builds the anatomy, proves a bound, plans with planners that ship, and judges."""
    bench = bench_file(folder, [f'planner = "{planner}"' for planner in REAL], 1, spacing_mm, bound=True)
    out = folder / "memory"
    run_bench(BenchRequest(str(bench), out, 1), lambda progress: None, print)
    most = max(row["memory_mb"] for row in read_parts(out).rows.values())
    return {"what": f"memory of a worker, phantom at {spacing_mm:g} mm", "mb": round(most)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60, help="runs of half a second, for each number of workers")
    parser.add_argument("--quick", type=int, default=1000, help="runs of 50 ms")
    parser.add_argument("--spacing", type=float, default=1.0, help="of the phantom whose worker is weighed, in mm")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    os.chdir(Path(__file__).parent)  # where workers find the planner
    with tempfile.TemporaryDirectory() as folder:
        rows = rates(Path(folder), arguments.runs, arguments.quick)
        rows.append(memory(Path(folder), arguments.spacing))
        print(rows[-1], flush=True)
    settings = {"runs": arguments.runs, "quick": arguments.quick, "host": host()}
    write_rows(out, rows, seed=0, settings=settings)


if __name__ == "__main__":
    main()
