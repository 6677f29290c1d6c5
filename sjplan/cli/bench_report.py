"""`sjplan bench report` and `sjplan bench compare`: what an experiment found, and whether a version lost anything."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from sjplan.cli.options import AsJson, CatalogueFile, FilePath
from sjplan.cli.output import out_console, print_json

if TYPE_CHECKING:
    from sjplan.bench.compare import Change, Comparison
    from sjplan.bench.findings import Findings

Results = Annotated[
    FilePath, Parameter(help="Folder of an experiment (--out of sjplan bench run), or its results file.")
]


def report(
    results: Results,
    /,
    *,
    out: Annotated[FilePath | None, Parameter(help="Folder to write; DIR/report, or one beside the file.")] = None,
    runs: Annotated[Literal["csv", "parquet"] | None, Parameter(help="Write all runs as well, in this format.")] = None,
    catalogue: CatalogueFile = None,
    json: AsJson = False,
) -> int:
    """Write the report of an experiment: one HTML page, and every number of it as CSV beside.

    The experiment may still be running: the page says how many runs are missing.
    """
    from sjplan.bench.report import FOLDER, PAGE, plain, write_report
    from sjplan.io.catalogue import read_implants

    folder = out if out is not None else (results if results.is_dir() else results.parent) / FOLDER
    found = write_report(results, folder, models=read_implants(catalogue), export=runs or "")
    page = folder / PAGE
    if json:
        print_json(_plain(plain(found) | {"page": str(page)}))
    else:
        for line in summary_lines(found):
            out_console().print(line, markup=False)
        out_console().print(f"report in {page}", markup=False)
    return 0


def summary_lines(found: Findings) -> list[str]:
    """One line a planner."""
    wide = max(len(row["planner"]) for row in found.summary)
    lines = []
    for row in found.summary:
        share, low, high = (100 * row[f"accepted_{end}"] for end in ("share", "low", "high"))
        regret = row["regret_median_mm"]
        lines.append(
            f"{row['planner']:{wide}}  accepted {row['accepted']} of {row['runs']} runs, {share:.0f} % "
            f"(95 % {low:.0f} to {high:.0f}), median regret {'-' if regret is None else f'{regret:.2f} mm'}, "
            f"false accepts {row['false_accepts']}"
        )
    return lines


def compare(
    a: Results,
    b: Results,
    /,
    *,
    planner: Annotated[str | None, Parameter(help="Its name, where results hold several planners.")] = None,
    json: AsJson = False,
) -> int:
    """Compare two versions of one planner, A before and B after: exit 1 on a loss that chance does not explain.

    Runs are paired: same case, side, seed and budget. Measures: worst slack, accepted plans, false accepts, and runs
    without an answer; one-sided tests over cases, corrected by Holm, at 5 % for all of them together.
    """
    from sjplan.bench.compare import compare as compared

    found = compared(a, b, planner)
    if json:
        print_json(_plain(asdict(found) | {"lost": found.lost, "blind": found.blind}))
    else:
        for line in comparison_lines(found):
            out_console().print(line, markup=False)
    return 1 if found.lost else 0


def comparison_lines(found: Comparison) -> list[str]:
    """A comparison in words: what, how much, of how many."""
    lines = [f"A {found.planner_a}, B {found.planner_b}: {found.pairs} pairs of runs on {found.cases} cases"]
    if found.only_a or found.only_b:
        lines.append(f"left out, for they have no partner: {found.only_a} runs of A, {found.only_b} of B")
    if found.other_bounds:
        lines.append(f"beware: {found.other_bounds} pairs differ in their certified bound; is it the same case?")
    lines += [_change_line(change) for change in found.changes]
    ratio, low, high = found.time_ratio
    if math.isfinite(ratio):
        lines.append(
            f"time: B takes {ratio:.2f} times as long{_interval(low, high, '.2f')}; tells nothing across machines"
        )
    if found.blind:
        lines.append(f"{found.cases} cases are too few: even if B were worse on each, that would not be significant")
    worse = [change.measure for change in found.changes if change.lost]
    lines.append(f"LOST: {', '.join(worse)}" if worse else "no significant loss")
    return lines


def _change_line(change: Change) -> str:
    unit, scale, digits = ("mm", 1.0, ".3f") if change.unit == "mm" else ("%", 100.0, ".2f")
    sign = "LOSS" if change.lost else "ok  "
    if not change.pairs:
        return f"{sign} {change.measure}: nothing to compare"
    a, b, off = (f"{scale * x:{digits}}" for x in (change.a, change.b, change.change))
    off = off if off.startswith("-") else f"+{off}"
    interval = _interval(scale * change.low, scale * change.high, digits)
    return (
        f"{sign} {change.measure}: A {a}, B {b} {unit}; B less A {off} {unit}{interval}; "
        f"p for a loss {_p(change.corrected)} (corrected), n = {change.pairs} pairs on {change.cases} cases"
    )


def _interval(low: float, high: float, digits: str) -> str:
    return f" (95 % {low:{digits}} to {high:{digits}})" if math.isfinite(low + high) else ""


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _plain(value: Any) -> Any:
    """Numbers that JSON does not know become null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
