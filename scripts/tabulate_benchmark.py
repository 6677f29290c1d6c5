"""Render the tables of docs/benchmark.md and docs/benchmark_running.md from docs/results/bench*.json.

python scripts/tabulate_benchmark.py [--check]

With `--check` nothing is written; exit code 1 says that the pages and the results differ.
"""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from tabulate_real_pelves import RESULTS, ROOT, main, table

SUITES = ("smoke", "adults-200", "dysmorphic-100", "osteoporotic-100", "real")
SHARP_MM = 0.25
"""Regret of no more counts as the optimum: the gap at which a certificate counts as sharp."""

VOXELS_MM = 1.0
"""What the labels' voxels may hide at 1 mm, and a little more (see `Anatomy.geometry_error_mm`)."""

Row = dict[str, Any]


@functools.cache
def results(name: str = "benchmark") -> dict[str, Any]:
    """A whole results file; empty where it was not made yet."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {"rows": [], "settings": {}}


def of_suite(suite: str) -> list[Row]:
    return [row for row in results()["rows"] if row["suite"] == suite]


def not_run(suite: str) -> str:
    return f"Not run yet: `scripts/run_benchmarks.py --suites {suite}`."


def best_first(found: list[Row]) -> list[str]:
    """Planners by how many plans of theirs are accepted, then by their mean regret."""

    def order(name: str) -> tuple[int, float, str]:
        mine = [row for row in found if row["planner"] == name and row.get("accepted")]
        regret = [row["regret_mm"] for row in mine if "regret_mm" in row]
        return -len(mine), statistics.fmean(regret) if regret else 0.0, name

    return sorted({row["planner"] for row in found}, key=order)


def spread(values: list[float], digits: int = 2) -> str:
    """Median, 90th percentile and largest of some values."""
    if not values:
        return "none"
    return ", ".join(f"{np.percentile(values, q):.{digits}f}" for q in (50, 90, 100))


def of(rows: list[Row], name: str) -> list[float]:
    """The values of one column, where there are any."""
    return [row[name] for row in rows if row.get(name) is not None]


def summary(suite: str) -> str:
    """One suite: a line a planner."""
    found = of_suite(suite)
    if not found:
        return not_run(suite)
    head = ["planner", "accepted", "false accepts", "regret mm: median, 90 %, largest", f"regret {SHARP_MM} mm or less"]
    head += ["breach probability, median", "true margin mm, smallest", "true breaches", "s: median, 90 %, largest"]
    body: list[list[object]] = []
    for name in best_first(found):
        mine = [row for row in found if row["planner"] == name]
        accepted = [row for row in mine if row.get("accepted")]
        regret, breach, true = (of(accepted, key) for key in ("regret_mm", "breach_probability", "true_margin_mm"))
        body.append([
            name, f"{len(accepted)} of {len(mine)}", sum(bool(row.get("false_accept")) for row in mine),
            spread(regret), sum(value <= SHARP_MM for value in regret),
            f"{100 * statistics.median(breach):.1f} %" if breach else "not asked",
            f"{min(true):.2f}" if true else "not known",
            sum(bool(row.get("true_breach")) for row in accepted) if true else "not known",
            spread(of(mine, "seconds"), 1),
        ])  # fmt: skip
    return table(head, body) + so_far(suite) + names_apart(found)


def names_apart(found: list[Row]) -> str:
    """How often a phantom's own names make the margin less than the judge's by more than voxels can."""
    both = [row for row in found if row.get("accepted") and "true_margin_mm" in row and "margin_mm" in row]
    if not both:
        return ""
    less = [row["margin_mm"] - row["true_margin_mm"] - row["true_error_mm"] for row in both]
    count = sum(value > VOXELS_MM for value in less)
    return (
        f"\n\nOf {len(both)} accepted plans {count} have a true margin more than {VOXELS_MM:g} mm below the judged one "
        f"(at most {max(less):.1f} mm): see [what is measured](#what-is-measured)."
    )


def so_far(suite: str) -> str:
    """How many cases the table stands on where a suite was not run to its end."""
    facts = results()["settings"]["suites"][suite]
    if facts["cases"] == facts["of_cases"]:
        return ""
    return f"\n\nThe first {facts['cases']} of {facts['of_cases']} cases: the suite was not run to its end yet."


def endings() -> str:
    """How the runs of every suite ended, by planner."""
    found = results()["rows"]
    if not found:
        return "Not run yet: `scripts/run_benchmarks.py`."
    statuses = sorted({row["status"] for row in found})
    body: list[list[object]] = []
    for name in best_first(found):
        mine = [row["status"] for row in found if row["planner"] == name]
        body.append([name, len(mine), *(mine.count(status) for status in statuses)])
    beaten = sum(row.get("error_type") == "BoundBeaten" for row in found)
    return (
        table(["planner", "runs", *statuses], body) + f"\n\nPlans with more slack than their certified bound: {beaten}."
    )


def hardest() -> str:
    """Cases for which fewest planners have an accepted plan."""
    found = results()["rows"]
    if not found:
        return "Not run yet: `scripts/run_benchmarks.py`."
    cases: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        cases.setdefault((row["suite"], row["case_key"], row["side"]), []).append(row)
    counted = [(sum(bool(r.get("accepted")) for r in mine), key, mine) for key, mine in cases.items()]
    body: list[list[object]] = []
    for count, (suite, case, side), mine in sorted(counted, key=lambda item: item[:2])[:10]:
        bound = of(mine, "bound_mm")
        best = max(of([r for r in mine if r.get("accepted")], "slack_mm"), default=None)
        cells = [
            f"{count} of {len(mine)}",
            "none" if best is None else f"{best:.2f}",
            f"{bound[0]:.2f}" if bound else "",
        ]
        body.append([suite, f"{case} {side}", *cells])
    words = "\n\nA bound ends at the suite's cap, 3 mm; a plan may have more slack than that."
    return table(["suite", "case, side", "planners with a plan", "best slack mm", "bound mm"], body) + words


def kind_of(host: dict[str, Any]) -> str:
    """A machine by its kind."""
    system = str(host["system"]).split()[0]
    return f"{host['processor']} ({host['machine']}), {host['cores']} cores, {host['memory_gb']:g} GB, {system}"


def machines() -> str:
    """What kind of machine each suite was run on, and the hash of its results."""
    facts = results()["settings"].get("suites", {})
    if not facts:
        return "Not run yet: `scripts/run_benchmarks.py`."
    body: list[list[object]] = [
        [name, facts[name]["workers"], kind_of(facts[name]["host"]),
         f"`{facts[name]['result_hash'][:16]}`"]
        for name in SUITES if name in facts
    ]  # fmt: skip
    return table(["suite", "workers", "machine", "result hash"], body)


COSTS = {
    "overhead_percent": ("beyond planning and judging", "{:g} %", "at most 5 %", lambda v: v <= 5.0),
    "ratio": ("times as fast", "{:g}", "1.9", lambda v: v >= 1.9),
    "seconds": ("in all", "{:g} s", "at most 60 s", lambda v: v <= 60.0),
    "mb": ("at most at any moment", "{:g} MB", "at most 1,500 MB", lambda v: v <= 1500.0),
}
"""What was asked for, by the key that a row has."""


def costs() -> str:
    """The machinery beside planners of known length."""
    found = results("bench_speed")["rows"]
    if not found:
        return "Not measured yet: `scripts/bench_bench.py`."
    body: list[list[object]] = []
    for row in found:
        for key, (what, text, wanted, holds) in COSTS.items():
            if key in row:
                verdict = "yes" if holds(row[key]) else "**no**"
                body.append([row["what"], f"{text.format(row[key])} {what}", wanted, verdict])
    return table(["", "measured", "wanted", "holds"], body)


def kills() -> str:
    """An experiment that was killed again and again, beside the same one that nobody disturbed."""
    rows = results("bench_kills")["rows"]
    if not rows:
        return "Not run yet: `scripts/validate_bench.py`."
    settings, (*legs, end) = results("bench_kills")["settings"], rows
    body: list[list[object]] = [
        [row["after_rows"], row["victim"], "the experiment went on" if row["went_on"] else "the same command again"]
        for row in legs
    ]
    runs = settings["cases"] * len(settings["planners"])
    verdict = (
        f"{runs:,} runs ({settings['cases']:,} cases, {len(settings['planners'])} planners): {end['lost']} rows lost, "
        f"{end['foreign']} that nobody asked for, {end['done_twice']} runs done twice; result hash "
        f"`{end['result_hash_killed'][:16]}`, undisturbed `{end['result_hash'][:16]}`: "
        + ("the same." if end["same"] else "**another**.")
    )
    return table(["rows by then", "killed", "then"], body) + "\n\n" + verdict


RUNNING_TABLES: dict[str, Callable[[], str]] = {"costs": costs, "kills": kills}
TABLES: dict[str, Callable[[], str]] = {
    "machines": machines,
    **{suite: functools.partial(summary, suite) for suite in SUITES},
    "endings": endings,
    "hardest": hardest,
}


if __name__ == "__main__":
    docs = ROOT / "docs"
    main({docs / "benchmark.md": TABLES, docs / "benchmark_running.md": RUNNING_TABLES}, __doc__.splitlines()[0])
