"""`sjplan bench report` and `sjplan bench compare`: what an experiment found, and whether a new version lost anything."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sjplan.cli.options import AsJson, FilePath
from sjplan.cli.output import out_console, print_json

if TYPE_CHECKING:
    from sjplan.bench.compare import Change, Comparison

Results = Annotated[
    FilePath, Parameter(help="Folder of an experiment (--out of sjplan bench run), or its results file.")
]


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
