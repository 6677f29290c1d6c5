"""Bench files for tests, and processes that run them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sjplan.bench.parts import read_parts
from sjplan.bench.plan_runs import runs_of
from sjplan.bench.rows import result_hash
from sjplan.bench.runner import BenchEnd, BenchRequest, run_bench
from sjplan.bench.runs import Run
from sjplan.bench.store import result_hash_of
from sjplan.io.benchfiles import read_bench

HERE = Path(__file__).parent
ONE_CASE = '[[cases]]\npresets = ["default"]\nspacing_mm = 2.0\n'
CASES = ONE_CASE + '[[cases]]\ncohort = "adults"\nindices = [0]\nspacing_mm = 2.0\n'


def bench_text(
    planners: Sequence[str], cases: str = ONE_CASE, *, sides: str = "left", seeds: Sequence[int] = (0,),
    wall_s: float = 60.0, memory_mb: float = 1500.0,
) -> str:  # fmt: skip
    """A bench file; planners as lines of TOML, or names of ways to misbehave."""
    text = (
        f'schema = "sjplan.bench-file/1"\nname = "try"\nsides = "{sides}"\nseeds = {list(seeds)}\nbound = false\n'
        f"[[budgets]]\nevaluations = 1000\nwall_limit_s = {float(wall_s)}\nmemory_limit_mb = {float(memory_mb)}\n"
    )
    return text + "".join(planner_text(planner) for planner in planners or ["straight"]) + cases


def planner_text(planner: str) -> str:
    if planner == "straight":
        return '[[planners]]\nplanner = "odd_planners:Straight"\nname = "straight"\n'
    if planner == "moody":
        return planner_text("straight").replace('"straight"', '"moody"') + "parameters = {moody = true}\n"
    if planner.startswith("straight "):
        ms = planner.removeprefix("straight ")
        return planner_text("straight").replace('"straight"', f'"straight-{ms}"') + f"parameters = {{ms = {ms}}}\n"
    return f'[[planners]]\nplanner = "odd_planners:Odd"\nname = "{planner}"\nparameters = {{way = "{planner}"}}\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "bench-file.toml"
    file.write_text(text, encoding="utf-8")
    return file


def runs(folder: Path, text: str) -> list[Run]:
    return runs_of(read_bench(written(folder, text)))


def started(file: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """`sjplan bench run` in a process of its own."""
    command = [sys.executable, "-m", "sjplan.cli.main", "bench", "run", str(file), "--out", str(out), "--json", *more]
    return subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


MIX = ["straight", "straight 60", "moody"]
SEEDS = range(4)
"""Seeds of which the last is one that a moody planner does not answer."""


def parts_of(out: Path) -> int:
    """How many parts an experiment has so far."""
    return sum(1 for file in (out / "parts").glob("[!.]*.json")) if (out / "parts").is_dir() else 0


def wait_for(what: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def done_in_this_process(file: Path, out: Path, *, workers: int = 1, scheduler: str = "") -> tuple[BenchEnd, list[str]]:
    """An experiment run to its end, and what was noted for people."""
    notes: list[str] = []
    end = run_bench(BenchRequest(str(file), out, workers, scheduler), lambda progress: None, notes.append)
    rows = read_parts(out).rows
    assert len(rows) == end.wanted == end.kept + end.made
    assert result_hash(rows.values()) == end.result_hash == result_hash_of(out)
    return end, notes
