"""Tables of an experiment: what each planner did, how planners differ, and where it was hard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sjplan.bench.compare import FAILURES, LEAST_S
from sjplan.bench.results import Results, Values
from sjplan.bench.rows import STATUSES
from sjplan.bench.statistics import (
    Indices,
    bootstrap_means,
    case_means,
    discordance_p,
    holm,
    share_of,
    signed_rank_p,
)
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError

TableRow = dict[str, Any]

COLUMNS: Final = (
    *("run", "planner", "pairing", "case_key", "side", "seed", "traits", "status", "error_type", "error_message"),
    *("accepted", "false_accept", "slack_mm", "margin_mm", "binding", "cap_mm", "bound_mm", "regret_mm"),
    *("breach_probability", "true_breach", "seconds", "first_safe_s", "anytime", "planner_id", "parameters"),
)

KNOWN_TRAITS: Final = ("sex", "age", "dysmorphism", "density")
"""Traits that come first in a breakdown; whatever else cases bring follows by its name."""

DEGREES: Final = ("none", "no", "slight", "mild", "some", "moderate", "marked", "severe", "yes")
"""Words of degree, in the order in which a breakdown shows them."""

HARDEST: Final = 12
"""Sides of cases that the table of the hardest names."""

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Columns of an experiment, with planners, cases and problems by number.

    Parameters
    ----------
    columns : mapping of name to (n,) array
        `COLUMNS`.
    planners, cases : tuple of str
        Names: planners with most accepted plans first, then by median regret.
    planner, case, problem : (n,) int
        Of each run. A problem is what planners are compared on: a side of a case with a seed and a budget.
    case_of : (problems,) int
        Of each problem.
    """

    columns: Mapping[str, Values]
    planners: tuple[str, ...]
    cases: tuple[str, ...]
    planner: Indices
    case: Indices
    problem: Indices
    case_of: Indices

    def __getitem__(self, name: str) -> Values:
        """A column."""
        return self.columns[name]

    @property
    def accepted(self) -> Values:
        """Whether the judge accepts the plan, (n,) bool."""
        return np.asarray(self["accepted"] == 1.0)

    @property
    def slack_mm(self) -> Array:
        """Worst slack up to the cap, (n,)."""
        return np.asarray(np.minimum(self["slack_mm"], np.nan_to_num(self["cap_mm"], nan=np.inf)))

    @property
    def seconds(self) -> Array:
        """Wall time of runs that gave an answer, (n,); nan of others: a planner that crashes at once is not fast."""
        return np.asarray(np.where(np.isin(self["status"], FAILURES), np.nan, self["seconds"]))

    def of(self, planner: int) -> Values:
        """Which runs are a planner's, (n,) bool."""
        return np.asarray(self.planner == planner)

    def by_problem(self, values: Values) -> Array:
        """Values as (problems, planners); nan where there is no run, or no value."""
        table = np.full((len(self.case_of), len(self.planners)), np.nan)
        table[self.problem, self.planner] = values
        return table


def load_runs(results: Results) -> Runs:
    """Read what tables are made of.

    Raises
    ------
    InputError
        If there is no run, or a planner has two of the same problem.
    """
    found = results.columns(*COLUMNS)
    if len(found["run"]) == 0:
        raise InputError(str(results.path), found="no runs", wanted="at least one", fix="sjplan bench run")
    names, planner = _numbered(found["planner"])
    cases, case = _numbered(found["case_key"])
    _, problem = _numbered(found.pop("pairing"))
    first = np.unique(problem, return_index=True)[1]
    if len(np.unique(problem * len(names) + planner)) < len(planner):
        raise InputError(str(results.path), found="two runs of one planner on the same side, seed and budget",
                         wanted="one", fix="give planners with other parameters names of their own")  # fmt: skip
    order = sorted(range(len(names)), key=lambda k: _rank(found, planner == k))
    place = np.empty(len(names), dtype=np.intp)
    place[order] = np.arange(len(names))
    return Runs(found, tuple(names[k] for k in order), tuple(cases), place[planner], case, problem,
                case[first])  # fmt: skip


def _numbered(values: Iterable[Any]) -> tuple[list[Any], Indices]:
    """Distinct values in order, and the number of each value."""
    listed = list(values)
    names = sorted(set(listed))
    place = {name: n for n, name in enumerate(names)}
    return names, np.array([place[value] for value in listed], dtype=np.intp)


def _rank(found: Mapping[str, Values], mine: Values) -> tuple[float, float]:
    regret = median(found["regret_mm"][mine])
    return -float((found["accepted"][mine] == 1.0).mean()), np.inf if regret is None else regret


def summary(runs: Runs) -> list[TableRow]:
    """One row a planner: what came of its runs.

    Slack is of every plan, accepted or nearest; margin, regret, breach probability and first safe plan of accepted
    plans, each with its own n.
    """
    return [{"planner": name, **_summary(runs, runs.of(k))} for k, name in enumerate(runs.planners)]


def _summary(runs: Runs, mine: Values) -> TableRow:
    accepted, share = mine & runs.accepted, share_of(runs.accepted[mine], runs.case[mine])
    regret = runs["regret_mm"][accepted]
    counts = {status: int((runs["status"][mine] == status).sum()) for status in STATUSES}
    return {
        "runs": share.runs,
        "cases": share.cases,
        **counts,
        "accepted": int(accepted.sum()),
        "accepted_share": share.value,
        "accepted_low": share.low,
        "accepted_high": share.high,
        "false_accepts": int((runs["false_accept"][mine] == 1.0).sum()),
        "true_breaches": int((runs["true_breach"][accepted] == 1.0).sum()),
        "true_known": int(np.isfinite(runs["true_breach"][accepted]).sum()),
        "regret_n": int(np.isfinite(regret).sum()),
        "regret_median_mm": median(regret),
        "regret_worst_mm": float(np.nanmax(regret)) if np.isfinite(regret).any() else None,
        "slack_n": int(np.isfinite(runs.slack_mm[mine]).sum()),
        "slack_median_mm": median(runs.slack_mm[mine]),
        "margin_median_mm": median(runs["margin_mm"][accepted]),
        "breach_n": int(np.isfinite(runs["breach_probability"][accepted]).sum()),
        "breach_median": median(runs["breach_probability"][accepted]),
        "seconds_median": median(runs.seconds[mine]),
        "first_safe_n": int(np.isfinite(runs["first_safe_s"][accepted]).sum()),
        "first_safe_median_s": median(runs["first_safe_s"][accepted]),
    }


def median(values: Values) -> float | None:
    """Median of what is known; None where nothing is."""
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else None


def pairs(runs: Runs, seed: int = 0) -> list[TableRow]:
    """Every pair of planners on the problems that both have: differences, intervals, tests corrected over all pairs.

    Measures: worst slack (mm, where both have a plan), accepted plans (share), and time (ratio of geometric means,
    where both gave an answer).
    """
    tables = {"slack_mm": runs.by_problem(runs.slack_mm), "accepted": runs.by_problem(runs.accepted.astype(float)),
              "log_seconds": runs.by_problem(np.log(np.maximum(runs.seconds, LEAST_S)))}  # fmt: skip
    couples = list(itertools.combinations(range(len(runs.planners)), 2))
    found: list[TableRow] = []
    for measure, table in tables.items():
        if not couples:
            continue
        off = [table[:, i] - table[:, j] for i, j in couples]
        means = np.column_stack([case_means(x, runs.case_of, len(runs.cases)) for x in off])
        low, high = bootstrap_means(means, seed)
        there = np.asarray(np.isfinite(means).any(axis=0))
        p = np.array([_test(measure, x, means[:, k], runs) for k, x in enumerate(off)])
        corrected = np.ones_like(p)
        corrected[there] = holm(p[there])
        for k, (i, j) in enumerate(couples):
            value = np.nanmean(means[:, k]) if there[k] else np.nan
            turned = np.exp if measure == "log_seconds" else np.asarray
            found.append({
                "a": runs.planners[i], "b": runs.planners[j],
                "measure": "seconds_ratio" if measure == "log_seconds" else measure,
                "difference": _number(turned(value)), "low": _number(turned(low[k])), "high": _number(turned(high[k])),
                "p": float(p[k]), "p_corrected": float(corrected[k]),
                "pairs": int(np.isfinite(off[k]).sum()), "cases": int(np.isfinite(means[:, k]).sum()),
            })  # fmt: skip
    return found


def _test(measure: str, off: Array, means: Array, runs: Runs) -> float:
    if measure != "accepted":
        return signed_rank_p(means)
    counts = np.bincount(runs.case_of, weights=np.nan_to_num(off), minlength=len(runs.cases))
    return discordance_p(np.rint(counts).astype(np.int64))


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def distributions(runs: Runs) -> list[TableRow]:
    """Quantiles of margin and slack of accepted plans, planner by planner."""
    found: list[TableRow] = []
    for measure, values in (("margin_mm", runs["margin_mm"]), ("slack_mm", runs["slack_mm"])):
        for k, name in enumerate(runs.planners):
            known = values[runs.of(k) & runs.accepted]
            known = known[np.isfinite(known)]
            quantiles = np.quantile(known, QUANTILES) if len(known) else [None] * len(QUANTILES)
            row = {f"q{round(100 * q):02d}": _known(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
            least = float(known.min()) if len(known) else None
            found.append({"measure": measure, "planner": name, "n": len(known), "least": least, **row})
    return found


def _known(value: Any) -> float | None:
    return None if value is None else float(value)


def breakdown(runs: Runs) -> list[TableRow]:
    """Accepted share, regret and slack of each planner in each group of cases that share a trait."""
    found: list[TableRow] = []
    for trait, group_of in trait_groups(runs).items():
        for group in dict.fromkeys(group_of.groups):
            inside = group_of.of_case[runs.case] == group
            for k, name in enumerate(runs.planners):
                mine = inside & runs.of(k)
                share = share_of(runs.accepted[mine], runs.case[mine])
                if share.runs:
                    found.append({
                        "trait": trait, "group": group, "planner": name, "runs": share.runs, "cases": share.cases,
                        "accepted_share": share.value, "accepted_low": share.low, "accepted_high": share.high,
                        "regret_median_mm": median(runs["regret_mm"][mine & runs.accepted]),
                        "slack_median_mm": median(runs.slack_mm[mine]),
                    })  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Groups of one trait in order, and the group of each case ("" where it is not known)."""

    groups: tuple[str, ...]
    of_case: Values


def trait_groups(runs: Runs) -> dict[str, Groups]:
    """Groups of cases by each trait: by its words, or by thirds of its numbers."""
    first = np.unique(runs.case, return_index=True)[1]
    traits = [json.loads(text) if text else {} for text in runs["traits"][first]]
    names = {name for each in traits for name in each}
    ordered = [n for n in KNOWN_TRAITS if n in names] + sorted(names - set(KNOWN_TRAITS))
    return {name: _groups([each.get(name) for each in traits]) for name in ordered}


def _groups(values: Sequence[Any]) -> Groups:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    distinct = sorted(set(numbers))
    if len(numbers) == sum(v is not None for v in values) and len(distinct) > 3:
        ends = np.unique(np.quantile(numbers, [1 / 3, 2 / 3]))
        return _named(values, _thirds([float(e) for e in ends]))
    return _named(values, lambda v: f"{v:g}" if isinstance(v, float) else str(v))


def _named(values: Sequence[Any], name: Callable[[Any], str]) -> Groups:
    known = [v for v in values if v is not None]
    numeric = all(isinstance(v, int | float) for v in known)
    groups = dict.fromkeys(name(v) for v in (sorted(known) if numeric else sorted(known, key=_word_order)))
    return Groups(tuple(groups), np.array(["" if v is None else name(v) for v in values], dtype=object))


def _word_order(value: Any) -> tuple[int, str]:
    """Words of degree in their order, others by the alphabet behind them."""
    text = str(value)
    return (DEGREES.index(text) if text in DEGREES else len(DEGREES)), text


def _thirds(ends: Sequence[float]) -> Callable[[Any], str]:
    names = [f"up to {ends[0]:.3g}", *(f"{a:.3g} to {b:.3g}" for a, b in itertools.pairwise(ends)),
             f"above {ends[-1]:.3g}"]  # fmt: skip
    return lambda value: names[int(np.searchsorted(ends, value, side="left"))]


def failures(runs: Runs) -> list[TableRow]:
    """What went wrong, counted: planner, status, error, and one run that shows it; most frequent first."""
    bad = np.flatnonzero(np.isin(runs["status"], FAILURES) | (runs["error_type"] != "") | (runs["false_accept"] == 1.0))
    groups: dict[tuple[str, ...], list[int]] = {}
    for n in bad:
        status = "false accept" if runs["false_accept"][n] == 1.0 else str(runs["status"][n])
        key = (runs.planners[runs.planner[n]], status, str(runs["error_type"][n]), str(runs["error_message"][n]))
        groups.setdefault(key, []).append(int(n))
    return [
        {"planner": key[0], "status": key[1], "error_type": key[2], "error_message": key[3], "runs": len(found),
         "example_run": str(runs["run"][found[0]]), "case": str(runs["case_key"][found[0]]),
         "side": str(runs["side"][found[0]]), "seed": int(runs["seed"][found[0]])}
        for key, found in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]  # fmt: skip


def hardest(runs: Runs, most: int = HARDEST) -> list[TableRow]:
    """Sides of cases on which fewest runs gave an accepted plan, then those whose best plan has least slack.

    Sides on which every run was accepted are not among them.
    """
    _, of = _numbered(zip(runs["case_key"], runs["side"], strict=True))
    many = np.bincount(of)
    share = np.bincount(of, weights=runs.accepted) / many
    best = np.full(len(many), -np.inf)
    np.maximum.at(best, of, np.nan_to_num(runs["slack_mm"], nan=-np.inf))
    order = np.lexsort((best, share))
    return [_hard(runs, np.flatnonzero(of == k)) for k in order[:most] if share[k] < 1.0]


def _hard(runs: Runs, mine: Indices) -> TableRow:
    slack = np.nan_to_num(runs["slack_mm"][mine], nan=-np.inf)
    best = int(mine[int(np.argmax(slack))])
    known = bool(np.isfinite(slack.max()))
    bound = runs["bound_mm"][mine]
    return {
        "case": str(runs["case_key"][best]),
        "side": str(runs["side"][best]),
        "runs": len(mine),
        "accepted": int(runs.accepted[mine].sum()),
        "planners_accepted": len(set(runs.planner[mine][runs.accepted[mine]])),
        "best_slack_mm": float(slack.max()) if known else None,
        "best_planner": runs.planners[runs.planner[best]] if known else "",
        "best_accepted": bool(runs.accepted[best]),
        "binding": str(runs["binding"][best]) if known else "",
        "bound_mm": float(np.nanmin(bound)) if np.isfinite(bound).any() else None,
        "run": str(runs["run"][best]) if known else "",
    }
