"""The page of an experiment, in words: every number with how many it stands on, every term with what it means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from sjplan.bench import figures, page_words
from sjplan.bench.compare import FAILURES
from sjplan.bench.findings import Findings
from sjplan.bench.rows import STATUSES
from sjplan.bench.statistics import ALPHA
from sjplan.bench.tables import Runs, TableRow
from sjplan.render.style import words
from sjplan.report.benchmark import BenchPage, Section, TableView
from sjplan.report.data import Picture

FEW_CASES: Final = 20
"""Cases below which a page warns that its intervals are wide."""

MOST_ROWS: Final = 45
"""Rows of a table on the page (all pairs of ten planners); the CSV holds all."""

MOST_TRAITS: Final = 6
"""Traits that the page breaks down by."""

MOST_ERRORS: Final = 15

NO_ROOM_MM: Final = 0.01
"""A proof looks for plans of more than no slack at all: where there are none, its bound is 0 and its rounding."""

NOTHING: Final = "\u2013"


def page_of(found: Findings, small: Sequence[Picture], files: Sequence[str]) -> BenchPage:
    """The page of an experiment.

    Parameters
    ----------
    found : Findings
        Its numbers.
    small : sequence of Picture
        The hardest cases in three dimensions.
    files : sequence of str
        Names of the tables that lie beside the page.
    """
    known = found.results.experiment
    runs = found.runs
    many = [_many(len(runs.planner), "run"), _many(len(runs.planners), "planner"), _many(len(runs.cases), "case")]
    begun = f" Begun {known['created']}." if known.get("created") else ""
    return BenchPage(
        title=str(known.get("name") or found.results.path.stem),
        subtitle=", ".join(many) + "." + begun + " " + page_words.SUBTITLE,
        sections=[
            _summary(found),
            _profiles(found),
            *([_pairs(found)] if found.pairs else []),
            _margins(found),
            *([_anatomy(found)] if found.anatomy else []),
            _anytime(found),
            _failures(found),
            _hardest(found, small),
            _reading(),
            _facts(found, files),
        ],
    )


def _summary(found: Findings) -> Section:
    head = ["planner", "runs", "found", "best effort", "accepted, of all runs", "false accepts", "median regret (n)",
            "worst regret", "median slack (n)", "median margin", "breach probability (n)", "median seconds",
            "first safe (s)", "no answer"]  # fmt: skip
    rows = [
        [r["planner"], str(r["runs"]), str(r["found"]), str(r["best_effort"]), _share(r), str(r["false_accepts"]),
         f"{_mm(r['regret_median_mm'])} ({r['regret_n']})", _mm(r["regret_worst_mm"]),
         f"{_mm(r['slack_median_mm'])} ({r['slack_n']})", _mm(r["margin_median_mm"]),
         f"{_percent(r['breach_median'], 1)} ({r['breach_n']})", _seconds(r["seconds_median"]),
         _seconds(r["first_safe_median_s"]), str(sum(r[status] for status in FAILURES))]
        for r in found.summary
    ]  # fmt: skip
    caption = "Planners, most accepted plans first; n in brackets where it is not the number of runs"
    return Section("What was found", _sentences(found), _warnings(found), tables=[TableView(caption, head, rows)])


def _sentences(found: Findings) -> list[str]:
    runs, best = found.runs, found.summary[0]
    text = (
        f"{best['planner']} has most accepted plans: {best['accepted']} of {best['runs']} runs, "
        f"{_share(best, ' (95 % interval {} to {})')}."
    )
    regrets = [r for r in found.summary if r["regret_median_mm"] is not None]
    if regrets:
        least = min(regrets, key=lambda r: r["regret_median_mm"])
        text += (
            f" Least median regret: {least['planner']}, {_mm(least['regret_median_mm'])} mm (n = {least['regret_n']}, "
            "each planner on its own accepted plans)."
        )
    said = [text]
    bounds = side_bounds(runs)
    if bounds:
        tight = sum(bound < NO_ROOM_MM for bound in bounds.values())
        said.append(
            f"{len(bounds)} sides have a certified bound; on {tight} of them it leaves no accepted plan any room "
            f"(less than {NO_ROOM_MM:g} mm of slack): there may be none. They count in every share."
        )
    tested = [row for row in found.pairs if row["measure"] == "accepted" and row["pairs"]]
    if tested:
        sure = sum(row["p_corrected"] <= ALPHA for row in tested)
        said.append(
            f"{sure} of {len(tested)} pairs of planners differ significantly in accepted plans after correction."
        )
    return said


def side_bounds(runs: Runs) -> dict[tuple[str, str], float]:
    """Least certified bound of each side of a case that has one."""
    bounds: dict[tuple[str, str], float] = {}
    for case, side, bound in zip(runs["case_key"], runs["side"], runs["bound_mm"], strict=True):
        if np.isfinite(bound):
            bounds[case, side] = min(bound, bounds.get((case, side), np.inf))
    return bounds


def _warnings(found: Findings) -> list[str]:
    known, said = found.results.experiment, []
    wanted, done = known.get("wanted"), len(found.runs.planner)
    if wanted and done < wanted:
        said.append(f"{wanted - done} of {wanted} runs are not done yet; planners may have met other problems.")
    if known.get("damaged_parts"):
        said.append(f"{_many(known['damaged_parts'], 'damaged part')} left out; sjplan bench run makes them again.")
    cases, couples = len(found.runs.cases), sum(row["measure"] == "accepted" for row in found.pairs)
    if couples and 2 * 0.5**cases * couples > ALPHA:
        said.append(
            f"{_many(cases, 'case')} and {_many(couples, 'pair')} of planners: no difference can be significant after "
            "correction, however large it is."
        )
    elif cases < FEW_CASES:
        said.append(f"{_many(cases, 'case')}: planners may differ where no difference is significant here.")
    for row in found.summary:
        if row["false_accepts"]:
            many = _many(row["false_accepts"], "plan")
            said.append(f"{row['planner']} called {many} accepted that the judge rejects.")
        if row["true_breaches"]:
            many = _many(row["true_known"], "accepted plan")
            said.append(
                f"{row['true_breaches']} of {many} of {row['planner']} truly breach the phantom, whatever the label "
                "map's surfaces say."
            )
    return said


def _profiles(found: Findings) -> Section:
    curve = found.profiles[0]
    accepted = found.runs.by_problem(found.runs.accepted.astype(float))
    ran = np.isfinite(accepted).all(axis=1)
    unsolved = int((accepted[ran] == 0).all(axis=1).sum())
    if curve.n == 0:
        return Section("Performance profiles", [page_words.NO_COMMON])
    said = [
        page_words.PROFILES,
        f"n = {curve.n} problems that every planner ran; on {unsolved} of them no planner has an accepted plan.",
    ]
    return Section("Performance profiles", said, pictures=[
        Picture("Performance profiles (Dolan and More 2002): slack as a difference, time as a ratio.",
                figures.profile_picture(found.runs, found.profiles))])  # fmt: skip


def _pairs(found: Findings) -> Section:
    couples: dict[tuple[str, str], dict[str, TableRow]] = {}
    for row in found.pairs:
        couples.setdefault((row["a"], row["b"]), {})[row["measure"]] = row
    head = ["first", "second", "slack (mm)", "p", "n", "accepted (% points)", "p", "n", "time (ratio)", "p", "n"]
    rows = [
        [a, b, *_difference(by["slack_mm"], _signed), *_difference(by["accepted"], lambda x: _signed(100 * x, 1)),
         *_difference(by["seconds_ratio"], lambda x: f"{x:.2f}")]
        for (a, b), by in list(couples.items())[:MOST_ROWS]
    ]  # fmt: skip
    more = "" if len(couples) <= MOST_ROWS else f"; the other {len(couples) - MOST_ROWS} are in differences.csv"
    said = [page_words.PAIRS]
    if all(not row["pairs"] for row in found.pairs):
        return Section("Paired differences", [page_words.NO_COMMON])
    table = TableView(f"Differences with 95 % intervals{more}", head, rows, texts=2)
    picture = Picture("Each pair of planners on the same problems.", figures.pairs_picture(found.runs, found.pairs))
    return Section("Paired differences", said, pictures=[picture], tables=[table])


def _difference(row: TableRow, text: Any) -> list[str]:
    n = f"{row['pairs']} / {row['cases']}"
    if row["difference"] is None:
        return [NOTHING, NOTHING, n]
    interval = "" if row["low"] is None else f"\n{text(row['low'])} to {text(row['high'])}"
    return [f"{text(row['difference'])}{interval}", _p(row["p_corrected"]), n]


def _margins(found: Findings) -> Section:
    head = ["planner", "of", "n", "least", "5 %", "25 %", "median", "75 %", "95 %"]
    rows = [
        [r["planner"], {"margin_mm": "margin", "slack_mm": "worst slack"}[r["measure"]], str(r["n"]), _mm(r["least"]),
         *(_mm(r[name]) for name in ("q05", "q25", "q50", "q75", "q95"))]
        for r in found.margins
    ]  # fmt: skip
    said = [page_words.MARGINS]
    picture = Picture("How margins of accepted plans are spread.", figures.margin_picture(found.runs))
    return Section("Margins", said, pictures=[picture], tables=[TableView("Quantiles (mm)", head, rows, texts=2)])


def _anatomy(found: Findings) -> Section:
    traits = list(dict.fromkeys(row["trait"] for row in found.anatomy))[:MOST_TRAITS]
    rows = [row for row in found.anatomy if row["trait"] in traits]
    names = figures.shown(found.runs.planners)
    cells = {(r["trait"], r["group"], r["planner"]): r for r in rows}
    groups = dict.fromkeys((r["trait"], r["group"]) for r in rows)
    cases = {group: max(r["cases"] for r in rows if (r["trait"], r["group"]) == group) for group in groups}
    table = [
        [page_words.TRAITS.get(trait, trait), group, str(cases[trait, group]),
         *(_cell(cells.get((trait, group, name))) for name in names)]
        for trait, group in groups
    ]  # fmt: skip
    said = [page_words.ANATOMY]
    caption = "Accepted share, and median regret of accepted plans (mm)"
    picture = Picture("Share of accepted plans by trait.", figures.breakdown_picture(found.runs, rows))
    return Section("By anatomy", said, pictures=[picture],
                   tables=[TableView(caption, ["trait", "group", "cases", *names], table, texts=2)])  # fmt: skip


def _cell(row: TableRow | None) -> str:
    return NOTHING if row is None else f"{_percent(row['accepted_share'])}\n{_mm(row['regret_median_mm'])}"


def _anytime(found: Findings) -> Section:
    said = [page_words.ANYTIME]
    picture = Picture("What there was by a time.", figures.anytime_picture(found.runs, found.anytime))
    return Section("Over time", said, pictures=[picture])


def _failures(found: Findings) -> Section:
    head = ["planner", "runs", *(status.replace("_", " ") for status in STATUSES), "false accepts"]
    rows = [[r["planner"], str(r["runs"]), *(str(r[status]) for status in STATUSES), str(r["false_accepts"])]
            for r in found.summary]  # fmt: skip
    tables = [TableView("How runs ended", head, rows)]
    errors = [
        [r["planner"], r["status"], r["error_type"], r["error_message"][:160],
         f"{r['case']}, {r['side']}, seed {r['seed']}", str(r["runs"])]
        for r in found.failures[:MOST_ERRORS]
    ]  # fmt: skip
    if errors:
        more = max(0, len(found.failures) - MOST_ERRORS)
        caption = "What went wrong, most frequent first" + (f"; {more} more in failures.csv" if more else "")
        tables.append(
            TableView(caption, ["planner", "status", "type", "message", "for example", "runs"], errors, texts=5)
        )
    said = [page_words.ENDINGS]
    return Section("Failures", said, tables=tables)


def _hardest(found: Findings, small: Sequence[Picture]) -> Section:
    if not found.hardest:
        return Section("Hardest cases", ["Every run gave an accepted plan."])
    head = ["case", "side", "best plan by", "what binds it", "runs", "accepted", "planners with one", "best slack",
            "certified bound"]  # fmt: skip
    rows = [
        [r["case"], r["side"], _best(r),
         words(r["binding"]) if r["binding"] else "", str(r["runs"]), str(r["accepted"]), str(r["planners_accepted"]),
         _mm(r["best_slack_mm"]), _mm(r["bound_mm"])]
        for r in found.hardest
    ]  # fmt: skip
    said = [page_words.HARDEST]
    said += [] if small else [page_words.NO_PICTURES]
    return Section("Hardest cases", said, tables=[TableView("Hardest first (mm)", head, rows, texts=4)], small=small)


def _best(row: TableRow) -> str:
    return str(row["best_planner"]) + (" (nearest)" if row["best_planner"] and not row["best_accepted"] else "")


def _reading() -> Section:
    return Section("How to read the numbers", terms=page_words.TERMS)


def _facts(found: Findings, files: Sequence[str]) -> Section:
    known, runs = found.results.experiment, found.runs
    facts = [(name.replace("_", " "), _fact(known[name])) for name in
             ("experiment", "suite_sha256", "created", "commit", "engine", "wanted", "done", "result_hash", "host",
              "versions") if known.get(name) is not None]  # fmt: skip
    head = ["planner", "id", "parameters"]
    planners = [[name, *_planner(runs, k)] for k, name in enumerate(runs.planners)]
    said = [
        f"The same numbers lie beside this page: {', '.join(files)}. Every run stands in {found.results.path.name}."
    ]
    return Section("Inputs and versions", said, tables=[
        TableView("Planners", head, planners, texts=3),
        TableView("Made with", ["what", "value"], facts, texts=2),
    ])  # fmt: skip


def _planner(runs: Runs, k: int) -> tuple[str, str]:
    first = int(np.flatnonzero(runs.of(k))[0])
    text = runs["parameters"][first]
    return str(runs["planner_id"][first]), _fact(json.loads(text)) if text else ""


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(item)}" for name, item in value.items())
    return str(value)


def _share(row: TableRow, interval: str = "\n{} to {}") -> str:
    ends = interval.format(_percent(row["accepted_low"]), _percent(row["accepted_high"]))
    return f"{_percent(row['accepted_share'])}{ends}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _percent(value: float | None, digits: int = 0) -> str:
    return NOTHING if value is None else f"{100 * value:.{digits}f} %"


def _mm(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}".replace("-", "\u2212")


def _signed(value: float, digits: int = 2) -> str:
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
