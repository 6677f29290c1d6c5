"""Kill an experiment ten times, and see whether it ends as one that nobody disturbed.

    python scripts/validate_bench.py [--cases 1000] [--planners rule-v1 random-v1 greedy-v1] [--evaluations 60000]
                                     [--kills 10] [--seed 0] [--work FOLDER] [--out docs/results/bench_kills.json]

Phantoms of the cohort of adults at 2 mm, a side each. The first experiment is left alone: two worker processes. The
second is hit by SIGKILL at random moments, spread over its whole length, in turn on the runner, on a worker process, on
a Dask worker and on a Dask scheduler, each of which is in the middle of its work; then it is begun again. Its folder
holds nine tenths of the anatomies, so that they are killed in the making too. Goes on where an interrupted run stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from sjplan.bench.parts import PARTS, read_parts
from sjplan.bench.rows import result_hash
from sjplan.io.atomic import write_text
from sjplan.io.results import write_rows

CHEAP: Final = {
    "random-v1": "draws = 2000, refinements = 30",
    "greedy-v1": "crossing_step_mm = 4.0, direction_step_deg = 8.0, climb_steps = 300, refinements = 15",
}
"""Parameters with which a planner answers within a second or two: its plan is measured all the same."""

VICTIMS: Final = ("runner", "worker", "Dask worker", "Dask scheduler", "runner with Dask")
WORKERS: Final = 2
_LOOK_S: Final = 0.05
_RANDOM_S: Final = 2.0
"""A kill comes so long at most after its row: anywhere in a run, or between two."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--planners", nargs="+", default=["rule-v1", "random-v1", "greedy-v1"])
    parser.add_argument("--evaluations", type=int, default=60_000, help="of each run")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, default=Path("bench-kills"), help="folder of both experiments")
    parser.add_argument("--out", type=Path, default=Path("docs/results/bench_kills.json"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = bench_file(work, arguments.cases, arguments.planners, arguments.evaluations)
    calm, hit = work / "undisturbed", work / "killed"
    finish(bench, calm)
    share_anatomies(calm, hit)
    kills = killed(bench, hit, arguments)
    finish(bench, hit)
    found = compared(calm, hit)
    print(json.dumps(found, indent=1))
    settings = {name: getattr(arguments, name) for name in ("cases", "planners", "evaluations", "kills")}
    rows = [{"what": f"kill {n}", **kill} for n, kill in enumerate(kills, 1)] + [{"what": "end", **found}]
    write_rows(arguments.out, rows, seed=arguments.seed, settings=settings)
    sys.exit(0 if found["same"] and not found["lost"] and not found["foreign"] else 1)


def bench_file(work: Path, cases: int, planners: Sequence[str], evaluations: int) -> Path:
    """The bench file of both experiments."""
    file = work / "bench.toml"
    text = (
        'schema = "sjplan.bench-file/1"\nname = "kills"\nsides = "alternate"\nbound = false\n'
        f"[[budgets]]\nevaluations = {evaluations}\nwall_limit_s = 600.0\n"
        + "".join(
            f'[[planners]]\nplanner = "{planner}"\nparameters = {{ {CHEAP.get(planner, "")} }}\n'
            for planner in planners
        )
        + f'[[cases]]\ncohort = "adults"\ncount = {cases}\nspacing_mm = 2.0\n'
    )
    write_text(file, text)
    return file


def command(bench: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "sjplan.cli.main", "bench", "run", str(bench), "--out", str(out), *more]


def finish(bench: Path, out: Path) -> None:
    """Run an experiment to its end, by processes."""
    subprocess.run(command(bench, out, "--workers", str(WORKERS)), check=True)


def share_anatomies(calm: Path, hit: Path) -> None:
    """Give the second experiment nine tenths of the anatomies of the first."""
    place = hit / "anatomies"
    if place.exists():
        return
    place.mkdir(parents=True)
    for n, file in enumerate(sorted((calm / "anatomies").glob("*.pickle"))):
        if n % 10:
            (place / file.name).hardlink_to(file)


def killed(bench: Path, out: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Do the kills that are not done yet; what was killed when, kept from one call to the next."""
    rng, file = random.Random(arguments.seed), arguments.work / "kills.json"
    runs = arguments.cases * len(arguments.planners)
    # One moment in each stretch of the experiment, so that none falls behind its end.
    stretch = 0.95 * runs / arguments.kills
    moments = [max(1, int((n + rng.random()) * stretch)) for n in range(arguments.kills)]
    victims = [VICTIMS[n % len(VICTIMS)] for n in range(arguments.kills)]
    rng.shuffle(victims)
    done: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []
    for n in range(len(done), arguments.kills):
        done.append({"victim": victims[n], **leg(bench, out, victims[n], moments[n], _RANDOM_S * rng.random())})
        print(done[-1], flush=True)
        write_text(file, json.dumps(done))
    return done


def leg(bench: Path, out: Path, victim: str, moment: int, later_s: float) -> dict[str, Any]:
    """Go on until so many runs have a row, and a little more; kill; go on a little where that can be; end it all."""
    before = rows_of(out)
    with cluster(out.parent, victim) as dask:
        words = ("--scheduler", dask[0]) if dask else ("--workers", str(WORKERS))
        with subprocess.Popen(command(bench, out, *words), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
            try:
                wait(run, out, max(moment, before + 1))
                time.sleep(later_s)
                assert run.poll() is None, "it ended before it was killed: fewer kills, or more cases"
                chosen(victim, run.pid, dask).send_signal(signal.SIGKILL)
                at = rows_of(out)
                if victim in ("worker", "Dask worker"):
                    wait(run, out, at + 1)
                elif victim == "Dask scheduler":
                    assert run.wait(timeout=300) == 2, "a scheduler that went away is bad luck, said in one line"
            finally:
                run.kill()
    return {"after_rows": at, "went_on": victim in ("worker", "Dask worker"), "damaged": len(read_parts(out).damaged)}


def chosen(victim: str, runner: int, dask: tuple[str, int, int] | None) -> psutil.Process:
    """The process to kill."""
    if victim == "worker":
        return random.choice(psutil.Process(runner).children())
    if victim.startswith("Dask"):
        assert dask is not None
        return psutil.Process(dask[1] if victim == "Dask scheduler" else dask[2])
    return psutil.Process(runner)


@contextmanager
def cluster(work: Path, victim: str) -> Iterator[tuple[str, int, int] | None]:
    """For victims that need one: the address of a Dask scheduler, its process, and that of one of its two workers."""
    if "Dask" not in victim:
        yield None
        return
    file = work / "scheduler.json"
    file.unlink(missing_ok=True)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    started = [subprocess.Popen([*dask, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file),
                                 "--host", "127.0.0.1"], **quiet)]  # fmt: skip
    try:
        while not (file.is_file() and file.read_text().endswith("}")):
            time.sleep(_LOOK_S)
        address = json.loads(file.read_text())["address"]
        for _ in range(WORKERS):
            started.append(
                subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"], **quiet)
            )
        yield address, started[0].pid, started[1].pid
    finally:
        for process in started:
            process.kill()
            process.wait()


def rows_of(out: Path) -> int:
    """Runs that have a row."""
    return len(read_parts(out).rows)


def wait(run: subprocess.Popen[bytes], out: Path, rows: int) -> None:
    """Until so many runs have a row; parts are counted first, which is cheap."""
    place = out / PARTS
    seen = -1
    while run.poll() is None:
        there = sum(1 for _ in place.iterdir()) if place.is_dir() else 0
        if there != seen:
            seen = there
            if rows_of(out) >= rows:
                return
        time.sleep(_LOOK_S)
    raise RuntimeError(f"the experiment ended with code {run.returncode} before it had {rows} rows")


def compared(calm: Path, hit: Path) -> dict[str, Any]:
    """Whether both experiments have found the same; runs lost, rows that belong to none, runs that were done twice."""
    whole, other = read_parts(calm).rows, read_parts(hit).rows
    files = [json.loads(file.read_text(encoding="utf-8")) for file in (hit / PARTS).glob("[!.]*.json")]
    times = Counter(row["run"] for part in files for row in part["rows"])
    statuses = Counter(str(row["status"]) for row in whole.values())
    return {
        "runs": len(whole),
        "statuses": dict(sorted(statuses.items())),
        "lost": len(whole.keys() - other.keys()),
        "foreign": len(other.keys() - whole.keys()),
        "done_twice": sum(count > 1 for count in times.values()),
        "same": result_hash(whole.values()) == result_hash(other.values()),
        "result_hash": result_hash(whole.values()),
        "result_hash_killed": result_hash(other.values()),
    }


if __name__ == "__main__":
    main()
