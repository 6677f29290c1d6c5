"""Two versions of one planner, run by run: a gate that shuts on a loss that chance does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from sjplan.bench.results import Values
from sjplan.bench.statistics import ALPHA, bootstrap_means, case_means, discordance_p, holm, signed_rank_p
from sjplan.bench.store import open_results
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.tolerances import JUDGE_TOL_MM

FAILURES: Final = ("invalid_input", "crashed", "killed", "rejected")
"""Statuses of runs that gave no answer at all. An honest "infeasible", and a timeout, are answers."""

LEAST_S: Final = 1e-6
"""Times below count as this much: a clock may show none."""

_COLUMNS: Final = ("planner", "pairing", "case_key", "slack_mm", "cap_mm", "accepted", "false_accept", "status",
                   "seconds", "bound_mm")  # fmt: skip

Run = dict[str, Values]


@dataclass(frozen=True, slots=True)
class Change:
    """How one measure changed from A to B, over runs that both have.

    Parameters
    ----------
    measure, text : str
        Its name, and what it is.
    unit : {"mm", "share"}
        Of the numbers.
    better : {"more", "less"}
        Which way is an improvement.
    a, b : float
        Mean of each version, cases counted alike; nan without pairs.
    change, low, high : float
        B less A, with its 95 % bootstrap interval over cases.
    p, corrected : float
        One-sided, for a loss; and corrected by Holm for the number of measures.
    pairs, cases : int
        Of how many pairs of runs, on how many cases.
    """

    measure: str
    text: str
    unit: Literal["mm", "share"]
    better: Literal["more", "less"]
    a: float
    b: float
    change: float
    low: float
    high: float
    p: float
    corrected: float
    pairs: int
    cases: int

    @property
    def lost(self) -> bool:
        """Whether B is worse beyond chance."""
        return self.corrected <= ALPHA


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a planner, A before and B after.

    `only_a` and `only_b` count runs without a partner, `other_bounds` pairs whose certified bounds differ (then the
    case or the proof is another). `time_ratio` is how many times as long B takes where both gave an answer, with its
    interval: it says nothing where the machines differ, and shuts no gate.
    """

    planner_a: str
    planner_b: str
    pairs: int
    cases: int
    only_a: int
    only_b: int
    other_bounds: int
    changes: tuple[Change, ...]
    time_ratio: tuple[float, float, float]

    @property
    def lost(self) -> bool:
        """Whether any measure is significantly worse."""
        return any(change.lost for change in self.changes)

    @property
    def blind(self) -> bool:
        """Whether there are too few cases for any loss to be significant: all of them worse is likelier by chance."""
        return 0.5**self.cases * len(self.changes) > ALPHA


def compare(a: str | Path, b: str | Path, planner: str | None = None) -> Comparison:
    """Compare two versions of a planner by their results.

    Runs are paired where case, side, seed, budget, models, limits, error model and cap are the same. Slack counts up
    to the cap; differences below what the judge measures to are none.

    Parameters
    ----------
    a, b : path
        Folders of experiments or results files: before and after.
    planner : str, optional
        Its name in both; may be left out where each holds one planner.

    Raises
    ------
    InputError
        If a file cannot be used, several planners are there and none is named, or no run has a partner.
    UnknownNameError
        If the named planner is not there.
    """
    before, after = _runs(a, planner), _runs(b, planner)
    _, first, second = np.intersect1d(before["pairing"], after["pairing"], return_indices=True)
    if len(first) == 0:
        raise InputError(f"{a} and {b}", found="no run that stands in both",
                         wanted="runs of the same cases, sides, seeds, budgets, models, limits and cap")  # fmt: skip
    left = {name: values[first] for name, values in before.items()}
    right = {name: values[second] for name, values in after.items()}
    bounds = np.abs(left["bound_mm"] - right["bound_mm"])
    ratio = _by_case(_log_seconds(right) - _log_seconds(left), left)
    low, high = bootstrap_means(ratio[:, None])
    middle, least, most = (float(np.exp(x)) for x in (_mean(ratio), low[0], high[0]))
    return Comparison(
        planner_a=str(left["planner"][0]),
        planner_b=str(right["planner"][0]),
        pairs=len(first),
        cases=len(set(left["case_key"])),
        only_a=len(before["pairing"]) - len(first),
        only_b=len(after["pairing"]) - len(first),
        other_bounds=int(np.count_nonzero(bounds > JUDGE_TOL_MM)),
        changes=_changes(left, right),
        time_ratio=(middle, least, most),
    )


def _runs(path: str | Path, planner: str | None) -> Run:
    """Columns of one planner's runs, each pairing once."""
    found = open_results(path).columns(*_COLUMNS)
    names = sorted(set(found["planner"]))
    if planner is None and len(names) != 1:
        raise InputError(str(path), found=f"{len(names)} planners ({', '.join(names)})", wanted="one planner",
                         fix="name it with --planner")  # fmt: skip
    if planner is not None and planner not in names:
        raise unknown_name(f"planner in {path}", planner, names)
    mine = found["planner"] == (planner if planner is not None else names[0])
    runs = {name: values[mine] for name, values in found.items()}
    distinct, count = np.unique(runs["pairing"], return_counts=True)
    if (count > 1).any():
        raise InputError(str(path), found=f"several runs of {distinct[count > 1][0]}", wanted="one a planner")
    return runs


@dataclass(frozen=True, slots=True, eq=False)
class _Measure:
    """Pair by pair: what A had and by how much B differs (nan: not to be compared), and the test's p-value."""

    name: str
    text: str
    unit: Literal["mm", "share"]
    better: Literal["more", "less"]
    had: Array
    off: Array
    p: float


def _changes(a: Run, b: Run) -> tuple[Change, ...]:
    measures = [_slack(a, b), *_counts(a, b)]
    return tuple(
        _change(measure, a, float(corrected))
        for measure, corrected in zip(measures, holm([m.p for m in measures]), strict=True)
    )


def _slack(a: Run, b: Run) -> _Measure:
    slack_a, slack_b = (np.minimum(run["slack_mm"], np.nan_to_num(run["cap_mm"], nan=np.inf)) for run in (a, b))
    off = slack_b - slack_a
    off = np.where(np.abs(off) < JUDGE_TOL_MM, 0.0, off)
    text = "worst slack up to the cap, of the plan or the nearest, where both have one"
    had = np.where(np.isfinite(off), slack_a, np.nan)
    return _Measure("worst slack", text, "mm", "more", had, off, signed_rank_p(_by_case(off, a), "less"))


def _counts(a: Run, b: Run) -> list[_Measure]:
    """Measures that a run has or has not."""
    flags: list[tuple[str, str, Literal["more", "less"], Values, Values]] = [
        ("accepted", "runs with a plan that the judge accepts", "more", a["accepted"] == 1.0, b["accepted"] == 1.0),
        ("false accepts", "plans called accepted that the judge rejects", "less",
         a["false_accept"] == 1.0, b["false_accept"] == 1.0),
        ("no answer", "runs that ended as " + ", ".join(FAILURES), "less",
         np.isin(a["status"], FAILURES), np.isin(b["status"], FAILURES)),
    ]  # fmt: skip
    of = np.unique(a["case_key"], return_inverse=True)[1]
    found = []
    for name, text, better, flag_a, flag_b in flags:
        had, off = flag_a.astype(np.float64), flag_b.astype(np.float64) - flag_a
        counts = np.rint(np.bincount(of, weights=off)).astype(np.int64)
        p = discordance_p(counts, "less" if better == "more" else "greater")
        found.append(_Measure(name, text, "share", better, had, off, p))
    return found


def _change(measure: _Measure, runs: Run, corrected: float) -> Change:
    had, off = _by_case(measure.had, runs), _by_case(measure.off, runs)
    low, high = bootstrap_means(off[:, None])
    return Change(
        measure=measure.name,
        text=measure.text,
        unit=measure.unit,
        better=measure.better,
        a=_mean(had),
        b=_mean(had) + _mean(off),
        change=_mean(off),
        low=float(low[0]),
        high=float(high[0]),
        p=measure.p,
        corrected=corrected,
        pairs=int(np.isfinite(measure.off).sum()),
        cases=int(np.isfinite(off).sum()),
    )


def _log_seconds(runs: Run) -> Array:
    """Of runs that gave an answer; nan of others: a planner that crashes at once is not fast."""
    return np.where(np.isin(runs["status"], FAILURES), np.nan, np.log(np.maximum(runs["seconds"], LEAST_S)))


def _by_case(values: Array, runs: Run) -> Array:
    keys, of = np.unique(runs["case_key"], return_inverse=True)
    return case_means(values, of, len(keys))


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
