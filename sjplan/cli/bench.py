"""`sjplan bench`: planners compared on many cases, fairly and repeatably."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from sjplan.cli.bench_report import compare, report
from sjplan.cli.bench_seal import open_sealed, seal, suites
from sjplan.cli.options import AsJson, FilePath
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.phantom_runs import in_words
from sjplan.cli.progress import Report, progress
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sjplan.bench.runner import Progress

app = App(name="bench", help="Compare planners on many cases: one row a run, failures included.")

for _command in (report, compare, suites, seal):
    app.command(_command)
app.command(open_sealed, name="open")

TELL_SHARE, TELL_S = 0.02, 0.5
"""Progress is told so often at most: seconds, and share of the time gone by, so that a long log stays short."""


@app.command
def run(
    bench: Annotated[str, Parameter(help="A suite that ships (smoke, adults-200 and so on), or a TOML file.")],
    /,
    *,
    out: Annotated[FilePath, Parameter(help="Folder of the experiment; run again, it goes on where it was stopped.")],
    workers: Annotated[
        int | None, Parameter(help="Runs done at the same time, each by one thread; all cores by default.")
    ] = None,
    scheduler: Annotated[
        str, Parameter(help="Address of a Dask scheduler (tcp://...) whose workers do the runs, and share --out.")
    ] = "",
    json: AsJson = False,
) -> int:
    """Do every run of a bench file, each in a process with limits, and write results.duckdb.

    May be stopped at any time, by whatever means: the same command goes on with what is left. Exit code 0 when every
    run has a row, whatever its status.
    """
    from sjplan.bench.runner import BenchRequest, cores, run_bench

    if scheduler and workers is not None:
        raise InputError("--workers", found=f"{workers} beside --scheduler", wanted="one of the two",
                         fix="a scheduler has workers of its own")  # fmt: skip
    request = BenchRequest(bench, out, cores() if workers is None else workers, scheduler)
    with progress("planning", "safety", "anatomy") as reporter:
        end = run_bench(request, _telling(reporter), note_line)
    if json:
        print_json({
            "out": str(out), "experiment": end.experiment, "runs": end.wanted, "kept": end.kept, "made": end.made,
            "statuses": dict(sorted(end.statuses.items())), "result_hash": end.result_hash,
            "results": str(end.results),
        })  # fmt: skip
    else:
        ends = ", ".join(f"{count} {status}" for status, count in sorted(end.statuses.items()))
        out_console().print(f"{out}: {end.wanted} runs ({ends}), result hash {end.result_hash[:16]}", markup=False)
    return 0


def _telling(report: Report) -> Callable[[Progress], None]:
    """Says how many runs are done, how fast it goes and how long it will take; not every time."""
    begun, told = time.monotonic(), -math.inf

    def tell(now: Progress) -> None:
        nonlocal told
        clock = time.monotonic()
        if now.done < now.wanted and clock - told < max(TELL_S, TELL_SHARE * (clock - begun)):
            return
        told = clock
        report(in_line(now), now.done / now.wanted)

    return tell


def in_line(now: Progress) -> str:
    """Progress in one line.

    Examples
    --------
    >>> from sjplan.bench.runner import Progress
    >>> in_line(Progress(30, 100, 20, 40.0, 2, {"found": 29, "crashed": 1}))
    '30 of 100 runs, 30.0 a minute, 2 min 20 s left; 1 crashed'
    """
    left = f", {in_words(now.left_s)} left" if math.isfinite(now.left_s) else ""
    failed = [f"{now.statuses[s]} {s}" for s in ("crashed", "killed", "rejected") if now.statuses.get(s)]
    waiting = "" if now.workers else "; waiting for workers"
    rate = f"{60.0 * now.rate:.1f} a minute{left}" if now.session else "an anatomy, then its bound, come before a run"
    text = f"{now.done} of {now.wanted} runs, {rate}"
    return text + (f"; {', '.join(failed)}" if failed else "") + waiting
