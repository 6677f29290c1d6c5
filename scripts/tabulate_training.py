"""Render the tables of docs/training.md from docs/results/trainees.json.

python scripts/tabulate_training.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy.stats import mannwhitneyu, spearmanr
from tabulate_real_pelves import ROOT, main, rows, table

PAGE: Final = ROOT / "docs" / "training.md"
SKILLED: Final = ("novice", "improving", "expert")
SHUFFLES: Final = 200

Row = dict[str, Any]


def of(name: str) -> list[Row]:
    """Operations of one trainee."""
    return [row for row in rows("trainees") if row["trainee"] == name]


def auroc(more: list[float], less: list[float]) -> float:
    """Share of pairs in which the more skilled one has the higher number; half for a draw."""
    return float(mannwhitneyu(more, less).statistic) / (len(more) * len(less))


def trainees() -> str:
    """How each of them ended."""
    body: list[list[object]] = []
    for name in (*SKILLED, "one-view"):
        found = of(name)

        def mean(key: str, found: list[Row] = found) -> str:
            return f"{np.mean([r['values'][key] for r in found if r['values'][key] is not None]):.1f}"

        placed, out = (sum(r[key] for r in found) for key in ("implants", "breached_implants"))
        ratings = [r["rating"] for r in found]
        body.append(
            [name, len(found), mean("tip_off_plan_mm"), mean("angle_off_plan_deg"),
             f"{np.mean([r['values']['shots'] for r in found]):.1f}", f"{100 * out / placed:.0f} %",
             f"{np.median(ratings):.0f} ({np.quantile(ratings, 0.1):.0f} to {np.quantile(ratings, 0.9):.0f})"]
        )  # fmt: skip
    head = ["trainee", "operations", "tip off, mm", "angle off, degrees", "shots an implant", "implants outside bone"]
    return table([*head, "rating, median (80 %)"], body)


def separation() -> str:
    """Whether the rating, and each of its measures, tells skills apart."""
    names = list(of("expert")[0]["worth"])
    body = [_line("**rating**", lambda row: row["rating"])]
    body += [_line(name, lambda row, name=name: row["worth"][name]) for name in names]
    head = ["", "expert over novice", "expert over improving", "improving over novice", "labels shuffled"]
    return table([*head, "Spearman with skill"], body)


def _line(name: str, number: Callable[[Row], float | None]) -> list[object]:
    values = {who: [v for v in map(number, of(who)) if v is not None] for who in SKILLED}
    pooled = np.array([v for who in SKILLED for v in values[who]])
    skill = np.repeat(np.arange(3), [len(values[who]) for who in SKILLED])
    rng, shuffled = np.random.default_rng(0), []
    ends = np.concatenate([values["novice"], values["expert"]])
    for _ in range(SHUFFLES):
        mixed = rng.permutation(ends)
        shuffled.append(auroc(list(mixed[len(values["novice"]) :]), list(mixed[: len(values["novice"])])))
    rho = float(spearmanr(pooled, skill).statistic) if np.ptp(pooled) > 0 else float("nan")
    pairs = (("expert", "novice"), ("expert", "improving"), ("improving", "novice"))
    found = [f"{auroc(values[more], values[less]):.2f}" for more, less in pairs]
    return [name, *found, f"{np.mean(shuffled):.2f}", "-" if np.isnan(rho) else f"{rho:.2f}"]


TABLES = {"trainees": trainees, "separation": separation}


if __name__ == "__main__":
    main({PAGE: TABLES}, __doc__.splitlines()[0])
