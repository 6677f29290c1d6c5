"""Everything that a report of an experiment says, as numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sjplan.bench.curves import Curve, anytime, profiles
from sjplan.bench.results import Results
from sjplan.bench.store import open_results
from sjplan.bench.tables import (
    Runs,
    TableRow,
    breakdown,
    distributions,
    failures,
    hardest,
    load_runs,
    pairs,
    summary,
)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything that a report says, as numbers.

    Parameters
    ----------
    results : Results
        Where it comes from.
    runs : Runs
        Its columns.
    summary, pairs, margins, anatomy, failures, hardest : list of row
        Tables, as `sjplan.bench.tables` makes them.
    profiles, anytime : pair of Curve
        Curves, as `sjplan.bench.curves` makes them.
    """

    results: Results
    runs: Runs
    summary: list[TableRow]
    pairs: list[TableRow]
    margins: list[TableRow]
    anatomy: list[TableRow]
    failures: list[TableRow]
    hardest: list[TableRow]
    profiles: tuple[Curve, Curve]
    anytime: tuple[Curve, Curve]


def findings(path: str | Path) -> Findings:
    """Work out everything that a report of an experiment says.

    Raises
    ------
    InputError
        If the folder or file cannot be used, or holds no run.
    """
    results = open_results(path)
    runs = load_runs(results)
    return Findings(
        results=results,
        runs=runs,
        summary=summary(runs),
        pairs=pairs(runs),
        margins=distributions(runs),
        anatomy=breakdown(runs),
        failures=failures(runs),
        hardest=hardest(runs),
        profiles=profiles(runs),
        anytime=anytime(runs),
    )
