"""Ask every planner that ships about the suites that ship, and keep what docs/benchmark.md tells of it.

    python scripts/run_benchmarks.py [--suites smoke adults-200 ...] [--minutes M] [--folder bench] [--workers 2]
                                     [--out docs/results/benchmark.json]

Each suite is an experiment of its own in the folder, run by `sjplan bench run`, which goes on where an interrupted run
stopped. After so many minutes a suite is stopped, and the cases that every planner has been asked about by then are
kept; the same command goes on. Rows of suites that are not named stay in the results. scripts/tabulate_benchmark.py
renders the tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sjplan.bench.rows import Row, result_hash
from sjplan.bench.store import compile_results, read_results
from sjplan.io.benchfiles import list_suites, read_bench
from sjplan.io.results import read_rows, write_rows

SEED = 0
COLUMNS = (
    *("suite", "case_key", "side", "planner", "status", "accepted", "false_accept", "slack_mm", "margin_mm"),
    *(
        "bound_mm",
        "regret_mm",
        "breach_probability",
        "true_margin_mm",
        "true_error_mm",
        "true_breach",
        "evaluations",
        "seconds",
    ),
    *("memory_mb", "error_type"),
)
"""Of a whole row: what the tables are made of."""

DECIMALS = 3


def kept(row: Row) -> dict[str, Any]:
    """A row as the results file holds it."""
    values = {name: row[name] for name in COLUMNS if row[name] is not None}
    rounded = {name: round(value, DECIMALS) if isinstance(value, float) else value for name, value in values.items()}
    return {"run": f"{row['suite']} {row['case_key']} {row['side']} {row['planner']}", **rounded}


def run(suite: str, folder: Path, workers: int, seconds: float | None) -> None:
    """One suite, or what is left of it, or as much of that as is done in so many seconds."""
    command = [sys.executable, "-m", "sjplan.cli.main", "bench", "run", suite, "--out", str(folder)]
    with subprocess.Popen([*command, "--workers", str(workers)]) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            return
    if process.returncode not in (0, 1):
        raise SystemExit(f"{suite}: sjplan bench run ended with exit code {process.returncode}")


def of_whole_cases(rows: Sequence[Row], planners: int) -> list[Row]:
    """Rows of the cases that every planner was asked about, so that all are compared on the same ones."""
    asked = Counter((row["case_key"], row["side"]) for row in rows)
    return [row for row in rows if asked[row["case_key"], row["side"]] == planners]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", nargs="+", default=list(list_suites()), choices=list(list_suites()))
    parser.add_argument("--folder", type=Path, default=Path("bench"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="at most, for each suite")
    parser.add_argument("--out", type=Path, default=Path("docs/results/benchmark.json"))
    arguments = parser.parse_args()
    rows = read_rows(arguments.out, "run")
    facts: dict[str, Any] = {}
    if arguments.out.is_file():
        facts = json.loads(arguments.out.read_text(encoding="utf-8"))["settings"].get("suites", {})
    for suite in arguments.suites:
        folder = arguments.folder / suite
        run(suite, folder, arguments.workers, None if arguments.minutes is None else 60.0 * arguments.minutes)
        experiment = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
        planners = len(read_bench(suite).planners)
        found = of_whole_cases(read_results(compile_results(folder)), planners)
        rows = {key: row for key, row in rows.items() if row["suite"] != suite}
        rows |= {row["run"]: row for row in map(kept, found)}
        facts[suite] = {
            "host": experiment["host"], "workers": arguments.workers, "result_hash": result_hash(found),
            "cases": len(found) // planners, "of_cases": experiment["wanted"] // planners,
        }  # fmt: skip
        write_rows(arguments.out, [rows[key] for key in sorted(rows)], seed=SEED, settings={"suites": facts})
        print(suite, len(found), "rows", flush=True)


if __name__ == "__main__":
    main()
